//! Videos as objects of somebody's store.

use std::{mem, sync::Arc};

use futures_util::TryStreamExt as _;
use object_store::{
    Attribute, Attributes, Error, MultipartUpload, ObjectStore, ObjectStoreExt as _,
    PutMultipartOptions, PutOptions, PutPayload, path::Path,
};
use sha2::{Digest as _, Sha256};
use tokio::{runtime::Handle, task::JoinSet};

use crate::download::{digest::Digest, error::DownloadError};

/// How much is uploaded at once, at least: S3 wants 5 MiB.
const MIN_PART: u64 = 8 * 1024 * 1024;

/// S3 allows 10,000 parts.
const MAX_PARTS: u64 = 10_000;

/// Parts on their way while another is filled.
const IN_FLIGHT: usize = 2;

#[derive(Debug)]
pub(in crate::download) struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    part: usize,
}

impl Objects {
    pub(in crate::download) fn new(store: Arc<dyn ObjectStore>, prefix: Path, max: u64) -> Self {
        let part = MIN_PART.max(max.div_ceil(MAX_PARTS));
        Self {
            store,
            prefix,
            part: usize::try_from(part).unwrap_or(usize::MAX),
        }
    }

    pub(super) fn path(&self, name: &str) -> Path {
        self.prefix.clone().join(name)
    }

    pub(super) async fn length(&self, name: &str) -> Result<Option<u64>, DownloadError> {
        let head = missing_is_none(self.store.head(&self.path(name)).await)?;
        Ok(head.map(|head| head.size))
    }

    pub(super) async fn digest(&self, name: &str) -> Result<Option<Digest>, DownloadError> {
        let Some(object) = missing_is_none(self.store.get(&self.path(name)).await)? else {
            return Ok(None);
        };
        let hashed = object
            .into_stream()
            .try_fold(Sha256::new(), async |mut hasher, bytes| {
                hasher.update(&bytes);
                Ok(hasher)
            })
            .await
            .map_err(DownloadError::storage)?;
        Ok(Some(Digest::of(hashed)))
    }

    pub(super) fn create(&self, name: &str) -> ObjectSink {
        ObjectSink {
            store: Arc::clone(&self.store),
            path: self.path(name),
            part: self.part,
            buffer: Vec::new(),
            upload: None,
            in_flight: JoinSet::new(),
        }
    }
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
    buffer: Vec<u8>,
    upload: Option<Box<dyn MultipartUpload>>,
    /// Aborted when this is dropped.
    in_flight: JoinSet<Result<(), Error>>,
}

impl ObjectSink {
    pub(super) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), DownloadError> {
        while !bytes.is_empty() {
            // Only now is it known that this part is not the last.
            if self.buffer.len() == self.part {
                self.flush().await?;
            }
            let fits = bytes.len().min(self.part - self.buffer.len());
            self.buffer.extend_from_slice(&bytes[..fits]);
            bytes = &bytes[fits..];
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
        let part = mem::replace(&mut self.buffer, Vec::with_capacity(self.part));
        self.in_flight
            .spawn(upload.put_part(PutPayload::from(part)));
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
            let whole = mem::take(&mut self.buffer);
            return put(&*self.store, &self.path, whole.into()).await;
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
