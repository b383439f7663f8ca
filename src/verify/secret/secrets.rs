//! The secrets that are good at the same time.

use std::{fmt, path::PathBuf, sync::Arc, time::SystemTime};

use zeroize::Zeroizing;

use super::{
    Secret, SecretsError,
    current::{self, Current},
    source::Source,
};
use crate::{error::BuildError, verify::RefusalKind};

/// The secrets that are good at the same time, so that one can replace another while callbacks with
/// the old one are still on their way.
///
/// Made from one secret (`"…"`, `String`, [`Secret`]), from several, with labels
/// (`[("2026-11", new), ("2026-10", old)]`), or from an [environment variable](Self::from_env) or a
/// [file](Self::from_file).
///
/// A clone is a handle of the same secrets: keep one, and [`reload`](Self::reload) or
/// [`replace`](Self::replace) changes them in every proof that has another. A request sees the old
/// ones or the new ones, never some of both, and none is dropped.
///
/// ```no_run
/// use tower_callback::verify::{Secrets, Token};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let secrets = Secrets::from_file("/run/secrets/callback")?;
/// let proof = Token::query("token", secrets.clone());
/// // When the file has changed, on SIGHUP or by a timer:
/// if let Err(error) = secrets.reload() {
///     eprintln!("the old secrets stay: {error}");
/// }
/// # Ok(()) }
/// ```
///
/// # Rotation
///
/// Put the new secret first, and give the old one an [end](Secret::with_until). Every callback that
/// still comes with the old one is a warning with its label; when there are none any more, it can go.
#[derive(Clone)]
pub struct Secrets(Arc<Shared>);

struct Shared {
    list: Current<Secret>,
    source: Source,
}

/// What a proof asks of its secrets; the error says how to mend them, and never shows one.
pub(in crate::verify) type Rule = current::Rule<Secret>;

impl Secrets {
    /// The secrets in an environment variable, in the form of a [file](Self::from_file): a variable
    /// with one word holds one secret without a label.
    ///
    /// # Errors
    ///
    /// When the variable is not set, or one of its lines cannot be read.
    pub fn from_env(variable: impl Into<String>) -> Result<Self, SecretsError> {
        Self::load(Source::Env(variable.into()))
    }

    /// The secrets in a file, one in each line: a label, the secret, and for one that retires its end,
    /// as RFC 3339 or as Unix seconds.
    ///
    /// ```text
    /// # Lines like this one are skipped.
    /// 2026-11  Ck6Wc9cAq5Xs1nZt7eRj0vLp3mBy8fUd
    /// 2026-10  Yh2Tg4Dk9wQo5rNx1sJz7aVb3cPe6uMi  2026-12-01T00:00:00Z
    /// ```
    ///
    /// A line with one word is a secret without a label. One whose secret is under 16 bytes and shorter
    /// than its label is refused: the two seem to be swapped, and labels are traced.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is larger than 64 KiB, holds no secret, or has a line that cannot
    /// be read. The error names the line, and quotes nothing of it.
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Self, SecretsError> {
        Self::load(Source::File(path.into()))
    }

    fn load(source: Source) -> Result<Self, SecretsError> {
        Ok(Self::new(source.read()?, source))
    }

    fn new(list: Vec<Secret>, source: Source) -> Self {
        Self(Arc::new(Shared {
            list: Current::new(list.into()),
            source,
        }))
    }

    /// Puts others in place of these, here and in every clone, while requests come.
    ///
    /// # Errors
    ///
    /// When a proof that uses these secrets could not use the others: the old ones stay.
    pub fn replace(&self, others: impl IntoIterator<Item = Secret>) -> Result<(), SecretsError> {
        self.swap(others.into_iter().collect(), "the new secrets")
    }

    /// Reads the environment variable or the file again.
    ///
    /// # Errors
    ///
    /// As [`from_env`](Self::from_env), [`from_file`](Self::from_file) and [`replace`](Self::replace);
    /// also for secrets that came from neither. The old ones stay.
    pub fn reload(&self) -> Result<(), SecretsError> {
        self.swap(self.0.source.read()?.into(), &self.0.source.place())
    }

