//! Full disks: small file systems of their own.

use std::{fs, path::Path, sync::Arc};

use libtest_mimic::Trial;
use object_store::local::LocalFileSystem;
use tower_callback::download::{DownloadErrorKind as Kind, Downloader};

use crate::{
    block_on,
    server::{Server, Step, answer, honest, video},
    small_disk::{Test, fill, on_small_disk},
    support::{impatient, names},
};

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&'static str, Test); 4] = [
        ("a_video_that_does_not_fit_is_not_begun", |dir| {
            block_on(too_large(dir))
        }),
        ("a_disk_that_fills_up_meanwhile_keeps_nothing", |dir| {
            block_on(fills_up(dir))
        }),
        ("a_full_disk_under_an_object_store_keeps_nothing", |dir| {
            block_on(under_a_store(dir))
        }),
        ("downloads_at_once_do_not_share_the_same_room", |dir| {
            block_on(at_once(dir))
        }),
    ];
    let trial = |(name, test)| Trial::ignorable_test(name, move || on_small_disk(name, test));
    tests.map(trial).into()
}

const MIB: u64 = 1024 * 1024;

async fn sending(length: usize) -> Server {
    let file = video(length, 1);
    Server::start(move |request| honest(request, &file, "\"a\"", usize::MAX)).await
}

fn into(directory: &Path, reserve: u64) -> Downloader {
    let builder = impatient(Downloader::in_directory(directory));
    builder.with_reserve(reserve).build().unwrap()
}

async fn is_full(downloader: &Downloader, server: &Server, directory: &Path, left: &[&str]) {
    let error = downloader.fetch("task", server.url()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_retryable()),
        (Kind::StorageFull, true),
        "{error:?}"
    );
    assert_eq!(names(directory), left);
}

async fn too_large(directory: &Path) {
    let server = sending(20_000_000).await;
    // 32 MiB are there.
    let downloader = into(directory, 16 * MIB);
    is_full(&downloader, &server, directory, &[]).await;
    into(directory, MIB)
        .fetch("task", server.url())
        .await
        .unwrap();
    assert_eq!(names(directory), ["music_video_task.mp4"]);

    let filler = directory.join("filler");
    fill(&filler);
    let downloader = into(directory, 0);
    let small = sending(100_000).await;
    let there = ["filler", "music_video_task.mp4"];
    let error = downloader.fetch("small", small.url()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::StorageFull);
    assert_eq!(names(directory), there);
    // Once there is room, it is as if nothing had been.
    fs::remove_file(&filler).unwrap();
    downloader.fetch("small", small.url()).await.unwrap();
    assert_eq!(names(directory).len(), 2);
}

async fn fills_up(directory: &Path) {
    // Nobody knows how much will come.
    let chunk = [&b"100000\r\n"[..], &video(0x10_0000, 1), b"\r\n"].concat();
    let endless = Server::start(move |_| {
        let head = answer(200, &[("transfer-encoding", "chunked")], b"");
        vec![
            head,
            Step::Endless(chunk.clone(), std::time::Duration::ZERO),
        ]
    })
    .await;
    for reserve in [0, 8 * MIB] {
        is_full(&into(directory, reserve), &endless, directory, &[]).await;
    }
}

async fn under_a_store(directory: &Path) {
    let server = sending(20_000_000).await;
    let filler = directory.join("filler");
    fs::write(&filler, vec![7; 20_000_000]).unwrap();
    let store = Arc::new(LocalFileSystem::new_with_prefix(directory).unwrap());
    let downloader = impatient(Downloader::in_store(store)).build().unwrap();
    is_full(&downloader, &server, directory, &["filler"]).await;
    fs::remove_file(&filler).unwrap();
    downloader.fetch("task", server.url()).await.unwrap();
}

/// Each of them fits, and both do not.
async fn at_once(directory: &Path) {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let closed = Arc::clone(&gate);
    let server = Server::start(move |_| {
        let file = video(20_000_000, 1);
        vec![
            answer(200, &[("content-length", "20000000")], &file[..1000]),
            Step::Gate(Arc::clone(&closed)),
            Step::Send(file[1000..].to_vec()),
        ]
    })
    .await;
    let downloader = into(directory, 0);
    let first = tokio::spawn(downloader.fetch("first", server.url()).into_future());
    crate::support::until("it is begun", || !names(directory).is_empty()).await;
    let error = downloader.fetch("second", server.url()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::StorageFull);
    gate.add_permits(2);
    first.await.unwrap().unwrap();
    assert_eq!(names(directory), ["music_video_first.mp4"]);
}
