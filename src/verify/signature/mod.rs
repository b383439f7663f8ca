//! Signatures by HMAC-SHA256 over what the caller sends.

mod check;
mod encoding;
mod keys;
mod presets;
mod timestamp;

pub use self::encoding::Encoding;
pub(crate) use self::{
    keys::Keys,
    timestamp::{Tolerance, unix_seconds},
};

use std::time::Duration;

use super::{
    Presented, Refusal, RefusalKind, Secrets, Setup, Verdict, Verify,
    mac::TAG,
    single::{header, only},
};
use crate::error::BuildError;

/// A signature in binary.
type Tag = [u8; TAG];

/// A signature over the body, by HMAC-SHA256 with a secret that the provider has too.
///
/// For three ways of signing there is a preset: [`github`](Self::github), [`stripe`](Self::stripe)
/// and [`standard_webhooks`](Self::standard_webhooks). Others are put together:
///
/// ```
/// use tower_callback::verify::Signature;
///
/// # let secret = "8f742231b10e8888abcd99yyyzzz85a5";
/// // Slack signs `v0:{timestamp}:{body}`.
/// let proof = Signature::hmac_sha256("x-slack-signature", secret)
///     .prefix("v0=")
///     .timestamp_header("x-slack-request-timestamp")
///     .signed_prefix("v0")
///     .separator(":");
/// ```
///
/// What is signed are the bytes of the body as they came, whether they are text or not.
///
/// # What it costs to be refused
///
/// Who has no signature that could be one is refused by his head: none, one that is given twice, none
/// that can be read, no time or id where one is signed, a time outside the
/// [tolerance](Self::tolerance). All others are read up to the
/// [limit before proof](crate::Callbacks::unproven_body_limit), in one of the
/// [places](crate::Callbacks::unproven_bodies) that all such callers share.
///
/// Where the header holds a [list](Self::list), one signature that matches is enough, whatever else
/// stands in it.
///
/// # Security
///
/// Nobody can alter a request that he captured, and what it is worth to him depends on what is signed:
///
/// - With a time, he can send it again until the tolerance is over; it is the same event then. The
///   body is signed, and so is an [id](Self::id_header): take the event's
///   [key](crate::Event::key) from one of them and from no other header, and every repeat is
///   recognised.
/// - Without a time, he can send it again for ever. It is recognised as long as the event's key is
///   [kept](crate::store::Retention): add a [`Token`](super::Token) or an
///   [`IpAllowlist`](super::IpAllowlist) with [`and`](Verify::and) if a repeat after that does harm.
///
/// Method, path and other headers are not signed. The provider's own copy of the secret can make
/// signatures too, and so can everybody who reads it there: use one secret for each endpoint.
#[derive(Clone, Debug)]
pub struct Signature {
    header: String,
    prefix: String,
    encoding: Encoding,
    list: Option<char>,
    id: Option<String>,
    id_is_subject: bool,
    timestamp: Option<Timestamp>,
    tolerance: Option<Duration>,
    signed_prefix: Option<String>,
    separator: String,
    keys: Keys,
}

/// Where the time stands at which a request was signed.
#[derive(Clone, Debug)]
enum Timestamp {
    Header(String),
    /// In the list of signatures, after this prefix.
    Listed(String),
}

impl Signature {
    /// A signature over the body alone, in a header that holds nothing but its 64 hexadecimal digits.
    pub fn hmac_sha256(header: impl Into<String>, secrets: impl Into<Secrets>) -> Self {
        Self {
            header: header.into(),
            prefix: String::new(),
            encoding: Encoding::Hex,
            list: None,
            id: None,
            id_is_subject: false,
            timestamp: None,
            tolerance: None,
            signed_prefix: None,
            separator: ".".to_owned(),
            keys: Keys::raw(secrets),
        }
    }

