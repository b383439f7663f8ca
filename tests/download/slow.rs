//! Servers that take their time, on a clock that goes faster.

use std::{sync::Arc, time::Duration};

use tower_callback::{
    Clock, RetryPolicy,
    download::{DownloadErrorKind as Kind, Downloader},
};

use crate::{
    server::{Server, Step, answer, honest, video},
    stores::{Faults, TestStore},
    support::{fails_with, impatient, relaxed},
};

/// 30 s in 100 ms.
const FACTOR: u32 = 300;

async fn is_left(server: &Server) {
    let directory = tempfile::tempdir().unwrap();
    let downloader = impatient(Downloader::in_directory(directory.path()))
        .with_clock(Clock::scaled(FACTOR))
        .build()
        .unwrap();
    let error = fails_with(&downloader, directory.path(), &server.url(), Kind::TooSlow).await;
    assert!(error.is_retryable());
}

pub(crate) async fn a_server_that_drips_is_left() {
    let server = Server::start(|_| {
        vec![
            answer(200, &[("content-length", "100000000")], &video(100_000, 1)),
            Step::Endless(b"x".to_vec(), Duration::from_millis(5)),
        ]
    })
    .await;
    is_left(&server).await;
}

pub(crate) async fn a_server_that_says_nothing_is_left() {
    let server = Server::start(|_| vec![Step::Hang]).await;
    is_left(&server).await;
    // Nor is one that never ends its head waited for.
    let server = Server::start(|_| {
        let head = Step::Send(b"HTTP/1.1 200 OK\r\n".to_vec());
        vec![
            head,
            Step::Endless(b"a: b\r\n".to_vec(), Duration::from_millis(20)),
        ]
    })
    .await;
    is_left(&server).await;
}

pub(crate) async fn a_server_that_falls_silent_is_left_and_the_rest_fetched_again() {
    let file = Arc::new(video(200_000, 1));
    let served = Arc::clone(&file);
    let server = Server::start(move |request| match request.number {
        0 => {
            let mut script = honest(request, &served, "\"a\"", 100_000);
            script.push(Step::Hang);
            script
        }
        _ => honest(request, &served, "\"a\"", usize::MAX),
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let downloader = relaxed(Downloader::in_directory(directory.path()))
        .with_clock(Clock::scaled(30))
        .with_retry(RetryPolicy::default().with_total(Duration::from_secs(3600)))
        .build()
        .unwrap();
    let video = downloader.fetch("task", server.url()).await.unwrap();
    assert_eq!(video.sha256, Some(crate::support::digest(&file)));
    assert_eq!(server.requests()[1].from(), Some(100_000));
}

pub(crate) async fn a_deadline_ends_a_download_that_only_goes_on() {
    let server = Server::start(|_| {
        vec![
            answer(200, &[("content-length", "10000000000")], &video(100, 1)),
            Step::Endless(vec![0; 1000], Duration::from_millis(1)),
        ]
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let downloader = relaxed(Downloader::in_directory(directory.path()))
        .with_clock(Clock::scaled(15))
        .with_min_rate(0)
        .with_idle_timeout(Duration::from_secs(600))
        .with_deadline(Duration::from_secs(30))
        .build()
        .unwrap();
    fails_with(&downloader, directory.path(), &server.url(), Kind::TooSlow).await;
    assert_eq!(server.requests().len(), 1);
}

pub(crate) async fn a_slow_store_is_not_the_servers_fault() {
    let file = video(40_000_000, 1);
    let length = file.len() as u64;
    let server = Server::start(move |request| honest(request, &file, "\"a\"", usize::MAX)).await;
    // The clock stands still while the server is waited for, and goes while parts are uploaded: longer
    // than the window in which the rate is measured, and than a server may be silent.
    let hands = Clock::manual();
    let store = TestStore::new(Faults {
        part_takes: Some((hands.clone(), Duration::from_secs(1000))),
        ..Faults::default()
    });
    let downloader = impatient(Downloader::in_store(Arc::new(store)))
        .with_clock(hands.clock())
        .build()
        .unwrap();
    let video = downloader.fetch("task", server.url()).await.unwrap();
    assert_eq!(video.length, length);
    assert_eq!(hands.elapsed(), Duration::from_secs(5000));
}
