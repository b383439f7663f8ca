//! The downloader, and what a download brings.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use object_store::ObjectStore;
use tokio::sync::Mutex;

use super::{
    builder::DownloaderBuilder, digest::Digest, error::DownloadError, fetch::Fetch, limits::Keyed,
    name, request::Requests, sink::Place,
};
use crate::{BoxError, worker::RetryPolicy};

/// Fetches videos into a directory or an object store. See the [module](super) for an example.
///
/// Clones are cheap, and share the limits.
#[derive(Clone)]
pub struct Downloader(pub(super) Arc<Shared>);

pub(super) type Refresh =
    Arc<dyn Fn(String) -> BoxFuture<'static, Result<Option<String>, BoxError>> + Send + Sync>;

pub(super) struct Shared {
    pub(super) place: Place,
    pub(super) requests: Requests,
    pub(super) names: Keyed<Mutex<()>>,
    pub(super) retry: RetryPolicy,
    pub(super) max_bytes: u64,
    pub(super) idle_timeout: Duration,
    pub(super) min_rate: u64,
    pub(super) deadline: Duration,
    pub(super) refresh: Option<Refresh>,
}

/// A video that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Video {
    /// Its name in the directory, or its path in the object store.
    pub location: String,
    /// Its file, where it is in a directory.
    pub file: Option<PathBuf>,
    /// Its length in bytes.
    pub length: u64,
    /// Its digest. `None` only for a video that was [already there](Self::already_there) and was fetched
    /// [without its digest](Fetch::without_digest).
    pub sha256: Option<Digest>,
    /// Whether it was there before, and nobody was asked for it.
    pub already_there: bool,
}

impl Downloader {
    /// Keeps videos as files of a directory, which is made when the first one comes.
    pub fn in_directory(directory: impl Into<PathBuf>) -> DownloaderBuilder {
        DownloaderBuilder::in_directory(directory.into())
    }

    /// Keeps videos as objects of a store: S3, GCS, Azure, or any other that `object_store` 0.14 has.
    ///
    /// For a local disk, [`in_directory`](Self::in_directory) is the better way: it looks for free
    /// space, and cleans up after a killed process, which `LocalFileSystem` does not.
    ///
    /// An upload that a killed process left behind is visible to nobody, but paid for in most clouds:
    /// give the bucket a rule that ends incomplete uploads after a day.
    pub fn in_store(store: Arc<dyn ObjectStore>) -> DownloaderBuilder {
        DownloaderBuilder::in_store(store)
    }

    /// The video of a task. Nothing happens until this is awaited.
    ///
    /// If it is there already, nobody is asked for it: it is read where it is, for its length and
    /// digest. Somebody who fetches the same task of the same
    /// downloader at the same time waits, and finds it there.
    pub fn fetch(&self, task_id: impl Into<String>, url: impl Into<String>) -> Fetch {
        Fetch::new(Arc::clone(&self.0), task_id.into(), url.into())
    }

    /// The digest of a task's video under its default name, or `None` if it is not there. All of it
    /// is read.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn digest(&self, task_id: &str) -> Result<Option<Digest>, DownloadError> {
        let read = self.0.place.read(&name::of_task(task_id)).await?;
        Ok(read.map(|read| read.digest))
    }

    /// The default name of a task's video: `music_video_{task_id}.mp4`.
    ///
    /// An id of up to 100 small letters, digits, `-` and `_` stands in it as it is. In any other, what
    /// is odd is replaced, and a part of the id's digest follows: different ids have different names,
    /// also on a file system that does not know small letters from capitals.
    pub fn file_name(task_id: &str) -> String {
        name::of_task(task_id)
    }
}

impl fmt::Debug for Downloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = &*self.0;
        f.debug_struct("Downloader")
            .field("place", &shared.place)
            .field("max_bytes", &shared.max_bytes)
            .field("deadline", &shared.deadline)
            .finish_non_exhaustive()
    }
}
