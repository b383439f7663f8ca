//! What a proof answers.

use std::{fmt, sync::Arc};

use super::Secret;

/// What a proof answers.
///
/// Exhaustive: a new answer would be one that no combination of proofs knows how to join.
#[derive(Clone, Debug)]
#[must_use]
pub enum Verdict {
    /// The caller is the provider.
    Accept(Verified),
    /// The caller is not.
    Refuse(Refusal),
    /// The body is needed to tell. With the body present, this is a refusal.
    NeedsBody,
}

/// That a caller proved himself, and what his proof said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Verified {
    matched: Vec<Matched>,
    correlation: Option<String>,
    subject: Option<String>,
}

/// Which secret matched.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Matched {
    label: Option<Arc<str>>,
    retiring: bool,
}

impl Verified {
    /// Asserts that the caller proved himself. The only way to make one.
    ///
    /// # Security
    ///
    /// Whoever writes this word lets a caller in.
    pub fn assertion() -> Self {
        Self {
            matched: Vec::new(),
            correlation: None,
            subject: None,
        }
    }

    /// Says which secret matched, by its label.
    pub fn with_label(mut self, label: impl Into<Arc<str>>) -> Self {
        self.matched.push(Matched {
            label: Some(label.into()),
            retiring: false,
        });
        self
    }

    /// Says which secret matched.
    pub(super) fn with_matched(mut self, secret: &Secret) -> Self {
        // Of one without label and end there is nothing to tell.
        if secret.label().is_some() || secret.is_retiring() {
            self.matched.push(Matched {
                label: secret.label().cloned(),
                retiring: secret.is_retiring(),
            });
        }
        self
    }

    /// Carries the id that we gave out with the proof: the order or job that the callback belongs to.
    pub fn with_correlation(mut self, id: impl Into<String>) -> Self {
        self.correlation = Some(id.into());
        self
    }

    /// Carries the id that was signed. An event with another [subject](crate::Event::subject) is refused.
    pub fn with_subject(mut self, id: impl Into<String>) -> Self {
        self.subject = Some(id.into());
        self
    }

    /// The labels of the secrets that matched.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.matched
            .iter()
            .filter_map(|matched| matched.label.as_deref())
    }

    /// The labels of those that matched and have an end; `None` for one without a label.
    pub(crate) fn retiring(&self) -> impl Iterator<Item = Option<&str>> {
        self.matched
            .iter()
            .filter(|matched| matched.retiring)
            .map(|matched| matched.label.as_deref())
    }

    /// The id that we gave out with the proof.
    pub fn correlation(&self) -> Option<&str> {
        self.correlation.as_deref()
    }

    /// The id that was signed.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// What both say together, unless they contradict each other.
    pub(super) fn merge(mut self, other: Self) -> Result<Self, Refusal> {
        self.matched.extend(other.matched);
        self.correlation = agree(self.correlation, other.correlation)
            .map_err(|()| Refusal::new(RefusalKind::Contradiction, "correlation"))?;
        self.subject = agree(self.subject, other.subject)
            .map_err(|()| Refusal::new(RefusalKind::Contradiction, "subject"))?;
        Ok(self)
    }
}

fn agree(a: Option<String>, b: Option<String>) -> Result<Option<String>, ()> {
    match (a, b) {
        (Some(a), Some(b)) if a != b => Err(()),
        (a, b) => Ok(a.or(b)),
    }
}

/// Why a caller was refused, for traces. The caller is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Refusal {
    kind: RefusalKind,
    part: &'static str,
}

impl Refusal {
    /// A refusal by the named part of the proof, such as `"token"`.
    pub fn new(kind: RefusalKind, part: &'static str) -> Self {
        Self { kind, part }
    }

    /// What was wrong.
    pub fn kind(&self) -> RefusalKind {
        self.kind
    }

    /// Which part of the proof refused.
    pub fn part(&self) -> &'static str {
        self.part
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part, self.kind)
    }
}

/// What was wrong with a caller's proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalKind {
    /// There was none.
    Missing,
    /// It was not the right one.
    Mismatch,
    /// It was given more than once.
    Repeated,
    /// It could not be read.
    Malformed,
    /// It was a right one, and its time is over: its own, or that of the secret it was made with.
    Expired,
    /// It is from a time that is still to come.
    Early,
    /// It was made with a key that we do not know.
    UnknownKey,
    /// The caller's address is not allowed, or not known.
    Address,
    /// It needed the body, and could not decide with it either.
    Undecided,
    /// Two parts of the proof verified different ids.
    Contradiction,
    /// The event is about another subject than the one that was signed.
    Subject,
}

impl RefusalKind {
    /// The word for traces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Mismatch => "mismatch",
            Self::Repeated => "repeated",
            Self::Malformed => "malformed",
            Self::Expired => "expired",
            Self::Early => "early",
            Self::UnknownKey => "unknown_key",
            Self::Address => "address",
            Self::Undecided => "undecided",
            Self::Contradiction => "contradiction",
            Self::Subject => "subject",
        }
    }
}

impl fmt::Display for RefusalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
