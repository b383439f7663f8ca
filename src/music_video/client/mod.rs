//! The provider, asked by us: to render a video, and how a task is going.

mod answer;
mod builder;
mod call;
mod details;
mod error;
mod exchange;
mod limit;
mod request;

pub use self::{
    builder::{ClientBuilder, Code429, DangerousClientBuilder},
    details::{Details, ProviderTime, Status},
    error::{ClientError, ClientErrorKind},
    request::{GenerateRequest, Generated},
};

#[cfg(any(test, feature = "testing"))]
pub(crate) use self::answer::{any_details, any_generated};

use std::{fmt, sync::Arc, time::Duration};

use reqwest::{Url, header::HeaderValue};

use self::{
    call::Call,
    limit::{Lane, Limiter},
};
use crate::{Clock, RetryPolicy, event::EventKey, verify::Secret};

/// Asks the provider: to render a video, and how a task is going.
///
/// ```no_run
/// use tower_callback::music_video::{Client, Code429, GenerateRequest};
///
/// # async fn example(api_key: &str, callback_url: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::builder("https://api.sunoapi.org", api_key)
///     .with_code_429(Code429::InsufficientCredits)
///     .build()?;
/// let request = GenerateRequest::new("taskId_774b9aa0422f", "e231cadc7dc");
/// let task = client.generate(&request, callback_url).await?;
/// if let Some(details) = client.details(&task.task_id).await? {
///     println!("{:?}", details.status);
/// }
/// # Ok(()) }
/// ```
///
/// Clones share their connections and their rate limit.
///
/// # What an answer means
///
/// The `code` in the body decides, and not the HTTP status: the provider sends HTTP 200 with
/// `{"code":422,…}`. Only an answer without a code that can be read is judged by its status, so that
/// the 502 of something in front of the provider is an error of a known [kind](ClientErrorKind) too.
///
/// # Waiting
///
/// A call takes as long as its attempts and the pauses between them, and each attempt waits first
/// until the [rate limit](ClientBuilder::with_rate_limit) lets it go. Whoever has less time drops
/// the future: a call that still waits leaves the queue, and has sent nothing.
///
/// # Security
///
/// The key is sent to the base URL and nowhere else: redirects are not followed, and the base must
/// be `https://`. The key stands in no error, trace or `Debug`, nor does the callback URL. An error's
/// [`message`](ClientError::message) holds the provider's words, which may quote what was sent: it is
/// the only place where they are.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    /// Each with a connection of its own: one that idled may be closed by the provider at the
    /// moment when a submission is written to it, and nobody could say whether it arrived.
    submissions: reqwest::Client,
    polls: reqwest::Client,
    generate: Url,
    details: Url,
    authorization: HeaderValue,
    limiter: Limiter,
    clock: Clock,
    timeout: Duration,
    retries: RetryPolicy,
    code_429: Option<Code429>,
}

impl Client {
    /// A client of the provider, or of the sibling of it, that answers under this URL:
    /// `https://api.sunoapi.org`. What follows the host is put before every path.
    ///
    /// Of the key, neither label nor end matter: what it is worth is the provider's to say.
    pub fn builder(base_url: impl AsRef<str>, api_key: impl Into<Secret>) -> ClientBuilder {
        ClientBuilder::new(base_url.as_ref(), api_key.into())
    }

    /// Submits a task: the provider renders the video, and calls `callback_url` when it is there.
    ///
    /// If the video exists already (409), the answer is the task that made it, marked as
    /// [existing](Generated::existing).
    ///
    /// It is paid, so it is tried again only where the provider has surely not acted: no connection,
    /// maintenance, or called too often.
    ///
    /// # Errors
    ///
    /// When the request cannot be sent as it is, no answer comes, or the provider refuses.
    /// [`ClientError::may_have_been_submitted`] says whether there may be a task all the same.
    pub async fn generate(
        &self,
        request: &GenerateRequest,
        callback_url: &str,
    ) -> Result<Generated, ClientError> {
        let body = request.body(callback_url)?;
        self.call(Call::Generate(body), answer::generated).await
    }

    /// How a task is going. `None` if the provider does not know it.
    ///
    /// The provider says so in three ways: code 200 without data, 404, and 422 (*Record does not
    /// exist*) without data. An HTTP 404 without a code is none of them, but an error: where nothing
    /// answers, nobody has looked for the task.
    ///
    /// A task that was submitted a moment ago may not be known yet.
    ///
    /// # Errors
    ///
    /// When the id cannot be one, no answer comes, the provider refuses, or the answer is about
    /// another task. All that may pass was tried again before.
    pub async fn details(&self, task_id: &str) -> Result<Option<Details>, ClientError> {
        EventKey::new(task_id).map_err(|invalid| {
            ClientError::unsent("the task id cannot be one", Some(invalid.into()))
        })?;
        let read = |body: &[u8]| answer::details(body, task_id);
        self.call(Call::Details(task_id), read).await
    }

    /// The clock of its timeouts, pauses and limits.
    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }
}

/// Without the key, and of the base only what no token can hide in.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("origin", &builder::origin(&self.0.generate))
            .field("timeout", &self.0.timeout)
            .field("rate_limit", &self.0.limiter)
            .field("retries", &self.0.retries)
            .field("code_429", &self.0.code_429)
            .field("clock", &self.0.clock)
            .finish_non_exhaustive()
    }
}
