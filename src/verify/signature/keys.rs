//! Secrets as the keys of signatures.

use std::time::SystemTime;

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::Tag;
use crate::{
    error::BuildError,
    verify::{RefusalKind, Secret, Secrets, Setup, Verified, mac},
};

/// Secrets as the keys of signatures.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    secrets: Secrets,
    form: Form,
}

/// How a secret holds its key.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// As it is.
    Raw,
    /// In base64, with or without `whsec_` in front.
    Base64,
}

impl Keys {
    /// The secrets are the keys, byte for byte.
    pub(crate) fn raw(secrets: impl Into<Secrets>) -> Self {
        Self {
            secrets: secrets.into(),
            form: Form::Raw,
        }
    }

    /// The secrets hold the keys in base64, with or without `whsec_` in front.
    pub(super) fn in_base64(mut self) -> Self {
        self.form = Form::Base64;
        self
    }

    /// Accepts who has a key that made one of these signatures.
    ///
    /// # Security
    ///
    /// Every key is held against every signature, each to its end: the time it takes does not say
    /// which one was right, or how much of one.
    pub(crate) fn verify(
        &self,
        arrived: SystemTime,
        signed: &[&[u8]],
        signatures: impl Iterator<Item = Tag> + Clone,
    ) -> Result<Verified, RefusalKind> {
        let secret = self.secrets.find(arrived, |secret| {
            let made = match self.form {
                // Everybody can sign with the empty key.
                Form::Raw if secret.key().is_empty() => return false,
                Form::Raw => mac::sign(secret.key(), signed),
                Form::Base64 => match decode(secret.key()) {
                    Some(key) => mac::sign(&key, signed),
                    None => return false,
                },
            };
            let one = |found: Choice, signature: Tag| found | signature.ct_eq(&made);
            signatures.clone().fold(Choice::from(0), one).into()
        })?;
        Ok(Verified::assertion().with_matched(&secret))
    }

    /// What a builder has to say of the keys.
    pub(crate) fn check(&self, setting: &'static str, setup: &Setup<'_>) -> Result<(), BuildError> {
        match self.form {
            Form::Raw => self.secrets.require(setting, |_| Ok(()))?,
            // A name of its own, since each name stands for one rule, also when the secrets are shared.
            Form::Base64 => (self.secrets).require("Signature::base64_secrets", all_decode)?,
        }
        for secret in &*self.secrets.current() {
            let label = secret.label().map(|label| &**label);
            let endpoint = setup.endpoint;
            let len = match self.form {
                Form::Raw => secret.key().len(),
                Form::Base64 => decode(secret.key()).map_or(0, |key| key.len()),
            };
            if len < SHORT {
                tracing::warn!(
                    endpoint,
                    label,
                    "a key of under {SHORT} bytes can be guessed from one signature: use 32 random ones"
                );
            }
            if secret.key().last().is_some_and(u8::is_ascii_whitespace) {
                tracing::warn!(
                    endpoint,
                    label,
                    "a key ends in white space: is there a line feed at its end that the provider does not have?"
                );
            }
        }
        Ok(())
    }
}

/// Keys shorter than this are warned about.
const SHORT: usize = 16;

fn all_decode(secrets: &[Secret]) -> Result<(), String> {
    match secrets.iter().find(|secret| decode(secret.key()).is_none()) {
        Some(secret) => Err(format!(
            "the secret {} is no base64: copy it whole, as `whsec_…`",
            secret.name()
        )),
        None => Ok(()),
    }
}

/// The key in a `whsec_…`. Some providers leave out the prefix, and some the padding.
fn decode(secret: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let text = secret.strip_prefix(b"whsec_").unwrap_or(secret);
    // All of the room at once: a vector that grows leaves copies behind.
    let mut key = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let len = LENIENT.decode_slice(text, &mut key).ok()?;
    key.truncate(len);
    (len > 0).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_with_or_without_prefix_and_padding() {
        for text in ["whsec_a2V5MQ==", "a2V5MQ==", "whsec_a2V5MQ", "a2V5MQ"] {
            assert_eq!(**decode(text.as_bytes()).unwrap(), *b"key1", "{text}");
        }
    }

    #[test]
    fn what_is_no_base64_or_holds_nothing_is_no_key() {
        for text in [
            "",
            "whsec_",
            "whsec_a2V5MQ==\n",
            "whsec_a2V5 MQ==",
            "v1,whsec_a2V5MQ==",
            "whsec_a2V5MR==",
            "whsec_a2V5MQ=a",
            "whsec_a2V5M",
            "WHSEC_a2V5MQ==",
            "whsec_a2V5-Q==",
        ] {
            assert!(decode(text.as_bytes()).is_none(), "{text}");
        }
    }
}
