//! Shared secrets, several at once.

use std::{fmt, sync::Arc};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Setup;
use crate::error::BuildError;

/// One shared secret, with a label that says which one it is.
///
/// Only its SHA-256 is held, and `Debug` shows nothing but the label.
#[derive(Clone)]
pub struct Secret {
    label: Option<Arc<str>>,
    digest: [u8; 32],
    form: Form,
}

/// What the builder has to know of a secret that is no longer there.
#[derive(Clone, Copy)]
struct Form {
    len: usize,
    /// Unreserved characters of RFC 3986: what no client, proxy or provider rewrites in a URL.
    unreserved: bool,
    /// Visible ASCII: what fits into a header.
    visible: bool,
}

impl Secret {
    /// A secret without a label.
    pub fn new(secret: impl AsRef<str>) -> Self {
        let secret = secret.as_ref().as_bytes();
        Self {
            label: None,
            digest: digest(secret),
            form: Form {
                len: secret.len(),
                unreserved: secret
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(b)),
                visible: secret.iter().all(u8::is_ascii_graphic),
            },
        }
    }

    /// Names the secret, for traces and metrics: `"2026-11"`.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Arc<str>>) -> Self {
        self.label = Some(label.into());
        self
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

/// The secrets that are good at the same time, so that one can replace another while callbacks with
/// the old one are still on their way.
///
/// Made from one secret (`"…"`, `String`, [`Secret`]) or from several, with labels:
/// `[("2026-11", new), ("2026-10", old)]`.
#[derive(Clone, Debug)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// The secret that was presented, if it is one of these.
    ///
    /// # Security
    ///
    /// Digests are compared, all of them and each to its end, so that the time it takes says
    /// nothing about how much of a guess was right.
    pub(super) fn find(&self, presented: &[u8]) -> Option<&Secret> {
        let presented = digest(presented);
        self.0.iter().fold(None, |found, secret| {
            let equal: bool = secret.digest.ct_eq(&presented).into();
            found.or(equal.then_some(secret))
        })
    }

    pub(super) fn check(&self, place: Place, setup: &Setup<'_>) -> Result<(), BuildError> {
        if self.0.is_empty() {
            return Err(BuildError::new(
                "Token",
                "has no secret: give it at least one",
            ));
        }
        for secret in &self.0 {
            let Form {
                len,
                unreserved,
                visible,
            } = secret.form;
            let name = secret.label.as_deref().unwrap_or("without a label");
            if len == 0 {
                return Err(BuildError::new(
                    "Token",
                    format!("the secret {name} is empty: is its environment variable set?"),
                ));
            }
            if place == Place::Url && !unreserved {
                return Err(BuildError::new(
                    "Token",
                    format!(
                        "the secret {name} has characters that change on their way through a URL: \
                         use letters, digits, and - . _ ~ only"
                    ),
                ));
            }
            if !visible {
                return Err(BuildError::new(
                    "Token",
                    format!(
                        "the secret {name} has characters that no header can carry: use visible \
                         ASCII without spaces (is there a line feed at its end?)"
                    ),
                ));
            }
            if len < SHORT {
                tracing::warn!(
                    endpoint = setup.endpoint,
                    label = secret.label.as_deref(),
                    "a secret of under {SHORT} characters can be guessed: use 32 random ones"
                );
            }
        }
        Ok(())
    }

    /// The label of a secret that matched.
    pub(super) fn label(secret: &Secret) -> Option<Arc<str>> {
        secret.label.clone()
    }
}

/// Secrets shorter than this are warned about.
const SHORT: usize = 16;

/// Where a secret travels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Url,
    Header,
}

fn digest(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

impl From<Secret> for Secrets {
    fn from(secret: Secret) -> Self {
        Self(vec![secret])
    }
}

impl From<&str> for Secrets {
    fn from(secret: &str) -> Self {
        Secret::new(secret).into()
    }
}

impl From<String> for Secrets {
    fn from(secret: String) -> Self {
        Secret::new(secret).into()
    }
}

impl From<&String> for Secrets {
    fn from(secret: &String) -> Self {
        Secret::new(secret).into()
    }
}

impl From<Vec<Secret>> for Secrets {
    fn from(secrets: Vec<Secret>) -> Self {
        Self(secrets)
    }
}

impl<const N: usize> From<[Secret; N]> for Secrets {
    fn from(secrets: [Secret; N]) -> Self {
        Self(secrets.into())
    }
}

impl<L: Into<Arc<str>>, S: AsRef<str>, const N: usize> From<[(L, S); N]> for Secrets {
    fn from(secrets: [(L, S); N]) -> Self {
        secrets.into_iter().collect()
    }
}

impl<L: Into<Arc<str>>, S: AsRef<str>> FromIterator<(L, S)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (L, S)>>(secrets: I) -> Self {
        Self(
            secrets
                .into_iter()
                .map(|(label, secret)| Secret::new(secret).with_label(label))
                .collect(),
        )
    }
}
