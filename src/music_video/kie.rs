//! The signature of kie.ai.

use std::{iter, time::Duration};

use super::parse;
use crate::{
    error::BuildError,
    verify::{
        Encoding, Keys, Presented, Refusal, RefusalKind, Secrets, Setup, Tolerance, Verdict,
        Verify, single_header, unix_seconds,
    },
};

/// The signature that kie.ai adds for those who switched it on: `X-Webhook-Signature` is the
/// standard base64 of HMAC-SHA256 over the task's id, a full stop, and `X-Webhook-Timestamp`.
///
/// ```
/// use tower_callback::{Token, Verify, music_video::KieSignature};
///
/// # let (token, key) = ("a-token-of-32-characters-or-more", "a-key-of-32-characters-or-more");
/// let proof = KieSignature::new(key).and(Token::query("token", token));
/// ```
///
/// The id is read from the body by the very parser that reads the [event](super::MusicVideo): a body
/// with two ids, or with none, is refused. The event that follows must be about the signed id. Who has
/// no signature that could be one, or whose time is over, is refused by his head.
///
/// # Security
///
/// **The body is not signed, only the id in it.** Who captured one request can send, for that task and
/// as long as its time is good, whatever `code` and `video_url` he likes. A success is final: if his
/// comes before the provider's, the provider's is a repeat. He cannot touch any other task.
///
/// So combine it by [`and`](Verify::and) with something that he does not have: a
/// [`Token`](crate::Token) or an [`IpAllowlist`](crate::IpAllowlist). By [`or`](Verify::or), the weaker
/// of both decides. And take no URL for good because it was signed: it was not.
#[derive(Clone, Debug)]
pub struct KieSignature {
    keys: Keys,
    tolerance: Tolerance,
}

impl KieSignature {
    /// A signature with one of these keys, which are used as they are shown, byte for byte.
    pub fn new(keys: impl Into<Secrets>) -> Self {
        Self {
            keys: Keys::raw(keys),
            tolerance: Tolerance {
                past: Duration::from_secs(30 * 60),
                ..Tolerance::DEFAULT
            },
        }
    }

    /// How old a signature may be: 30 minutes by default.
    ///
    /// The provider's last retry comes 21 minutes after the first attempt, and nobody knows whether it
    /// is signed afresh. A signature that a retry is refused for costs the result; a longer life gives
    /// whoever captured one more time. How far a signature may be ahead, because clocks differ, is
    /// always 5 minutes.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.tolerance.past = age;
        self
    }
}

impl Verify for KieSignature {
    fn verify(&self, presented: &Presented<'_>) -> Verdict {
        self.decide(presented).unwrap_or_else(Verdict::Refuse)
    }

    fn horizon(&self) -> Option<Duration> {
        Some(self.tolerance.horizon())
    }

    fn check(&self, setup: &Setup<'_>) -> Result<(), BuildError> {
        self.tolerance.check("KieSignature::max_age")?;
        self.keys.check("KieSignature", setup)
    }
}

impl KieSignature {
    fn decide(&self, presented: &Presented<'_>) -> Result<Verdict, Refusal> {
        let refused = |part| move |kind| Refusal::new(kind, part);
        let (headers, arrived) = (presented.headers(), presented.arrived());
        let signature = single_header(headers, "x-webhook-signature")
            .and_then(|text| Encoding::Base64.decode(text).ok_or(RefusalKind::Malformed))
            .map_err(refused("signature"))?;
        let timestamp = single_header(headers, "x-webhook-timestamp")
            .and_then(|text| {
                let signed = unix_seconds(text).ok_or(RefusalKind::Malformed)?;
                self.tolerance.admit(signed, arrived).map(|()| text)
            })
            .map_err(refused("signed timestamp"))?;
        let Some(body) = presented.body() else {
            return Ok(Verdict::NeedsBody);
        };
        let id = parse::task_id(body)
            .ok_or(RefusalKind::Malformed)
            .map_err(refused("signed id"))?;
        let signed = [id.as_bytes(), b".", timestamp];
        let verified = self
            .keys
            .verify(arrived, &signed, iter::once(signature))
            .map_err(refused("signature"))?;
        Ok(Verdict::Accept(verified.with_subject(id)))
    }
}
