//! Callback URLs that prove themselves.

mod base;
mod capability;
mod error;

pub use self::error::MintError;

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use self::{
    base::Base,
    capability::{Capability, MAX_CORRELATION, MAX_KEY_ID},
};
use super::{
    Presented, Refusal, RefusalKind, Secret, Secrets, Setup, Verdict, Verified, Verify,
    single::{parameter, segment},
    token::check_parameter,
};
use crate::{Clock, error::BuildError};

/// A callback URL for one submission, which proves itself: the strongest proof for a provider that
/// signs nothing.
///
/// Each URL carries a capability: a version, the id of a key, when it expires, a correlation id of
/// yours (the order or job that the callback belongs to), and an HMAC-SHA256 over the endpoint's
/// name and all of it. It is checked without a look-up, and the handler finds the id in
/// [`Delivery::correlation`](crate::Delivery::correlation).
///
/// ```
/// use tower_callback::{Callbacks, MemoryStore, MusicVideo, SignedUrl};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (new, old) = ("a-key-of-32-random-bytes-nov-26", "a-key-of-32-random-bytes-oct-26");
/// let signed = SignedUrl::query(
///     "music-video",
///     "https://example.com/music-video-callback",
///     "cap",
///     [("2026-11", new), ("2026-10", old)],
/// );
/// let (callback, worker) = Callbacks::<MusicVideo>::new("music-video", signed.clone())
///     .store(MemoryStore::new())
///     .handle(|delivery| async move {
///         println!("{:?}: {:?}", delivery.correlation(), delivery.event.outcome);
///         Ok(())
///     })
///     .build()?;
///
/// // For each submission:
/// let callback_url = signed.mint("order-1742")?;
/// # assert!(callback_url.starts_with("https://example.com/music-video-callback?cap="));
/// # Ok(()) }
/// ```
///
/// # Keys
///
/// The label of a key is its id, and stands in the URL. The first key signs that has no end, or one
/// after the URL's own; all others verify until theirs. So to rotate, put a new key first, and give
/// the old one an [end](Secret::with_until) that is an expiry from now. A key has at least 16 bytes,
/// since whoever sees a URL can try keys on it at home: use 32 random ones.
///
/// # Security
///
/// What a captured request is worth: until it expires, its URL lets a thief send any event to this
/// endpoint under this correlation id, and to no other. Combine it with
/// [`IpAllowlist`](super::IpAllowlist) where the provider has fixed addresses, and let the handler
/// compare the event's task with the one that it submitted under the id. The URL is minted before
/// the provider names the task, so it cannot hold the task's id. The correlation id can be read by
/// whoever sees the URL, also in an access log.
#[derive(Clone)]
#[must_use]
pub struct SignedUrl {
    endpoint: String,
    place: Place,
    base: Result<Base, &'static str>,
    keys: Secrets,
    expiry: Duration,
    longest: Duration,
    clock: Clock,
    allow_http: bool,
}

#[derive(Clone, Debug)]
enum Place {
    Query(String),
    Segment,
}

/// Keys shorter than this can be guessed by whoever has a URL.
const SHORTEST_KEY: usize = 16;

impl SignedUrl {
    /// How long a URL is good unless it is said otherwise: 25 hours.
    ///
    /// That is a day for the render, after which nobody waits for it any more, and an hour for the
    /// provider's retries, the last of which comes 22 minutes after the first call.
    pub const DEFAULT_EXPIRY: Duration = Duration::from_secs(25 * 60 * 60);

    /// The longest that a URL can be good unless it is said otherwise: 30 days.
    pub const DEFAULT_LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    /// With the capability in a query parameter: `https://example.com/callback?cap=…`. The usual way.
    ///
    /// `endpoint` is the name that [`Callbacks::new`](crate::Callbacks::new) is given, and `base` the
    /// URL under which the provider reaches it.
    pub fn query(
        endpoint: impl Into<String>,
        base: impl AsRef<str>,
        parameter: impl Into<String>,
        keys: impl Into<Secrets>,
    ) -> Self {
        Self::new(
            endpoint.into(),
            base.as_ref(),
            Place::Query(parameter.into()),
            keys.into(),
        )
    }

