//! Whether there is a video to fetch, without fetching it.

use std::time::Duration;

use super::{
    Downloader,
    answer::{Asked, Setback, judge},
    error::{DownloadError, DownloadErrorKind as Kind},
    ftyp::{self, Start},
    name,
    request::{Wanted, failed, too_slow},
};

/// What a URL leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probe {
    /// How many bytes the video has, where the server says so.
    pub length: Option<u64>,
}

impl Downloader {
    /// Looks whether a URL leads to a video that could be fetched: asks for it as
    /// [`fetch`](Self::fetch) does, sees that there is room for it where videos are kept, reads the first
    /// bytes, and leaves nothing behind but the directory. Nothing is tried twice.
    ///
    /// # Errors
    ///
    /// As `fetch`, as far as it got.
    pub async fn probe(&self, url: impl AsRef<str>) -> Result<Probe, DownloadError> {
        self.look(url.as_ref())
            .await
            .map_err(|setback| match setback {
                Setback::Again(error)
                | Setback::Anew(error)
                | Setback::Expired(error)
                | Setback::Final(error) => error,
            })
    }

    async fn look(&self, url: &str) -> Result<Probe, Setback> {
        let shared = &self.0;
        let patience = shared.idle_timeout.min(shared.deadline);
        let mut queued = Duration::ZERO;
        let wanted = Wanted {
            url,
            rest: None,
            patience,
        };
        let mut answer = shared.requests.get(wanted, &mut queued).await?;
        let host = answer.host.clone();
        let asked = Asked {
            from: 0,
            total: None,
            validator: None,
            has_digest: false,
            max: shared.max_bytes,
        };
        let response = &mut answer.response;
        let part = judge(
            response.status(),
            response.version(),
            response.headers(),
            asked,
        )
        .map_err(|setback| setback.at_host(&host))?;
        let name = name::of_task("tower-callback-probe");
        let room = shared.place.create(&name, part.total).await;
        room.map_err(Setback::Final)?.discard().await;
        let mut head = Vec::with_capacity(ftyp::ENOUGH);
        while head.len() < ftyp::ENOUGH {
            let chunk = shared.requests.clock.timeout(patience, response.chunk());
            let chunk = chunk.await.ok_or_else(too_slow)?.map_err(failed)?;
            let Some(chunk) = chunk else { break };
            head.extend_from_slice(&chunk[..chunk.len().min(ftyp::ENOUGH)]);
        }
        if ftyp::start(&head) != Start::Video {
            let text = "this does not begin as an MP4 file does";
            return Err(Setback::end(Kind::NotAVideo, text).at_host(&host));
        }
        Ok(Probe { length: part.total })
    }
}
