//! Videos as objects of somebody's store.

use std::{mem, sync::Arc};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::{
    Attribute, Attributes, Error, MultipartUpload, ObjectStore, ObjectStoreExt as _,
    PutMultipartOptions, PutOptions, PutPayload, path::Path,
};
use tokio::{runtime::Handle, task::JoinSet};

use crate::download::{
    digest::{Summary, Summing},
    error::DownloadError,
};

/// How much is uploaded at once, at least: S3 wants 5 MiB.
const MIN_PART: u64 = 8 * 1024 * 1024;

/// How much is uploaded at once, at most: memory is bounded by us, and not by what a server announces.
const MAX_PART: u64 = 64 * 1024 * 1024;

/// S3 allows 10,000 parts.
const MAX_PARTS: u64 = 10_000;

/// The largest video that can be uploaded: 625 GiB.
pub(in crate::download) const LARGEST: u64 = MAX_PART * MAX_PARTS;

/// Parts on their way while another is filled.
const IN_FLIGHT: usize = 2;

#[derive(Debug)]
pub(in crate::download) struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// What a video that does not say its length may have.
    max: u64,
}

impl Objects {
    pub(in crate::download) fn new(store: Arc<dyn ObjectStore>, prefix: Path, max: u64) -> Self {
        Self { store, prefix, max }
    }

    pub(super) fn path(&self, name: &str) -> Path {
        self.prefix.clone().join(name)
    }

    pub(super) async fn length(&self, name: &str) -> Result<Option<u64>, DownloadError> {
        let head = missing_is_none(self.store.head(&self.path(name)).await)?;
        Ok(head.map(|head| head.size))
    }

    pub(super) async fn read(&self, name: &str) -> Result<Option<Summary>, DownloadError> {
        let Some(object) = missing_is_none(self.store.get(&self.path(name)).await)? else {
            return Ok(None);
        };
        let read = object
            .into_stream()
            .try_fold(Summing::default(), async |mut summing, bytes| {
                summing.add(&bytes);
                Ok(summing)
            })
            .await
            .map_err(DownloadError::storage)?;
        Ok(Some(read.end()))
    }

    pub(super) fn create(&self, name: &str, length: Option<u64>) -> ObjectSink {
        ObjectSink {
            store: Arc::clone(&self.store),
            path: self.path(name),
            part: part_of(length.unwrap_or(self.max)),
            filling: Vec::new(),
            filled: 0,
            upload: None,
            in_flight: JoinSet::new(),
        }
    }
}

/// The length of the parts of a video: all are equal, which some stores want.
fn part_of(length: u64) -> usize {
    let part = length.div_ceil(MAX_PARTS).clamp(MIN_PART, MAX_PART);
    usize::try_from(part).expect("64 MiB are a `usize`")
}

fn missing_is_none<T>(result: Result<T, Error>) -> Result<Option<T>, DownloadError> {
    match result {
        Err(Error::NotFound { .. }) => Ok(None),
        result => result.map(Some).map_err(DownloadError::storage),
    }
}

/// Uploads in parts what has more than one, and at once what has not.
pub(in crate::download) struct ObjectSink {
    store: Arc<dyn ObjectStore>,
    path: Path,
    part: usize,
    /// The blocks of the next part, and how long they are.
    filling: Vec<Bytes>,
    filled: usize,
    upload: Option<Box<dyn MultipartUpload>>,
    /// Aborted when this is dropped.
    in_flight: JoinSet<Result<(), Error>>,
}

impl ObjectSink {
    pub(super) async fn write(&mut self, mut block: Bytes) -> Result<(), DownloadError> {
        while !block.is_empty() {
            // Only now is it known that this part is not the last.
            if self.filled == self.part {
                self.flush().await?;
            }
            let fits = block.len().min(self.part - self.filled);
            self.filling.push(block.split_to(fits));
            self.filled += fits;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), DownloadError> {
        while self.in_flight.len() >= IN_FLIGHT {
            self.landed().await?;
        }
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => none.insert(begin(&*self.store, &self.path).await?),
        };
        let part = PutPayload::from_iter(mem::take(&mut self.filling));
        self.filled = 0;
        self.in_flight.spawn(upload.put_part(part));
        Ok(())
    }