    fn swap(&self, others: Arc<[Secret]>, place: &str) -> Result<(), SecretsError> {
        let replaced = self.0.list.replace(others, not_empty);
        replaced.map_err(|problem| SecretsError::new(place, problem))
    }

    /// The secrets as they are now, also those past their end.
    pub(in crate::verify) fn current(&self) -> Arc<[Secret]> {
        self.0.list.get()
    }

    /// The secret that matches, at the time when the request arrived.
    ///
    /// One that is past its end, or matches nothing, is told by the kind of the refusal. Of several
    /// that match, one that stays goes before one that retires.
    ///
    /// # Security
    ///
    /// All of them are asked, so that the time it takes does not say which one it was. `matches` is
    /// true or false in constant time, and false for a key that it cannot use.
    pub(in crate::verify) fn find(
        &self,
        arrived: SystemTime,
        matches: impl Fn(&Secret) -> bool,
    ) -> Result<Secret, RefusalKind> {
        let list = self.current();
        let found = list.iter().fold(None, |found: Option<&Secret>, secret| {
            let matched = matches(secret);
            let better = found.is_none_or(|found| rank(found, arrived) < rank(secret, arrived));
            if matched && better {
                Some(secret)
            } else {
                found
            }
        });
        match found {
            Some(secret) if secret.is_valid_at(arrived) => Ok(secret.clone()),
            Some(_) => Err(RefusalKind::Expired),
            None => Err(RefusalKind::Mismatch),
        }
    }

    /// Holds the secrets against what a proof asks of them, now and whenever they are replaced.
    ///
    /// A list without secrets, and a secret without bytes, is refused in any case.
    pub(in crate::verify) fn require(
        &self,
        setting: &'static str,
        rule: Rule,
    ) -> Result<(), BuildError> {
        let met = self.0.list.require(setting, rule, not_empty);
        met.map_err(|problem| BuildError::new(setting, problem))
    }
}

/// Which of two that match is told: higher is better.
fn rank(secret: &Secret, time: SystemTime) -> (bool, bool) {
    (secret.is_valid_at(time), !secret.is_retiring())
}

/// The empty key is one that everybody has.
fn not_empty(list: &[Secret]) -> Result<(), String> {
    if list.is_empty() {
        return Err("has no secret: give it at least one".to_owned());
    }
    match list.iter().find(|secret| secret.key().is_empty()) {
        Some(secret) => Err(format!(
            "the secret {} is empty: is its environment variable set?",
            secret.name()
        )),
        None => Ok(()),
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secrets").field(&self.current()).finish()
    }
}

impl From<Secret> for Secrets {
    fn from(secret: Secret) -> Self {
        vec![secret].into()
    }
}

impl From<&str> for Secrets {
    fn from(secret: &str) -> Self {
        Secret::new(secret).into()
    }
}

/// The string is wiped.
impl From<String> for Secrets {
    fn from(secret: String) -> Self {
        let secret = Zeroizing::new(secret);
        Secret::new(secret.as_str()).into()
    }
}

impl From<&String> for Secrets {
    fn from(secret: &String) -> Self {
        Secret::new(secret).into()
    }
}

impl From<Vec<Secret>> for Secrets {
    fn from(secrets: Vec<Secret>) -> Self {
        Self::new(secrets, Source::Values)
    }
}

impl<const N: usize> From<[Secret; N]> for Secrets {
    fn from(secrets: [Secret; N]) -> Self {
        Vec::from(secrets).into()
    }
}

impl<L: Into<Arc<str>>, S: AsRef<str>, const N: usize> From<[(L, S); N]> for Secrets {
    fn from(secrets: [(L, S); N]) -> Self {
        secrets.into_iter().collect()
    }
}

impl<L: Into<Arc<str>>, S: AsRef<str>> FromIterator<(L, S)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (L, S)>>(secrets: I) -> Self {
        let labelled = |(label, secret): (L, S)| Secret::new(secret).with_label(label);
        Vec::from_iter(secrets.into_iter().map(labelled)).into()
    }
}