    /// With the capability as the last segment of the path: `https://example.com/callback/…`, for a
    /// provider that drops queries. `base` is without that segment.
    ///
    /// A layer is mounted at `/callback/{token}` then, and the route of a leaf ends in a segment that
    /// matches anything.
    pub fn segment(
        endpoint: impl Into<String>,
        base: impl AsRef<str>,
        keys: impl Into<Secrets>,
    ) -> Self {
        Self::new(endpoint.into(), base.as_ref(), Place::Segment, keys.into())
    }

    fn new(endpoint: String, base: &str, place: Place, keys: Secrets) -> Self {
        Self {
            base: Base::parse(base, &place),
            endpoint,
            place,
            keys,
            expiry: Self::DEFAULT_EXPIRY,
            longest: Self::DEFAULT_LONGEST,
            clock: Clock::system(),
            allow_http: false,
        }
    }

    /// How long a URL of [`mint`](Self::mint) is good: [25 hours](Self::DEFAULT_EXPIRY) by default.
    pub fn with_expiry(mut self, expiry: Duration) -> Self {
        self.expiry = expiry;
        self
    }

    /// The longest that any URL can be good: [30 days](Self::DEFAULT_LONGEST) by default. The keys of
    /// events must be remembered for as long, so that a captured request is known as a repeat.
    pub fn with_longest(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// Mints on another clock than real time. Expiry is held against the clock of the endpoint: give
    /// both the same.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Ways to use it that make it worth little.
    pub fn dangerous(self) -> DangerousSignedUrl {
        DangerousSignedUrl(self)
    }

    /// A URL for one submission, good for the default time.
    ///
    /// The correlation id is the submission's own on your side: 1 to 128 bytes, no control characters.
    /// It stands in the URL and can be read there.
    ///
    /// # Errors
    ///
    /// When the id cannot be carried, no key lasts long enough, or a setting is wrong that `build`
    /// would have refused.
    pub fn mint(&self, correlation: impl AsRef<str>) -> Result<String, MintError> {
        self.mint_for(correlation, self.expiry)
    }

    /// The same, good for so long from now.
    ///
    /// # Errors
    ///
    /// As [`mint`](Self::mint), and when it is longer than the [longest](Self::with_longest) time.
    pub fn mint_for(
        &self,
        correlation: impl AsRef<str>,
        life: Duration,
    ) -> Result<String, MintError> {
        let base = self.settings().map_err(MintError::Settings)?;
        let correlation = correlation.as_ref();
        if !(1..=MAX_CORRELATION).contains(&correlation.len())
            || correlation.contains(char::is_control)
        {
            return Err(MintError::Correlation);
        }
        let too_long = MintError::TooLong {
            asked: life,
            longest: self.longest,
        };
        if life > self.longest {
            return Err(too_long);
        }
        // To the second, and never longer than asked.
        let now = self.clock.now().max(UNIX_EPOCH);
        let expires = seconds(now.checked_add(life).ok_or(too_long)?);
        let end = UNIX_EPOCH + Duration::from_secs(expires);
        let keys = self.keys.current();
        // They may have been replaced since the settings were looked at.
        let key = (keys.iter().find(|key| key.lasts_until(end))).ok_or(MintError::NoKey)?;
        let capability = Capability {
            key_id: id(key),
            expires,
            correlation,
        };
        let capability = capability.seal(&self.endpoint, key.key());
        Ok(base.with(&self.place, &capability))
    }

    /// What is wrong with the settings by themselves, or the base.
    fn settings(&self) -> Result<&Base, BuildError> {
        if let Place::Query(parameter) = &self.place {
            check_parameter("SignedUrl::query", parameter)?;
        }
        let base = match &self.base {
            Ok(base) => base,
            Err(problem) => {
                return Err(BuildError::new(
                    "SignedUrl",
                    format!("the base URL {problem}"),
                ));
            }
        };
        if base.is_plain() && !self.allow_http {
            return Err(BuildError::new(
                "SignedUrl",
                "the base URL is http://, so everybody on the way can take the capability: use \
                 https://, or `.dangerous().plain_http()` on your own machine",
            ));
        }
        if self.expiry > self.longest {
            return Err(BuildError::new(
                "SignedUrl::with_expiry",
                format!(
                    "{:?} is more than the longest time, {:?}: raise it by `.with_longest(..)`",
                    self.expiry, self.longest
                ),
            ));
        }
        self.keys.require("SignedUrl", good_keys)?;
        Ok(base)
    }

    fn prove(&self, presented: &Presented<'_>) -> Result<Verified, RefusalKind> {
        let text = match &self.place {
            Place::Query(name) => parameter(presented, name)?,
            Place::Segment => segment(presented)?,
        };
        if text.is_empty() {
            return Err(RefusalKind::Missing);
        }
        let opened = capability::open(text).ok_or(RefusalKind::Malformed)?;
        let claim = opened.claim().ok_or(RefusalKind::Malformed)?;
        let key = self.keys.find(presented.arrived(), |key| {
            id(key) == claim.key_id && opened.is_sealed_by(&self.endpoint, key.key())
        });
        let key = match key {
            Err(RefusalKind::Mismatch) if !self.knows(claim.key_id) => {
                return Err(RefusalKind::UnknownKey);
            }
            key => key?,
        };
        if seconds(presented.arrived()) >= claim.expires {
            return Err(RefusalKind::Expired);
        }
        Ok(Verified::assertion()
            .with_matched(&key)
            .with_correlation(claim.correlation))
    }

    fn knows(&self, key_id: &str) -> bool {
        self.keys.current().iter().any(|key| id(key) == key_id)
    }
}

impl Verify for SignedUrl {
    fn verify(&self, presented: &Presented<'_>) -> Verdict {
        match self.prove(presented) {
            Ok(verified) => Verdict::Accept(verified),
            Err(kind) => Verdict::Refuse(Refusal::new(kind, "signed_url")),
        }
    }

