//! What a handler can say about a failed attempt.

use std::{error::Error as StdError, fmt, io, time::Duration};

use crate::{BoxError, error::chain};

/// Why an attempt failed, and what is to follow.
///
/// It is made from any error, so that `?` works in a handler. It is no [`std::error::Error`] itself,
/// which is what makes that possible. The attempt is tried again by the
/// [retry policy](super::RetryPolicy), unless a [`GiveUp`] or a [`RetryAfter`] is found in the error or
/// among its sources; the outermost one counts.
///
/// ```
/// use std::time::Duration;
/// use tower_callback::worker::{GiveUp, HandlerError, RetryAfter};
///
/// fn parse(text: &str) -> Result<u64, HandlerError> {
///     if text.is_empty() {
///         return Err(GiveUp::new("nothing will ever come of this").into());
///     }
///     if text == "later" {
///         return Err(RetryAfter::new(Duration::from_secs(30), "asked to wait").into());
///     }
///     Ok(text.parse()?)
/// }
/// # assert!(parse("x").is_err());
/// ```
///
/// The texts of the error and of its sources are kept with the record, at most 4 KiB of them.
pub struct HandlerError(BoxError);

/// What is to follow a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// What the policy says.
    Retry,
    /// Another attempt, no sooner than this.
    RetryAfter(Duration),
    /// Nothing.
    GiveUp,
    /// What only a [room's own records](super::records::Records) say.
    Ruled(Ruled),
}

/// What is to follow where nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruled {
    /// Another look, after this, however often there was one.
    Later(Duration),
    /// Nothing: it is kept for the operator.
    Dead,
    /// Nothing: it is forgotten, and its key is free again.
    Disown,
}

impl HandlerError {
    pub(crate) fn verdict(&self) -> Verdict {
        let mut next: Option<&(dyn StdError + 'static)> = Some(&*self.0);
        while let Some(error) = next {
            if let Some(verdict) = signal(error) {
                return verdict;
            }
            // An `io::Error` names as its source what is behind the error it wraps.
            next = match error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref)
            {
                Some(wrapped) => Some(wrapped),
                None => error.source(),
            };
        }
        Verdict::Retry
    }

    /// The texts of the error and its sources, bounded.
    pub(crate) fn text(&self) -> String {
        chain(&*self.0)
    }
}

fn signal(error: &(dyn StdError + 'static)) -> Option<Verdict> {
    if error.is::<GiveUp>() || error.is::<Box<GiveUp>>() {
        return Some(Verdict::GiveUp);
    }
    let boxed = || {
        error
            .downcast_ref::<Box<RetryAfter>>()
            .map(|boxed| &**boxed)
    };
    let signal = error.downcast_ref::<RetryAfter>().or_else(boxed)?;
    Some(Verdict::RetryAfter(signal.delay))
}

impl<E: Into<BoxError>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HandlerError").field(&self.0).finish()
    }
}

/// An error that no other attempt can mend: the event becomes a dead letter at once.
///
/// Recognised wherever it stands in the error of a handler, also in a box. Its text and source are
/// those of the error it wraps.
#[derive(Debug)]
pub struct GiveUp(BoxError);

impl GiveUp {
    /// Gives up because of this.
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for GiveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for GiveUp {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

/// An error after which the next attempt is to wait, such as the `Retry-After` of an API.
///
/// The delay replaces the one of the [retry policy](super::RetryPolicy), whose total time still ends
/// the retries. Recognised wherever it stands in the error of a handler, also in a box.
#[derive(Debug)]
pub struct RetryAfter {
    delay: Duration,
    error: BoxError,
}

impl RetryAfter {
    /// Waits this long because of that.
    pub fn new(delay: Duration, error: impl Into<BoxError>) -> Self {
        Self {
            delay,
            error: error.into(),
        }
    }
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl StdError for RetryAfter {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{MAX_TEXT, bounded};

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Wrapping(&'static str, #[source] BoxError);

    fn questioned(fail: fn() -> Result<(), BoxError>) -> HandlerError {
        fn inner(fail: fn() -> Result<(), BoxError>) -> Result<(), HandlerError> {
            fail()?;
            Ok(())
        }
        inner(fail).unwrap_err()
    }

    #[test]
    fn any_error_becomes_a_handler_error_and_is_retried() {
        for error in [
            HandlerError::from("text"),
            HandlerError::from(String::from("text")),
            HandlerError::from(io::Error::other("text")),
            questioned(|| Err("text".into())),
        ] {
            assert_eq!(error.verdict(), Verdict::Retry);
            assert_eq!(error.text(), "text");
            assert_eq!(error.to_string(), "text");
        }
    }

    #[test]
    fn signals_are_recognised_bare_boxed_and_down_the_chain() {
        let bare = HandlerError::from(GiveUp::new("no"));
        let boxed = questioned(|| Err(Box::new(GiveUp::new("no"))));
        let wrapped = HandlerError::from(Wrapping("while saving", GiveUp::new("no").into()));
        let twice: BoxError = Box::new(Wrapping(
            "a",
            Wrapping("b", GiveUp::new("no").into()).into(),
        ));
        let in_io = HandlerError::from(io::Error::other(GiveUp::new("no")));
        let typed_box = HandlerError::from(Box::new(GiveUp::new("no")));
        for error in [
            bare,
            boxed,
            wrapped,
            HandlerError::from(twice),
            in_io,
            typed_box,
        ] {
            assert_eq!(error.verdict(), Verdict::GiveUp, "{error:?}");
        }
        let minute = Duration::from_secs(60);
        let later = Wrapping("limited", RetryAfter::new(minute, "429").into());
        assert_eq!(
            HandlerError::from(later).verdict(),
            Verdict::RetryAfter(minute)
        );
    }

    #[test]
    fn the_outermost_signal_counts() {
        let error = RetryAfter::new(Duration::ZERO, Wrapping("x", GiveUp::new("no").into()));
        assert_eq!(
            HandlerError::from(error).verdict(),
            Verdict::RetryAfter(Duration::ZERO)
        );
    }

    #[test]
    fn a_signal_inside_the_signal_keeps_its_text_once() {
        let error = GiveUp::new(Wrapping("outer", "inner".into()));
        assert_eq!(HandlerError::from(error).text(), "outer: inner");
    }

    #[test]
    fn the_text_is_the_whole_chain_without_repeats() {
        let error = Wrapping(
            "saving",
            Wrapping("writing: disk full", "disk full".into()).into(),
        );
        assert_eq!(
            HandlerError::from(error).text(),
            "saving: writing: disk full"
        );
    }

    #[test]
    fn the_text_is_cut_at_4_kib_between_characters() {
        let long = format!("a{}", "ä".repeat(100_000));
        let text = HandlerError::from(long.clone()).text();
        assert_eq!(text.len(), MAX_TEXT - 1);
        assert!(text.ends_with('ä'));
        let chain = Wrapping("outer", long.clone().into());
        assert!(HandlerError::from(chain).text().len() <= MAX_TEXT);
        assert_eq!(bounded(long).len(), MAX_TEXT - 1);
    }
}
