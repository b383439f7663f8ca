//! A fetch may be dropped at any point: no partial file is left, and its turn is free again.

use std::{fs, sync::Arc};

use object_store::{ObjectStoreExt as _, memory::InMemory};
use tower_callback::download::Downloader;

use crate::{
    drops::at_every_poll,
    server::{Server, honest, video},
    support::{digest, names, relaxed, until},
};

const NAME: &str = "music_video_task.mp4";

async fn server_of(file: &[u8]) -> Server {
    let file = file.to_vec();
    // Cut once, so that the fetch goes on in the middle.
    Server::start(move |request| {
        let cut = if request.from().is_none() {
            150_000
        } else {
            usize::MAX
        };
        honest(request, &file, "\"a\"", cut)
    })
    .await
}

pub(crate) async fn a_fetch_into_a_directory_may_be_dropped_at_any_point() {
    let file = video(300_000, 1);
    let server = server_of(&file).await;
    at_every_poll(async |cut| {
        let directory = tempfile::tempdir().unwrap();
        let downloader = relaxed(Downloader::in_directory(directory.path()))
            .with_concurrency(1)
            .build()
            .unwrap();
        let fetch = downloader.fetch("task", server.url());
        let fetched = cut.of(fetch.into_future()).await;
        if let Some(video) = &fetched {
            assert_eq!(video.as_ref().unwrap().length, 300_000, "{cut:?}");
            assert_eq!(names(directory.path()), [NAME], "{cut:?}");
        }
        // What was not to be stopped any more is whole; of anything else, nothing is left.
        until("nothing is left", || {
            let left = names(directory.path());
            left.is_empty()
                || left == [NAME] && fs::read(directory.path().join(NAME)).unwrap() == file
        })
        .await;
        let video = downloader.fetch("task", server.url()).await.unwrap();
        assert_eq!(video.sha256, Some(digest(&file)), "{cut:?}");
        until("one file is left", || names(directory.path()) == [NAME]).await;
        fetched.is_some()
    })
    .await;
}

pub(crate) async fn a_fetch_into_an_object_store_may_be_dropped_at_any_point() {
    let file = video(300_000, 1);
    let server = server_of(&file).await;
    at_every_poll(async |cut| {
        let store = Arc::new(InMemory::new());
        let downloader = relaxed(Downloader::in_store(store.clone()))
            .with_concurrency(1)
            .build()
            .unwrap();
        let fetch = downloader.fetch("task", server.url());
        let fetched = cut.of(fetch.into_future()).await;
        let kept = async || match store.get(&NAME.into()).await {
            Ok(object) => Some(object.bytes().await.unwrap()),
            Err(_) => None,
        };
        match kept().await {
            Some(kept) => assert!(kept == file, "{cut:?}: an object that is not whole"),
            None => assert!(fetched.is_none(), "{cut:?}: fetched and not kept"),
        }
        downloader.fetch("task", server.url()).await.unwrap();
        assert!(kept().await.unwrap() == file, "{cut:?}");
        fetched.is_some()
    })
    .await;
}
