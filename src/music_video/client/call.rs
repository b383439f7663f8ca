//! A call: attempts, each within the rate limit, until one brings an answer or none can help.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};

use super::{
    Client, ClientError, ClientErrorKind, Lane,
    answer::{Answer, Unreadable},
    exchange::{Exchanged, Unread, Watched, exchange},
};
use crate::worker::random;

/// What the provider is asked.
pub(super) enum Call<'a> {
    /// With the body.
    Generate(Bytes),
    /// About a task.
    Details(&'a str),
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl Call<'_> {
    /// Whether it can be made again after this error, at once and without anybody being asked.
    fn is_repeatable_after(&self, error: &ClientError) -> bool {
        let safe = match self {
            Self::Details(_) => true,
            // Where credits are short, another attempt only makes the caller wait for the news.
            Self::Generate(_) => {
                !error.may_have_been_submitted() && error.kind() != ClientErrorKind::Ambiguous429
            }
        };
        safe && error.is_retryable()
    }
}

impl Client {
    pub(super) async fn call<T>(
        &self,
        call: Call<'_>,
        read: impl Fn(&[u8]) -> Result<Answer<T>, Unreadable>,
    ) -> Result<T, ClientError> {
        let begin = self.clock().stopwatch();
        let mut attempt = 1;
        loop {
            let error = match self.attempt(&call, &read).await {
                Ok(value) => return Ok(value),
                Err(error) if !call.is_repeatable_after(&error) => return Err(error),
                Err(error) => error,
            };
            let age = self.clock().elapsed(&begin);
            let Some(mut pause) = self.0.retries.next(attempt, age, None, random()) else {
                return Err(error);
            };
            if let Some(asked) = error.retry_after() {
                // Less of it than was asked for is of no use.
                match self.0.retries.next(attempt, age, Some(asked), 0) {
                    Some(within) if within == asked => pause = pause.max(asked),
                    _ => return Err(error),
                }
            }
            let kind = error.kind();
            tracing::debug!(attempt, ?kind, ?pause, "asking the provider again");
            self.clock().sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt<T>(
        &self,
        call: &Call<'_>,
        read: impl Fn(&[u8]) -> Result<Answer<T>, Unreadable>,
    ) -> Result<T, ClientError> {
        let shared = &self.0;
        let (lane, request, begun) = match call {
            Call::Generate(body) => {
                let (body, begun) = Watched::new(body.clone());
                let request = shared.submissions.post(shared.generate.clone());
                let request = request.header(CONTENT_TYPE, JSON);
                let request = request.body(reqwest::Body::wrap(body));
                (Lane::Submissions, request, Some(begun))
            }
            Call::Details(task_id) => {
                let mut url = shared.details.clone();
                url.query_pairs_mut().append_pair("taskId", task_id);
                (Lane::Polls, shared.polls.get(url), None)
            }
        };
        let request = request
            .header(AUTHORIZATION, shared.authorization.clone())
            .header(ACCEPT, JSON);
        let permit = shared.limiter.acquire(lane).await;
        let exchanged = exchange(request, permit, &shared.clock, shared.timeout).await;
        let answered = match exchanged {
            Ok(exchanged) => self.judge(exchanged, read),
            Err(unread) => {
                let sent = begun.is_some_and(|begun| begun.load(Ordering::SeqCst));
                Err(ClientError::unanswered(unread, sent))
            }
        };
        answered.map_err(|error| match call {
            Call::Generate(_) => error,
            Call::Details(_) => error.of_a_question(),
        })
    }

    /// What an answer says.
    fn judge<T>(
        &self,
        exchanged: Exchanged,
        read: impl Fn(&[u8]) -> Result<Answer<T>, Unreadable>,
    ) -> Result<T, ClientError> {
        let Exchanged {
            status,
            retry_after,
            body,
        } = exchanged;
        let error = match body.map(|body| read(&body)) {
            Ok(Ok(Answer::Given(value))) => return Ok(value),
            Ok(Ok(Answer::Refused { code, message })) => {
                ClientError::refused(code, message, self.0.code_429)
            }
            Ok(Err(unreadable)) if unreadable.code.is_some() => {
                ClientError::incomplete(&unreadable)
            }
            Ok(Err(unreadable)) => {
                ClientError::unreadable(status, Unread::Unlike(unreadable.reason))
            }
            Err(unread) => ClientError::unreadable(status, unread),
        };
        Err(error.with_head(status, retry_after))
    }
}