    /// What stands in the header before each signature, such as `sha256=`. Without it, something is no
    /// signature.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How a signature is written: [`Encoding::Hex`] by default.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// The header holds several signatures, with this character between them, as providers send them
    /// while they change their secret. What is none of them is passed over.
    #[must_use]
    pub fn list(mut self, separator: char) -> Self {
        self.list = Some(separator);
        self
    }

    /// The time at which the request was signed stands in this header, as Unix seconds, and is signed
    /// before the body.
    #[must_use]
    pub fn timestamp_header(mut self, name: impl Into<String>) -> Self {
        self.timestamp = Some(Timestamp::Header(name.into()));
        self
    }

    /// The time at which the request was signed stands in the [list](Self::list) of signatures, after
    /// a prefix of its own such as `t=`, as Unix seconds, and is signed before the body.
    #[must_use]
    pub fn timestamp_in_list(mut self, prefix: impl Into<String>) -> Self {
        self.timestamp = Some(Timestamp::Listed(prefix.into()));
        self
    }

    /// How far the time at which the request was signed may lie before or after its arrival: 5 minutes
    /// by default, which is what Stripe and Standard Webhooks recommend.
    ///
    /// A provider that does not sign its retries afresh needs as much as its last retry comes late.
    #[must_use]
    pub fn tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// An id stands in this header, and is signed first, before the time.
    ///
    /// It is a good [key](crate::Event::key) for the event: name the header in the event's
    /// [`HEADERS`](crate::Event::HEADERS).
    #[must_use]
    pub fn id_header(mut self, name: impl Into<String>) -> Self {
        self.id = Some(name.into());
        self
    }

    /// The [signed id](Self::id_header) is the [subject](crate::Event::subject) of the event, and an
    /// event that has another one, or none, is refused.
    ///
    /// For providers that sign the id of what the event is about: a task, an order. By default the
    /// signed id is that of the message, which the body need not repeat, and is compared with nothing.
    #[must_use]
    pub fn id_is_subject(mut self) -> Self {
        self.id_is_subject = true;
        self
    }

