//! Where videos are kept, and the way into it: nothing is visible before the last step.

mod directory;
mod object;
mod space;
mod staged;

use std::path::PathBuf;

use bytes::Bytes;

pub(super) use self::{
    directory::Directory,
    object::{LARGEST, Objects},
};
use self::{directory::FileSink, object::ObjectSink};
use super::{digest::Summary, error::DownloadError};

#[derive(Debug)]
pub(super) enum Place {
    Directory(Directory),
    Objects(Objects),
}

/// A video on its way.
///
/// Whatever was written is gone when it is dropped.
pub(super) enum Sink {
    File(FileSink),
    Object(ObjectSink),
}

impl Place {
    /// The length of what is there under a name.
    pub(super) async fn length(&self, name: &str) -> Result<Option<u64>, DownloadError> {
        match self {
            Self::Directory(directory) => directory.length(name).await,
            Self::Objects(objects) => objects.length(name).await,
        }
    }

    /// Reads what is there under a name.
    pub(super) async fn read(&self, name: &str) -> Result<Option<Summary>, DownloadError> {
        match self {
            Self::Directory(directory) => directory.read(name).await,
            Self::Objects(objects) => objects.read(name).await,
        }
    }

    /// Begins to write as many bytes as will come, if that is known.
    pub(super) async fn create(
        &self,
        name: &str,
        length: Option<u64>,
    ) -> Result<Sink, DownloadError> {
        match self {
            Self::Directory(directory) => directory.create(name, length).await.map(Sink::File),
            Self::Objects(objects) => Ok(Sink::Object(objects.create(name, length))),
        }
    }

    /// What a name is called in here.
    pub(super) fn location(&self, name: &str) -> String {
        match self {
            Self::Directory(_) => name.to_owned(),
            Self::Objects(objects) => objects.path(name).to_string(),
        }
    }

    /// The file of a name, where there are files.
    pub(super) fn file(&self, name: &str) -> Option<PathBuf> {
        match self {
            Self::Directory(directory) => Some(directory.file(name)),
            Self::Objects(_) => None,
        }
    }
}

impl Sink {
    pub(super) async fn write(&mut self, block: Bytes) -> Result<(), DownloadError> {
        match self {
            Self::File(file) => file.write(block).await,
            Self::Object(object) => object.write(block).await,
        }
    }

    /// Makes it visible.
    pub(super) async fn publish(self) -> Result<(), DownloadError> {
        match self {
            Self::File(file) => file.publish().await,
            Self::Object(object) => object.publish().await,
        }
    }

    /// Removes what was written, and waits until it is gone.
    pub(super) async fn discard(self) {
        match self {
            Self::File(file) => file.discard().await,
            Self::Object(object) => object.discard().await,
        }
    }
}
