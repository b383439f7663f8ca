//! One video that is to be fetched.

use std::{fmt, pin::Pin, sync::Arc};

use super::{
    digest::{Digest, Summary},
    downloader::{Shared, Video},
    error::{DownloadError, DownloadErrorKind as Kind},
    name,
    progress::{self, Progress, ProgressStream, Reporter},
    transfer::Transfer,
};
use crate::count;

/// A video that is to be fetched: made by [`Downloader::fetch`](super::Downloader::fetch), and begun by
/// `.await`.
///
/// Dropping the future ends the download, and nothing of it stays.
#[must_use = "nothing is fetched until it is awaited"]
pub struct Fetch {
    shared: Arc<Shared>,
    task_id: String,
    url: String,
    name: Option<String>,
    expected: Option<Digest>,
    has_digest: bool,
    reporter: Option<Reporter>,
}

impl Fetch {
    pub(super) fn new(shared: Arc<Shared>, task_id: String, url: String) -> Self {
        Self {
            shared,
            task_id,
            url,
            name: None,
            expected: None,
            has_digest: true,
            reporter: None,
        }
    }

    /// Keeps it under another name than the [default](super::Downloader::file_name).
    ///
    /// It is the name of a file on any system: up to 200 bytes, none of `/ \ < > : " | ? * # %` and no
    /// control character, no dot in front, no dot or space at the end, and no device of Windows.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Accepts only the file with this digest. One that is there already and has another is replaced.
    pub fn expect_digest(mut self, digest: impl Into<Digest>) -> Self {
        self.expected = Some(digest.into());
        self
    }

    /// Does not read a video that is there already: its [`sha256`](Video::sha256) is `None` then,
    /// unless one is [expected](Self::expect_digest).
    ///
    /// Without this, it is read once for each call, at the cost of reading it from the disk or the object
    /// store; nobody else is asked for it either way.
    pub fn without_digest(mut self) -> Self {
        self.has_digest = false;
        self
    }

    /// Tells how far it is. A second call ends the first one's stream.
    pub fn progress(&mut self) -> ProgressStream {
        let (reporter, stream) = progress::channel(self.shared.requests.clock.clone());
        self.reporter = Some(reporter);
        stream
    }

    async fn counted(self) -> Result<Video, DownloadError> {
        let clock = self.shared.requests.clock.clone();
        let begun = clock.stopwatch();
        let ended = self.run().await;
        let outcome = match &ended {
            Ok(video) if video.already_there => "already_there",
            Ok(_) => "fetched",
            Err(error) => error.kind().as_str(),
        };
        count::download(outcome, clock.elapsed(&begun));
        ended
    }

    async fn run(mut self) -> Result<Video, DownloadError> {
        let shared = Arc::clone(&self.shared);
        let name = match self.name.take() {
            Some(name) if name::is_allowed(&name) => name,
            Some(_) => {
                let text = "this cannot be the name of a file";
                return Err(DownloadError::new(Kind::InvalidName, text));
            }
            None => name::of_task(&self.task_id),
        };
        // Names that differ only in case can be one file.
        let turn = shared.names.get(&name.to_lowercase(), Default::default);
        let _turn = turn.lock_owned().await;
        if let Some(there) = self.already_there(&name).await? {
            return Ok(there);
        }
        let video = |downloaded: Summary| Video {
            location: shared.place.location(&name),
            file: shared.place.file(&name),
            length: downloaded.length,
            sha256: Some(downloaded.digest),
            already_there: false,
        };
        let transfer = Transfer::new(
            self.shared,
            self.task_id,
            self.url,
            name.clone(),
            self.expected,
            self.reporter,
        );
        transfer.run().await.map(video)
    }

    async fn already_there(&mut self, name: &str) -> Result<Option<Video>, DownloadError> {
        let place = &self.shared.place;
        let there = if self.has_digest || self.expected.is_some() {
            let read = place.read(name).await?;
            read.map(|read| (read.length, Some(read.digest)))
        } else {
            let length = place.length(name).await?;
            length.map(|length| (length, None))
        };
        let Some((length, sha256)) = there else {
            return Ok(None);
        };
        if self.expected.is_some() && sha256 != self.expected {
            return Ok(None);
        }
        if let Some(reporter) = &mut self.reporter {
            reporter.tell_last(Progress {
                done: length,
                total: Some(length),
            });
        }
        Ok(Some(Video {
            location: place.location(name),
            file: place.file(name),
            length,
            sha256,
            already_there: true,
        }))
    }
}

impl IntoFuture for Fetch {
    type Output = Result<Video, DownloadError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.counted())
    }
}

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetch")
            .field("task_id", &self.task_id)
            .field("name", &self.name)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}
