//! One request, with the redirects that follow it.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use http::{
    StatusCode,
    header::{ACCEPT_ENCODING, IF_RANGE, LOCATION, RANGE},
};
use reqwest::{Client, Response, Url};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    address::{Refusal, Rules},
    answer::{Setback, Validator},
    error::{DownloadError, DownloadErrorKind as Kind},
    limits::Keyed,
};
use crate::clock::Clock;

/// As many as browsers of old.
const MAX_REDIRECTS: usize = 5;

pub(super) struct Requests {
    pub(super) client: Client,
    pub(super) rules: Arc<Rules>,
    pub(super) clock: Clock,
    pub(super) hosts: Keyed<Semaphore>,
    pub(super) per_host: usize,
    pub(super) total: Arc<Semaphore>,
}

/// The head of an answer that is no redirect. Its body counts as a download at its host.
pub(super) struct Answer {
    pub(super) response: Response,
    pub(super) host: String,
    _permits: Permits,
}

/// What is to be had.
pub(super) struct Wanted<'a> {
    pub(super) url: &'a str,
    /// The first byte, and what the file must still be; the whole otherwise.
    pub(super) rest: Option<(u64, &'a Validator)>,
    /// How long a server may take to answer.
    pub(super) patience: Duration,
}

type Permits = (OwnedSemaphorePermit, OwnedSemaphorePermit);

impl Requests {
    /// Adds the time that was spent in waiting for a turn to `queued`, whatever comes of it.
    pub(super) async fn get(
        &self,
        wanted: Wanted<'_>,
        queued: &mut Duration,
    ) -> Result<Answer, Setback> {
        let mut url = self.rules.parse(wanted.url).map_err(|refusal| {
            let kind = match refusal {
                Refusal::NotPublic => Kind::NotPublic,
                Refusal::NoUrl | Refusal::Scheme | Refusal::Credentials => Kind::InvalidUrl,
            };
            Setback::Final(DownloadError::new(kind, refusal))
        })?;
        for _ in 0..=MAX_REDIRECTS {
            let host = url.host_str().unwrap_or_default().to_owned();
            // Those of the last hop are given back before: nobody who holds one waits for others.
            let waiting = self.clock.stopwatch();
            let permits = self.permits(&host).await;
            *queued += self.clock.elapsed(&waiting);
            let response = self
                .hop(&url, &wanted)
                .await
                .map_err(|setback| setback.at_host(&host))?;
            if !is_redirect(response.status()) {
                return Ok(Answer {
                    response,
                    host,
                    _permits: permits,
                });
            }
            url = self
                .next(&url, &response)
                .map_err(|error| Setback::Final(error.at_host(Some(&host))))?;
        }
        let host = url.host_str();
        let error = DownloadError::new(Kind::Redirect, "there are too many redirects");
        Err(Setback::Final(error.at_host(host)))
    }

    async fn permits(&self, host: &str) -> Permits {
        let of_host = self.hosts.get(host, || Semaphore::new(self.per_host));
        // In this order, so that those who wait for a busy host take nobody else's place.
        let of_host = of_host.acquire_owned().await;
        let of_all = Arc::clone(&self.total).acquire_owned().await;
        match (of_host, of_all) {
            (Ok(of_host), Ok(of_all)) => (of_host, of_all),
            _ => unreachable!("these semaphores are never closed"),
        }
    }

    async fn hop(&self, url: &Url, wanted: &Wanted<'_>) -> Result<Response, Setback> {
        let request = self.client.get(url.clone());
        let mut request = request.header(ACCEPT_ENCODING, "identity");
        if let Some((from, validator)) = wanted.rest {
            request = request.header(RANGE, format!("bytes={from}-"));
            request = request.header(IF_RANGE, validator.0.clone());
        }
        match self.clock.timeout(wanted.patience, request.send()).await {
            Some(answer) => answer.map_err(failed),
            None => Err(too_slow()),
        }
    }

    fn next(&self, url: &Url, response: &Response) -> Result<Url, DownloadError> {
        let redirect = |text: &'static str| DownloadError::new(Kind::Redirect, text);
        let location = response.headers().get(LOCATION);
        let location = location.and_then(|location| location.to_str().ok());
        let location = location.ok_or_else(|| redirect("a redirect says not where to"))?;
        let next = url.join(location);
        let next = next.map_err(|_| redirect("a redirect leads nowhere"))?;
        match self.rules.check(&next) {
            Ok(()) => Ok(next),
            Err(Refusal::NotPublic) => Err(DownloadError::new(Kind::NotPublic, Refusal::NotPublic)),
            Err(refusal) => Err(DownloadError::new(Kind::Redirect, refusal)),
        }
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

pub(super) fn too_slow() -> Setback {
    let text = "the server sends too little, or nothing";
    Setback::Again(DownloadError::new(Kind::TooSlow, text))
}

/// What the client says. The URL is taken out of it.
pub(super) fn failed(error: reqwest::Error) -> Setback {
    let error = error.without_url();
    let mut next: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(source) = next {
        if let Some(refusal) = source.downcast_ref::<Refusal>() {
            return Setback::Final(DownloadError::new(Kind::NotPublic, *refusal));
        }
        next = source.source();
    }
    Setback::Again(DownloadError::new(Kind::Connection, error))
}
