//! Servers that take their time, on a clock that goes faster.

use std::{pin::pin, sync::Arc, time::Duration};

use tower_callback::{
    Clock, RetryPolicy,
    download::{DownloadErrorKind as Kind, Downloader},
};

use crate::{
    server::{Server, Step, answer, honest, video},
    stores::{Faults, TestStore},
    support::{fails_with, impatient, relaxed, until},
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
    let directory = tempfile::tempdir().unwrap();
    // Neither silence nor the deadline ends it.
    let for_ever = Duration::from_secs(1000 * 24 * 60 * 60);
    let downloader = impatient(Downloader::in_directory(directory.path()))
        .with_clock(Clock::scaled(FACTOR))
        .with_idle_timeout(for_ever)
        .with_deadline(for_ever)
        .build()
        .unwrap();
    let url = server.url();
    let left = fails_with(&downloader, directory.path(), &url, Kind::TooSlow);
    let left = tokio::time::timeout(Duration::from_secs(60), left).await;
    assert!(left.expect("the server is left").is_retryable());
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

pub(crate) async fn waiting_for_a_turn_takes_nothing_from_the_retries_and_the_deadline() {
    let hour = Duration::from_secs(3600);
    let file = Arc::new(video(200_000, 1));
    let served = Arc::clone(&file);
    let server = Server::start(move |request| match request.number {
        0 => vec![Step::Hang],
        // Before it counts as having gone forward, and after.
        1 => honest(request, &served, "\"a\"", 10_000),
        2 => honest(request, &served, "\"a\"", 100_000),
        _ => honest(request, &served, "\"a\"", usize::MAX),
    })
    .await;
    let hands = Clock::manual();
    let retry = RetryPolicy::default()
        .with_first_delay(Duration::from_millis(1))
        .with_max_delay(Duration::from_millis(1))
        .with_total(hour);
    // What is there is looked for in memory, at once, so that one poll leads into the queue.
    let store = TestStore::new(Faults::default());
    let downloader = relaxed(Downloader::in_store(Arc::new(store)))
        .with_clock(hands.clock())
        .with_retry(retry)
        .with_concurrency(1)
        .with_min_rate(0)
        .with_idle_timeout(100 * hour)
        .with_deadline(6 * hour)
        .build()
        .unwrap();
    let first = tokio::spawn(downloader.fetch("first", server.url()).into_future());
    until("the first has its turn", || server.open() == 1).await;
    let mut second = pin!(downloader.fetch("second", server.url()).into_future());
    assert!(futures_util::poll!(&mut second).is_pending());
    hands.advance(10 * hour);
    let turning = async {
        loop {
            hands.advance(Duration::from_millis(10));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let video = tokio::select! {
        video = &mut second => video.unwrap(),
        () = turning => unreachable!("it never ends"),
    };
    assert_eq!(video.sha256, Some(crate::support::digest(&file)));
    let timed_out = first.await.unwrap().unwrap_err();
    assert_eq!(timed_out.kind(), Kind::TooSlow);
    let froms: Vec<_> = server.requests().iter().map(|it| it.from()).collect();
    assert_eq!(froms, [None, None, Some(10_000), Some(110_000)]);
}
