//! Signatures as providers make them.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::{error::BuildError, verify::hmac_sha256};

/// Signs callbacks the way a provider does: the other side of
/// [`KieSignature`](crate::music_video::KieSignature) and of the presets of [`Signature`](crate::Signature).
///
/// ```no_run
/// use tower_callback::testing::{Signer, callback};
///
/// # async fn example() -> Result<(), tower_callback::BoxError> {
/// let signer = Signer::kie("the-key-that-both-sides-know");
/// let answer = callback("task-1").sign(&signer).send("http://127.0.0.1:8080/callback").await?;
/// assert_eq!(answer.status(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Signer {
    scheme: Scheme,
    key: Zeroizing<Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
enum Scheme {
    Kie,
    GitHub,
    Stripe,
    StandardWebhooks,
}

impl Signer {
    /// As kie.ai: over the id of the task and the time, but not the body.
    pub fn kie(key: impl AsRef<str>) -> Self {
        Self::new(Scheme::Kie, key.as_ref().as_bytes())
    }

    /// As GitHub: over the body.
    pub fn github(key: impl AsRef<str>) -> Self {
        Self::new(Scheme::GitHub, key.as_ref().as_bytes())
    }

    /// As Stripe: over the time and the body.
    pub fn stripe(key: impl AsRef<str>) -> Self {
        Self::new(Scheme::Stripe, key.as_ref().as_bytes())
    }

    /// As Standard Webhooks ask for it: over an id, the time and the body. The id is that of the task, the
    /// same for each retry.
    ///
    /// # Errors
    ///
    /// When the secret is not base64, with or without `whsec_` in front. The error does not repeat it.
    pub fn standard_webhooks(secret: impl AsRef<str>) -> Result<Self, BuildError> {
        let secret = secret.as_ref();
        let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
        match BASE64_STANDARD.decode(encoded) {
            Ok(key) => Ok(Self::new(Scheme::StandardWebhooks, &key)),
            Err(_) => Err(BuildError::new(
                "Signer::standard_webhooks",
                "the secret is not base64",
            )),
        }
    }

    fn new(scheme: Scheme, key: &[u8]) -> Self {
        Self {
            scheme,
            key: Zeroizing::new(key.to_vec()),
        }
    }

    /// The headers that prove a callback about this task, with this body, at this time.
    pub fn headers(&self, task_id: &str, body: &[u8], now: SystemTime) -> HeaderMap {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = since.as_secs().to_string();
        let sign = |parts: &[&[u8]]| hmac_sha256(&self.key, parts);
        let pairs = match self.scheme {
            Scheme::Kie => {
                let tag = sign(&[task_id.as_bytes(), b".", time.as_bytes()]);
                vec![
                    ("x-webhook-timestamp", time),
                    ("x-webhook-signature", BASE64_STANDARD.encode(tag)),
                ]
            }
            Scheme::GitHub => {
                let tag = hex(&sign(&[body]));
                vec![("x-hub-signature-256", format!("sha256={tag}"))]
            }
            Scheme::Stripe => {
                let tag = hex(&sign(&[time.as_bytes(), b".", body]));
                vec![("stripe-signature", format!("t={time},v1={tag}"))]
            }
            Scheme::StandardWebhooks => {
                let tag = sign(&[task_id.as_bytes(), b".", time.as_bytes(), b".", body]);
                vec![
                    ("webhook-id", task_id.to_owned()),
                    ("webhook-timestamp", time),
                    (
                        "webhook-signature",
                        format!("v1,{}", BASE64_STANDARD.encode(tag)),
                    ),
                ]
            }
        };
        let header = |(name, value): (&'static str, String)| {
            // An id that no header can carry is left out, and the proof fails.
            let value = HeaderValue::from_str(&value).ok()?;
            Some((HeaderName::from_static(name), value))
        };
        pairs.into_iter().filter_map(header).collect()
    }
}

fn hex(tag: &[u8]) -> String {
    tag.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Request;

    use super::*;
    use crate::{
        MusicVideo, Signature,
        music_video::KieSignature,
        verify::{Presented, Verdict, Verify},
    };

    const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const KEY: &str = "a-key-of-32-characters-or-more-x";

    type Accepts = Box<dyn Fn(&HeaderMap, &[u8]) -> bool>;

    fn accepts(proof: &impl Verify, headers: &HeaderMap, body: &[u8], now: SystemTime) -> bool {
        let (mut head, ()) = Request::post("/").body(()).unwrap().into_parts();
        head.headers = headers.clone();
        let presented = Presented::new(&head, now);
        matches!(proof.verify(&presented.with_body(body)), Verdict::Accept(_))
    }

    #[test]
    fn what_is_signed_is_accepted_by_the_other_side_and_nothing_else_is() {
        let (now, task) = (UNIX_EPOCH + Duration::from_secs(1_735_661_400), "task-1");
        let body = MusicVideo::failed(task, 400, "no").encode();
        let other = MusicVideo::failed("task-2", 400, "no").encode();
        let pairs: [(Signer, Accepts); 4] = [
            (
                Signer::kie(KEY),
                Box::new(move |h, b| accepts(&KieSignature::new(KEY), h, b, now)),
            ),
            (
                Signer::github(KEY),
                Box::new(move |h, b| accepts(&Signature::github(KEY), h, b, now)),
            ),
            (
                Signer::stripe(KEY),
                Box::new(move |h, b| accepts(&Signature::stripe(KEY), h, b, now)),
            ),
            (
                Signer::standard_webhooks(WHSEC).unwrap(),
                Box::new(move |h, b| accepts(&Signature::standard_webhooks(WHSEC), h, b, now)),
            ),
        ];
        for (signer, accepted) in pairs {
            let headers = signer.headers(task, &body, now);
            assert!(accepted(&headers, &body), "{signer:?}");
            assert!(!accepted(&headers, &other), "{signer:?}");
        }
    }

    #[test]
    fn a_secret_that_is_no_base64_is_refused_and_not_shown() {
        let error = Signer::standard_webhooks("whsec_s3cret!").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"));
        assert!(!format!("{:?}", Signer::kie("s3cret")).contains("s3cret"));
    }
}
