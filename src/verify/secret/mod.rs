//! Shared secrets, several at once.

mod current;
mod error;
#[cfg(test)]
mod schedules;
mod secrets;
mod source;
mod until;

mod sync {
    pub(super) use std::sync::{Mutex, RwLock};
}

#[cfg(feature = "client")]
pub(crate) use self::until::parse as parse_time;
pub use self::{error::SecretsError, secrets::Secrets};

use std::{fmt, sync::Arc, time::SystemTime};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// One shared secret, with a label that says which one it is, and a date when it ends.
///
/// Its bytes are wiped from memory when the last clone is dropped, and `Debug` shows nothing but
/// label and end. What it was made from is yours to wipe.
#[derive(Clone)]
pub struct Secret {
    bytes: Arc<Bytes>,
    label: Option<Arc<str>>,
    until: Option<SystemTime>,
}

struct Bytes {
    key: Zeroizing<Box<[u8]>>,
    /// Compared in its place, so that the time it takes says nothing about the secret's length.
    form: Form,
}

impl Secret {
    /// A secret without label and end.
    pub fn new(secret: impl AsRef<str>) -> Self {
        Self::from_bytes(secret.as_ref())
    }

    /// A secret that is not text: the key of a signature.
    pub fn from_bytes(secret: impl AsRef<[u8]>) -> Self {
        let key: Box<[u8]> = secret.as_ref().into();
        Self {
            bytes: Arc::new(Bytes {
                form: Form::of(&key),
                key: key.into(),
            }),
            label: None,
            until: None,
        }
    }

    /// Names the secret, for traces: `"2026-11"`.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Arc<str>>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Retires the secret: it is good until then and no longer. As long as it matches, a warning
    /// says that it is still in use.
    #[must_use]
    pub fn with_until(mut self, end: SystemTime) -> Self {
        self.until = Some(end);
        self
    }

    /// The bytes themselves.
    pub(crate) fn key(&self) -> &[u8] {
        &self.bytes.key
    }

    pub(super) fn label(&self) -> Option<&Arc<str>> {
        self.label.as_ref()
    }

    /// Whether it is good at that time.
    pub(super) fn is_valid_at(&self, time: SystemTime) -> bool {
        self.until.is_none_or(|end| time < end)
    }

    /// Whether it is good at any time before that one.
    pub(super) fn lasts_until(&self, time: SystemTime) -> bool {
        self.until.is_none_or(|end| end >= time)
    }

    /// Whether it has an end.
    pub(super) fn is_retiring(&self) -> bool {
        self.until.is_some()
    }

    /// Its name in an error of the builder.
    pub(super) fn name(&self) -> &str {
        self.label.as_deref().unwrap_or("without a label")
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Self::new(secret)
    }
}

/// The text is wiped.
impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self::new(Zeroizing::new(secret).as_str())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("label", &self.label)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// What a caller presents as the secret itself, ready to be compared.
pub(super) struct Guess(Form);

impl Guess {
    pub(super) fn new(presented: &[u8]) -> Self {
        Self(Form::of(presented))
    }

    /// Forms are compared, each to its end.
    pub(super) fn is(&self, secret: &Secret) -> bool {
        secret.bytes.form.0.ct_eq(&*self.0.0).into()
    }
}

/// What stands for a secret, or a guess, when the two are compared. It is of one size, so that the time
/// this takes says nothing about the secret's length.
struct Form(Zeroizing<[u64; Form::WORDS + 1]>);

impl Form {
    /// Up to 64 bytes are their own form, padded: a hash would take twenty times as long. Of longer ones
    /// it is their SHA-256.
    const WORDS: usize = 8;

    fn of(bytes: &[u8]) -> Self {
        let mut form = Self(Zeroizing::new([0; Self::WORDS + 1]));
        if bytes.len() <= Self::WORDS * 8 {
            form.pack(bytes);
        } else {
            form.pack(&Sha256::digest(bytes));
        }
        // Tells bytes from their padding, and from a hash.
        form.0[Self::WORDS] = bytes.len() as u64;
        form
    }

    fn pack(&mut self, bytes: &[u8]) {
        let (whole, rest) = bytes.as_chunks();
        for (word, bytes) in self.0.iter_mut().zip(whole) {
            *word = u64::from_le_bytes(*bytes);
        }
        for (n, byte) in rest.iter().enumerate() {
            self.0[whole.len()] |= u64::from(*byte) << (8 * n);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_is_the_secret_if_it_is_the_same_bytes_and_only_then() {
        let bytes: Vec<u8> = (1..=200).collect();
        for len in [0, 1, 7, 8, 9, 31, 32, 63, 64, 65, 100, 199] {
            let secret = Secret::from_bytes(&bytes[..len]);
            assert!(Guess::new(&bytes[..len]).is(&secret), "{len}");
            assert!(!Guess::new(&bytes[..len + 1]).is(&secret), "{len}");
            let padded = [&bytes[..len], b"\0"].concat();
            assert!(!Guess::new(&padded).is(&secret), "{len}");
            for at in 0..len {
                assert!(!Guess::new(&bytes[..at]).is(&secret), "{at} of {len}");
                let mut other = bytes[..len].to_vec();
                other[at] ^= 0x80;
                assert!(!Guess::new(&other).is(&secret), "{at} of {len}");
            }
        }
    }

    #[test]
    fn up_to_64_bytes_nothing_is_hashed() {
        assert_eq!(Form::of(&[7; 64]).0[..8], [0x0707_0707_0707_0707; 8]);
    }

    #[test]
    fn the_hash_of_a_long_secret_is_no_guess_of_it() {
        let long = [7; 65];
        let hash = Sha256::digest(long);
        assert!(!Guess::new(&hash).is(&Secret::from_bytes(long)));
    }
}