    async fn landed(&mut self) -> Result<(), DownloadError> {
        match self.in_flight.join_next().await {
            Some(landed) => landed
                .map_err(DownloadError::storage)?
                .map_err(DownloadError::storage),
            None => Ok(()),
        }
    }

    pub(super) async fn publish(mut self) -> Result<(), DownloadError> {
        let published = self.complete().await;
        if published.is_err() {
            self.abort().await;
        }
        self.upload = None;
        published
    }

    async fn complete(&mut self) -> Result<(), DownloadError> {
        if self.upload.is_none() {
            let whole = PutPayload::from_iter(mem::take(&mut self.filling));
            return put(&*self.store, &self.path, whole).await;
        }
        self.flush().await?;
        while !self.in_flight.is_empty() {
            self.landed().await?;
        }
        if let Some(upload) = &mut self.upload {
            upload.complete().await.map_err(DownloadError::storage)?;
        }
        Ok(())
    }

    pub(super) async fn discard(mut self) {
        self.abort().await;
    }

    async fn abort(&mut self) {
        self.in_flight.shutdown().await;
        if let Some(upload) = self.upload.take() {
            aborted(upload, &self.path).await;
        }
    }
}

async fn aborted(mut upload: Box<dyn MultipartUpload>, path: &Path) {
    if let Err(error) = upload.abort().await {
        tracing::warn!(
            %path,
            error = &error as &dyn std::error::Error,
            "the parts of an upload that ended early were not removed"
        );
    }
}

impl Drop for ObjectSink {
    /// Parts that nobody removes are paid for until somebody does, so this outlives the download.
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else {
            return;
        };
        if let Ok(runtime) = Handle::try_current() {
            let (path, mut in_flight) = (self.path.clone(), mem::take(&mut self.in_flight));
            drop(runtime.spawn(async move {
                in_flight.shutdown().await;
                aborted(upload, &path).await;
            }));
        }
    }
}

/// Not every store keeps the type of an object.
fn attributes() -> Attributes {
    Attributes::from_iter([(Attribute::ContentType, "video/mp4")])
}

async fn begin(
    store: &dyn ObjectStore,
    path: &Path,
) -> Result<Box<dyn MultipartUpload>, DownloadError> {
    let options = PutMultipartOptions::from(attributes());
    let begun = match store.put_multipart_opts(path, options).await {
        Err(Error::NotImplemented { .. }) => store.put_multipart(path).await,
        begun => begun,
    };
    begun.map_err(DownloadError::storage)
}

async fn put(store: &dyn ObjectStore, path: &Path, whole: PutPayload) -> Result<(), DownloadError> {
    let options = PutOptions::from(attributes());
    let put = match store.put_opts(path, whole.clone(), options).await {
        Err(Error::NotImplemented { .. }) => store.put(path, whole).await,
        put => put,
    };
    put.map(drop).map_err(DownloadError::storage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_as_large_as_the_video_needs_and_never_larger_than_memory_allows() {
        let part = |length| part_of(length) as u64;
        for length in [0, 1, 20_000_000, MIN_PART * MAX_PARTS] {
            assert_eq!(part(length), MIN_PART, "{length}");
        }
        let next = MIN_PART * MAX_PARTS + 1;
        assert_eq!(part(next), MIN_PART + 1);
        assert_eq!((part(LARGEST - 1), part(LARGEST)), (MAX_PART, MAX_PART));
        for length in [next, 1 << 37, 1 << 39, LARGEST] {
            assert!(length.div_ceil(part(length)) <= MAX_PARTS, "{length}");
        }
        assert_eq!(part(u64::MAX), MAX_PART);
    }
}
