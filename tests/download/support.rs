//! Downloaders to be tested, and what they leave behind.

use std::{fs, path::Path, sync::Arc, time::Duration};

use object_store::ObjectStore;
use sha2::{Digest as _, Sha256};
use tower_callback::{
    RetryPolicy,
    download::{
        Digest, DownloadError, DownloadErrorKind as Kind, Downloader, DownloaderBuilder, Video,
    },
};

use crate::server::{SIGNATURE, Server, resolve};

/// Goes to the servers of these tests, and tries again soon.
pub(crate) fn relaxed(builder: DownloaderBuilder) -> DownloaderBuilder {
    let retry = RetryPolicy::default()
        .with_first_delay(Duration::from_millis(1))
        .with_max_delay(Duration::from_millis(4))
        .with_total(Duration::from_secs(60));
    builder
        .with_retry(retry)
        .with_reserve(0)
        .with_resolver(|name| async move { Ok(resolve(&name)) })
        .dangerous()
        .allow_http()
        .dangerous()
        .allow_networks(["127.0.0.1"])
}

/// The same, and does not try again.
pub(crate) fn impatient(builder: DownloaderBuilder) -> DownloaderBuilder {
    relaxed(builder).with_retry(RetryPolicy::default().with_total(Duration::ZERO))
}

pub(crate) fn into_directory(directory: &Path) -> Downloader {
    relaxed(Downloader::in_directory(directory))
        .build()
        .unwrap()
}

pub(crate) fn into_store(store: Arc<dyn ObjectStore>) -> Downloader {
    relaxed(Downloader::in_store(store)).build().unwrap()
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Digest::from(<[u8; 32]>::from(Sha256::digest(bytes)))
}

pub(crate) fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Fetches `task` and fails, and nothing is left of it.
pub(crate) async fn fails(server: &Server, kind: Kind) -> DownloadError {
    fails_at(&server.url(), kind).await
}

pub(crate) async fn fails_at(url: &str, kind: Kind) -> DownloadError {
    let directory = tempfile::tempdir().unwrap();
    let downloader = impatient(Downloader::in_directory(directory.path()));
    fails_with(&downloader.build().unwrap(), directory.path(), url, kind).await
}

pub(crate) async fn fails_with(
    downloader: &Downloader,
    directory: &Path,
    url: &str,
    kind: Kind,
) -> DownloadError {
    let error = downloader.fetch("task", url).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error:?}");
    assert_eq!(names(directory), [""; 0]);
    let text = format!(
        "{error:?} {error} {}",
        tower_callback::HandlerError::from(error_text(&error))
    );
    assert!(
        !text.contains(SIGNATURE) && !text.contains("v.mp4"),
        "{text}"
    );
    error
}

/// The texts of an error and all its sources.
pub(crate) fn error_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text += &format!(": {source} {source:?}");
        next = source.source();
    }
    text
}

/// Fetches `task`, and it is this file.
pub(crate) async fn succeeds(server: &Server, file: &[u8]) -> Video {
    let directory = tempfile::tempdir().unwrap();
    let downloader = into_directory(directory.path());
    let video = downloader.fetch("task", server.url()).await.unwrap();
    assert_eq!(names(directory.path()), ["music_video_task.mp4"]);
    let kept = fs::read(video.file.as_ref().unwrap()).unwrap();
    assert!(kept == file, "another file of {} bytes", kept.len());
    assert_eq!(
        (video.length, video.sha256),
        (file.len() as u64, Some(digest(file)))
    );
    video
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let patience = Duration::from_secs(60);
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(patience, waiting).await;
    waited.unwrap_or_else(|_| panic!("never: {what}"));
}