    /// The longest time that a URL can be good.
    fn horizon(&self) -> Option<Duration> {
        Some(self.longest)
    }

    fn check(&self, setup: &Setup<'_>) -> Result<(), BuildError> {
        self.settings()?;
        if setup.endpoint != self.endpoint {
            return Err(BuildError::new(
                "SignedUrl",
                format!(
                    "was made for the endpoint {:?} and is used at {:?}: give both the same name",
                    self.endpoint, setup.endpoint
                ),
            ));
        }
        if matches!(self.place, Place::Segment) && setup.has_segment == Some(false) {
            return Err(BuildError::new(
                "layer",
                "the proof reads the capability from the path: mount the layer at a path that ends \
                 in `/{token}`",
            ));
        }
        Ok(())
    }
}

/// Without the base, whose query may hold another proof's secret.
impl fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedUrl")
            .field("endpoint", &self.endpoint)
            .field("place", &self.place)
            .field("keys", &self.keys)
            .field("expiry", &self.expiry)
            .field("longest", &self.longest)
            .finish_non_exhaustive()
    }
}

/// Ways to use signed URLs that make them worth little: made by [`SignedUrl::dangerous`].
#[derive(Clone, Debug)]
#[must_use]
pub struct DangerousSignedUrl(SignedUrl);

impl DangerousSignedUrl {
    /// Takes a base URL that is `http://`.
    ///
    /// # Security
    ///
    /// Everybody between the provider and you can take the capability out of the request. For first
    /// steps on one's own machine.
    pub fn plain_http(self) -> SignedUrl {
        SignedUrl {
            allow_http: true,
            ..self.0
        }
    }
}

/// A key without a label is the one whose id is empty.
fn id(key: &Secret) -> &str {
    key.label().map_or("", |label| label)
}

fn good_keys(keys: &[Secret]) -> Result<(), String> {
    for (at, key) in keys.iter().enumerate() {
        let name = key.name();
        if id(key).len() > MAX_KEY_ID {
            return Err(format!(
                "the label {name:?} is the id of its key and stands in each URL: use at most \
                 {MAX_KEY_ID} bytes"
            ));
        }
        if keys[..at].iter().any(|other| id(other) == id(key)) {
            return Err(format!(
                "two keys have the same id, {name:?}: give each a label of its own"
            ));
        }
        if key.key().len() < SHORTEST_KEY {
            return Err(format!(
                "the key {name} has under {SHORTEST_KEY} bytes and can be guessed from one URL: \
                 use 32 random ones"
            ));
        }
    }
    Ok(())
}

/// Whole seconds since 1970; nothing before it.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
