//! From settings to a client.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::{Url, header::HeaderValue, redirect, retry};
use zeroize::Zeroizing;

use super::{Client, Limiter, Shared};
use crate::{BuildError, Clock, RetryPolicy, verify::Secret};

/// Builds a [`Client`]: made by [`Client::builder`].
///
/// | setting | default | why |
/// | --- | --- | --- |
/// | [timeout](Self::with_timeout) | 30 s | the provider answers in under a second, but what was submitted and not answered is nobody's |
/// | [rate limit](Self::with_rate_limit) | 20 per 10 s | the documented limit of a sibling |
/// | [retries](Self::with_retries) | half a second doubling to 10 s, 30 s in all | long enough for a restart at the provider, short enough for somebody who waits |
/// | [code 429](Self::with_code_429) | not known | it means two things, and a guess is wrong at one of the siblings |
#[derive(Clone)]
#[must_use]
pub struct ClientBuilder {
    base: String,
    key: Secret,
    clock: Clock,
    timeout: Duration,
    rate: (u32, Duration),
    retries: RetryPolicy,
    code_429: Option<Code429>,
    allow_http: bool,
}

/// What code 429 means: the provider's siblings do not agree.
///
/// Exhaustive: these are the two meanings that are documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code429 {
    /// Called too often: later it works.
    RateLimited,
    /// There is nothing to pay with: somebody has to do something.
    InsufficientCredits,
}

impl ClientBuilder {
    pub(super) fn new(base: &str, key: Secret) -> Self {
        Self {
            base: base.to_owned(),
            key,
            clock: Clock::system(),
            timeout: Duration::from_secs(30),
            rate: (20, Duration::from_secs(10)),
            retries: RetryPolicy::default()
                .with_first_delay(Duration::from_millis(500))
                .with_max_delay(Duration::from_secs(10))
                .with_total(Duration::from_secs(30)),
            code_429: None,
            allow_http: false,
        }
    }

    /// Runs timeouts, pauses and the rate limit on another clock than real time.
    ///
    /// No clock makes a network faster: on a scaled one, give requests a longer
    /// [timeout](Self::with_timeout).
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How long one request may take, from the connection to the last byte of the answer: 30 s by
    /// default. To wait for the rate limit is not part of it.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many requests may be sent in any window of this length: 20 in any 10 s by default.
    ///
    /// Each attempt counts, and counts until a whole window has passed since its answer came: however
    /// long it was on its way, the provider never sees more. (One that is given up counts until a window
    /// after that, though it may still be on its way.) At most as many are under way at once. Submissions
    /// go before questions about tasks, but for every fourth request. Other processes with the same key
    /// have limits of their own: give each its share.
    pub fn with_rate_limit(mut self, requests: u32, per: Duration) -> Self {
        self.rate = (requests, per);
        self
    }

    /// When an attempt that failed is followed by another within the same call: after half a second,
    /// doubling to 10 s, with full jitter, until 30 s after the call began. A `Retry-After` of the
    /// provider is waited for if there is time.
    ///
    /// A question about a task is repeated after whatever may pass, a submission only where the provider
    /// has surely not acted. With a [total](RetryPolicy::with_total) of zero nothing is.
    pub fn with_retries(mut self, retries: RetryPolicy) -> Self {
        self.retries = retries;
        self
    }

    /// What code 429 means: the documentation of your provider says it.
    ///
    /// Until it is said, 429 is an error of the kind
    /// [`Ambiguous429`](super::ClientErrorKind::Ambiguous429), after which a submission is not repeated,
    /// and a question about a task is. An HTTP 429 whose body has no code is from something in front of
    /// the provider, and always a rate limit.
    pub fn with_code_429(mut self, meaning: Code429) -> Self {
        self.code_429 = Some(meaning);
        self
    }

    /// Ways to use it that give the key away.
    pub fn dangerous(self) -> DangerousClientBuilder {
        DangerousClientBuilder(self)
    }