    /// A constant that is signed before everything else.
    #[must_use]
    pub fn signed_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.signed_prefix = Some(prefix.into());
        self
    }

    /// What is signed between constant, id, time and body: a full stop by default.
    ///
    /// It may be nothing unless an id or a time is signed, since bytes could move from the body into
    /// them; with a time it has no digit, and with an id it is one character.
    #[must_use]
    pub fn separator(mut self, separator: impl Into<String>) -> Self {
        self.separator = separator.into();
        self
    }

    /// The secrets hold their keys in base64, with or without `whsec_` in front. By default, the
    /// bytes of a secret are the key.
    #[must_use]
    pub fn base64_secrets(mut self) -> Self {
        self.keys = self.keys.in_base64();
        self
    }

    /// What the head claims, if it could be right.
    fn claim<'a>(&self, presented: &Presented<'a>) -> Result<Claim<'a>, Refusal> {
        let headers = presented.headers();
        let signatures = header(headers, &self.header).map_err(refusal(SIGNATURE))?;
        let id = match &self.id {
            None => None,
            Some(name) => Some(
                header(headers, name)
                    .and_then(|id| self.unmistakable(id))
                    .map_err(refusal("signed id"))?,
            ),
        };
        let timestamp = match &self.timestamp {
            None => None,
            Some(place) => Some(
                match place {
                    Timestamp::Header(name) => header(headers, name),
                    Timestamp::Listed(prefix) => only(self.listed(signatures, prefix)),
                }
                .and_then(|text| self.timely(text, presented))
                .map_err(refusal("signed timestamp"))?,
            ),
        };
        let claim = Claim {
            signatures,
            id,
            timestamp,
        };
        if self.tags(&claim).next().is_none() {
            return Err(Refusal::new(RefusalKind::Malformed, SIGNATURE));
        }
        Ok(claim)
    }

    /// An id that could end in two places would let whoever captured a request move bytes from the
    /// body into it.
    fn unmistakable<'a>(&self, id: &'a [u8]) -> Result<&'a [u8], RefusalKind> {
        let separator = self.separator.as_bytes();
        if id.is_empty() {
            return Err(RefusalKind::Missing);
        }
        if separator.is_empty() || id.windows(separator.len()).any(|part| part == separator) {
            return Err(RefusalKind::Malformed);
        }
        // A subject is text.
        if self.id_is_subject && str::from_utf8(id).is_err() {
            return Err(RefusalKind::Malformed);
        }
        Ok(id)
    }

    fn timely<'a>(
        &self,
        text: &'a [u8],
        presented: &Presented<'_>,
    ) -> Result<&'a [u8], RefusalKind> {
        // Digits could move from the body into the time.
        if self.separator.is_empty() {
            return Err(RefusalKind::Malformed);
        }
        let signed = unix_seconds(text).ok_or(RefusalKind::Malformed)?;
        let tolerance = self.window();
        tolerance.admit(signed, presented.arrived()).map(|()| text)
    }

    /// What stands in the header after a prefix.
    fn listed<'a>(&self, value: &'a [u8], prefix: &str) -> impl Iterator<Item = &'a [u8]> + Clone {
        let list = self.list;
        value
            .split(move |byte| list == Some(char::from(*byte)))
            .filter_map(move |item| item.strip_prefix(prefix.as_bytes()))
    }

    /// The signatures that can be read. One that cannot does not hide the others.
    fn tags(&self, claim: &Claim<'_>) -> impl Iterator<Item = Tag> + Clone {
        let encoding = self.encoding;
        self.listed(claim.signatures, &self.prefix)
            .filter_map(move |text| encoding.decode(text))
    }

    /// What is signed for a piece before the body: itself and what separates it.
    fn piece<'a>(&'a self, piece: Option<&'a [u8]>) -> [&'a [u8]; 2] {
        piece.map_or([&[], &[]], |piece| [piece, self.separator.as_bytes()])
    }

    fn window(&self) -> Tolerance {
        self.tolerance
            .map_or(Tolerance::DEFAULT, Tolerance::both_ways)
    }
}

/// What a head claims: that one of these is the signature.
struct Claim<'a> {
    signatures: &'a [u8],
    id: Option<&'a [u8]>,
    timestamp: Option<&'a [u8]>,
}

impl Verify for Signature {
    fn verify(&self, presented: &Presented<'_>) -> Verdict {
        let claim = match self.claim(presented) {
            Ok(claim) => claim,
            Err(refusal) => return Verdict::Refuse(refusal),
        };
        let Some(body) = presented.body() else {
            return Verdict::NeedsBody;
        };
        let [constant, after_constant] =
            self.piece(self.signed_prefix.as_deref().map(str::as_bytes));
        let [id, after_id] = self.piece(claim.id);
        let [timestamp, after_timestamp] = self.piece(claim.timestamp);
        let signed = [
            constant,
            after_constant,
            id,
            after_id,
            timestamp,
            after_timestamp,
            body,
        ];
        let verified = self
            .keys
            .verify(presented.arrived(), &signed, self.tags(&claim));
        match verified {
            Ok(verified) => Verdict::Accept(match claim.id {
                Some(id) if self.id_is_subject => {
                    verified.with_subject(String::from_utf8_lossy(id))
                }
                _ => verified,
            }),
            Err(kind) => Verdict::Refuse(Refusal::new(kind, SIGNATURE)),
        }
    }

    fn horizon(&self) -> Option<Duration> {
        self.timestamp.as_ref().map(|_| self.window().horizon())
    }

    fn check(&self, setup: &Setup<'_>) -> Result<(), BuildError> {
        self.check_settings()?;
        self.keys.check("Signature", setup)
    }
}

const SIGNATURE: &str = "signature";

fn refusal(part: &'static str) -> impl Fn(RefusalKind) -> Refusal {
    move |kind| Refusal::new(kind, part)
}