    /// The client.
    ///
    /// # Errors
    ///
    /// When the base is no URL of a server, or a plain `http://` one; the key is empty or can stand in
    /// no header; a duration or a number is zero; or there are no root certificates to trust.
    pub fn build(self) -> Result<Client, BuildError> {
        let base = self.base_url()?;
        let authorization = self.authorization()?;
        let (requests, per) = self.rate;
        if requests == 0 || per.is_zero() {
            return Err(BuildError::new(
                "ClientBuilder::with_rate_limit",
                "nothing would ever be sent, or everything at once: give at least one request, and \
                 a window of some length",
            ));
        }
        if self.timeout.is_zero() {
            return Err(BuildError::new(
                "ClientBuilder::with_timeout",
                "no request is answered in no time: give it some seconds",
            ));
        }
        let retries = self.retries;
        retries
            .validate()
            .map_err(|error| error.of("ClientBuilder::with_retries"))?;
        let plain = base.scheme() == "http";
        let most = usize::try_from(requests).unwrap_or(usize::MAX);
        Ok(Client(Arc::new(Shared {
            submissions: connections(plain, Some(0))?,
            polls: connections(plain, None)?,
            generate: path(&base, "generate"),
            details: path(&base, "record-info"),
            authorization,
            limiter: Limiter::new(most, per, self.clock.clone()),
            clock: self.clock,
            timeout: self.timeout,
            retries,
            code_429: self.code_429,
        })))
    }

    /// The base, of which nothing is shown: there may be something in it that should not be there.
    fn base_url(&self) -> Result<Url, BuildError> {
        let wrong = |problem: &str| Err(BuildError::new("Client::builder", problem));
        let Ok(base) = Url::parse(&self.base) else {
            return wrong("the base is no URL: write it as https://api.sunoapi.org");
        };
        match base.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => {
                return wrong(
                    "the base is http://, so everybody on the way can take the key: use https://, or \
                     `.dangerous().allow_http()` on your own machine",
                );
            }
            _ => return wrong("the base is no https:// URL"),
        }
        if !base.username().is_empty() || base.password().is_some() {
            return wrong("the base has a user or a password in it, which nobody would be sent");
        }
        if base.query().is_some() || base.fragment().is_some() {
            return wrong("the base ends in a query or a fragment: leave it out");
        }
        Ok(base)
    }

    fn authorization(&self) -> Result<HeaderValue, BuildError> {
        let key = self.key.key();
        if key.is_empty() {
            return Err(BuildError::new("Client::builder", "the key is empty"));
        }
        // All of the room at once: a vector that grows leaves copies behind.
        let mut header = Zeroizing::new(Vec::with_capacity(b"Bearer ".len() + key.len()));
        header.extend_from_slice(b"Bearer ");
        header.extend_from_slice(key);
        match HeaderValue::from_bytes(&header) {
            Ok(mut value) if key.iter().all(u8::is_ascii_graphic) => {
                value.set_sensitive(true);
                Ok(value)
            }
            _ => Err(BuildError::new(
                "Client::builder",
                "the key has a blank, a line break or something that is not ASCII in it: was a whole \
                 line of a file taken for it?",
            )),
        }
    }
}

/// Whether plain HTTP is allowed, and how many idle connections are kept.
fn connections(plain: bool, idle: Option<usize>) -> Result<reqwest::Client, BuildError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("tower-callback/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .https_only(!plain);
    if plain {
        // A proxy would be one more that sees the key. And where there is no TLS, no roots are read.
        builder = builder.no_proxy().tls_certs_only([]);
    }
    if let Some(idle) = idle {
        builder = builder.pool_max_idle_per_host(idle);
    }
    builder.build().map_err(|error| {
        BuildError::new(
            "ClientBuilder::build",
            format!("TLS cannot be set up: {}", error.without_url()),
        )
    })
}

fn path(base: &Url, last: &str) -> Url {
    let mut url = base.clone();
    url.path_segments_mut()
        .expect("an http(s) URL has a path")
        .pop_if_empty()
        .extend(["api", "v1", "mp4", last]);
    url
}

/// Scheme, host and port.
pub(super) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Without base and key.
impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("timeout", &self.timeout)
            .field("rate_limit", &self.rate)
            .field("retries", &self.retries)
            .field("code_429", &self.code_429)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

/// Ways to build a client that gives the key away: made by [`ClientBuilder::dangerous`].
#[derive(Clone, Debug)]
#[must_use]
pub struct DangerousClientBuilder(ClientBuilder);

impl DangerousClientBuilder {
    /// Takes a base URL that is `http://`. No proxy is used then, whatever the environment says.
    ///
    /// # Security
    ///
    /// Everybody between you and the provider can take the key, and read every callback URL. For a
    /// simulated provider on one's own machine.
    pub fn allow_http(self) -> ClientBuilder {
        ClientBuilder {
            allow_http: true,
            ..self.0
        }
    }
}
