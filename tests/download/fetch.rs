//! One task or many, once or twice, awaited or dropped.

use std::{fs, sync::Arc, time::Duration};

use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tower_callback::{
    Clock,
    download::{DownloadErrorKind as Kind, Downloader, Progress},
};

use crate::{
    server::{Server, Step, answer, honest, video},
    support::{digest, impatient, into_directory, names, relaxed, until},
};

async fn honest_server(file: &[u8]) -> Server {
    let file = file.to_vec();
    Server::start(move |request| honest(request, &file, "\"a\"", usize::MAX)).await
}

/// Sends the second half only when it may.
async fn gated_server(file: &[u8], gate: &Arc<Semaphore>) -> Server {
    let (file, gate) = (file.to_vec(), Arc::clone(gate));
    Server::start(move |_| {
        let (first, second) = file.split_at(file.len() / 2);
        let length = file.len().to_string();
        vec![
            answer(200, &[("content-length", &length)], first),
            Step::Gate(Arc::clone(&gate)),
            Step::Send(second.to_vec()),
        ]
    })
    .await
}

pub(crate) async fn what_is_there_is_not_asked_for_again() {
    let file = video(100_000, 1);
    let server = honest_server(&file).await;
    let directory = tempfile::tempdir().unwrap();
    let first = into_directory(directory.path())
        .fetch("task", server.url())
        .await
        .unwrap();
    assert!(!first.already_there);
    // Also by another process, and with a URL that has long expired.
    let downloader = into_directory(directory.path());
    let again = downloader.fetch("task", "no url").await.unwrap();
    assert!(again.already_there);
    assert_eq!((again.length, again.sha256), (100_000, Some(digest(&file))));
    assert_eq!((again.location, again.file), (first.location, first.file));
    assert_eq!(downloader.digest("task").await.unwrap(), first.sha256);
    assert_eq!(downloader.digest("another").await.unwrap(), None);
    // It is read unless that is not wanted.
    let unread = downloader.fetch("task", "no url").without_digest();
    let unread = unread.await.unwrap();
    assert_eq!((unread.length, unread.sha256), (100_000, None));
    let other = downloader.fetch("task", "no url").without_digest();
    let other = other.expect_digest([0; 32]).await.unwrap_err();
    assert_eq!(other.kind(), Kind::InvalidUrl);
    assert_eq!(server.requests().len(), 1);
}

pub(crate) async fn what_is_there_and_is_not_what_is_expected_is_replaced() {
    let file = video(100_000, 1);
    let server = honest_server(&file).await;
    let directory = tempfile::tempdir().unwrap();
    let name = directory.path().join(Downloader::file_name("task"));
    fs::write(&name, video(100_000, 2)).unwrap();
    let downloader = into_directory(directory.path());
    let fetch = || {
        downloader
            .fetch("task", server.url())
            .expect_digest(digest(&file))
    };
    assert!(!fetch().await.unwrap().already_there);
    assert!(fs::read(&name).unwrap() == file);
    let again = fetch().await.unwrap();
    assert_eq!(
        (again.already_there, again.sha256),
        (true, Some(digest(&file)))
    );
    assert_eq!(server.requests().len(), 1);
}

pub(crate) async fn fetches_of_one_task_at_once_are_one_download() {
    let file = video(3_000_000, 1);
    let server = honest_server(&file).await;
    let directory = tempfile::tempdir().unwrap();
    let downloader = into_directory(directory.path());
    let fetch = |_| tokio::spawn(downloader.fetch("task", server.url()).into_future());
    let fetches: Vec<_> = (0..10).map(fetch).collect();
    let mut fresh = 0;
    for fetch in fetches {
        fresh += u32::from(!fetch.await.unwrap().unwrap().already_there);
    }
    assert_eq!((fresh, server.requests().len()), (1, 1));
}

pub(crate) async fn a_fetch_that_is_dropped_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let downloader = into_directory(directory.path());
    let gate = Arc::new(Semaphore::new(0));
    let server = gated_server(&video(6_000_000, 1), &gate).await;
    let fetch = tokio::spawn(downloader.fetch("task", server.url()).into_future());
    until("it is begun", || !names(directory.path()).is_empty()).await;
    fetch.abort();
    assert!(fetch.await.unwrap_err().is_cancelled());
    until("nothing is left", || names(directory.path()).is_empty()).await;
    // And it holds nobody up.
    gate.add_permits(100);
    downloader.fetch("task", server.url()).await.unwrap();
}

pub(crate) async fn nothing_is_visible_before_the_last_byte() {
    let file = video(6_000_000, 1);
    let gate = Arc::new(Semaphore::new(0));
    let server = gated_server(&file, &gate).await;
    let directory = tempfile::tempdir().unwrap();
    let mut fetch = into_directory(directory.path()).fetch("task", server.url());
    let mut progress = fetch.progress();
    let fetch = tokio::spawn(fetch.into_future());
    let told = progress.next().await.unwrap();
    assert_eq!(told.total, Some(6_000_000));
    until("it is begun", || !names(directory.path()).is_empty()).await;
    let there = names(directory.path());
    assert!(
        there
            .iter()
            .all(|name| name.starts_with('.') && !name.contains("mp4")),
        "{there:?}"
    );
    gate.add_permits(1);
    fetch.await.unwrap().unwrap();
    assert_eq!(names(directory.path()), ["music_video_task.mp4"]);
}

pub(crate) async fn no_more_run_at_once_than_allowed() {
    let gate = Arc::new(Semaphore::new(0));
    let server = gated_server(&video(1000, 1), &gate).await;
    let directory = tempfile::tempdir().unwrap();
    let downloader = relaxed(Downloader::in_directory(directory.path()))
        .with_concurrency(3)
        .with_concurrency_per_host(2)
        .build()
        .unwrap();
    let mut fetches = Vec::new();
    for (host, tasks) in [("video.test", 0..5), ("other.test", 5..10)] {
        for task in tasks {
            let url = server.url_at(host);
            fetches.push(tokio::spawn(
                downloader.fetch(task.to_string(), url).into_future(),
            ));
        }
    }
    until("three run", || server.open() == 3).await;
    gate.add_permits(100);
    for fetch in fetches {
        fetch.await.unwrap().unwrap();
    }
    assert_eq!((server.most(), server.requests().len()), (3, 10));
}

pub(crate) async fn a_busy_host_does_not_hold_up_another() {
    let closed = Arc::new(Semaphore::new(0));
    let busy = gated_server(&video(1000, 1), &closed).await;
    let file = video(1000, 2);
    let free = honest_server(&file).await;
    let directory = tempfile::tempdir().unwrap();
    let downloader = relaxed(Downloader::in_directory(directory.path()))
        .with_concurrency(2)
        .with_concurrency_per_host(1)
        .build()
        .unwrap();
    let fetch = |task| {
        tokio::spawn(
            downloader
                .fetch(format!("busy-{task}"), busy.url())
                .into_future(),
        )
    };
    let waiting: Vec<_> = (0..5).map(fetch).collect();
    until("one runs", || busy.open() == 1).await;
    // Many, so that those who wait for the busy host would be before one of them.
    let patience = Duration::from_secs(60);
    for task in 0..20 {
        let fetch = downloader.fetch(format!("free-{task}"), free.url_at("other.test"));
        let fetched = tokio::time::timeout(patience, fetch.into_future()).await;
        let video = fetched.expect("nobody is in its way").unwrap();
        assert_eq!(video.sha256, Some(digest(&file)));
    }
    assert_eq!(busy.most(), 1);
    for fetch in waiting {
        fetch.abort();
    }
}

pub(crate) async fn progress_is_told_at_most_ten_times_a_second_and_at_the_end() {
    let file = video(5_000_000, 1);
    let server = honest_server(&file).await;
    let directory = tempfile::tempdir().unwrap();
    // Time stands still: only the first and the last are told.
    let downloader = relaxed(Downloader::in_directory(directory.path()))
        .with_clock(Clock::manual().clock())
        .build()
        .unwrap();
    let mut fetch = downloader.fetch("task", server.url());
    let mut progress = fetch.progress();
    let told = tokio::spawn(async move {
        let mut told = Vec::new();
        while let Some(progress) = progress.next().await {
            told.push(progress);
        }
        told
    });
    fetch.await.unwrap();
    let told = told.await.unwrap();
    let whole =
        |progress: &Progress| (progress.done, progress.total) == (5_000_000, Some(5_000_000));
    assert!(told.len() <= 2 && whole(told.last().unwrap()), "{told:?}");

    // Of what is there already, too; and here as a stream.
    let mut fetch = downloader.fetch("task", server.url());
    let progress = fetch.progress();
    fetch.await.unwrap();
    let told: Vec<_> = StreamExt::collect(progress).await;
    assert!(told.len() == 1 && whole(&told[0]));

    // It ends with a download that fails.
    let mut fetch = downloader.fetch("other", "no url");
    let progress = fetch.progress();
    fetch.await.unwrap_err();
    assert_eq!(StreamExt::collect::<Vec<_>>(progress).await, []);

    // On a clock that goes, between two of them is a tenth of a second.
    let clock = Clock::system();
    let drip = Server::start(move |_| {
        let mut script = vec![answer(200, &[("content-length", "3000")], b"")];
        for chunk in video(3000, 1).chunks(10) {
            script.push(Step::Send(chunk.to_vec()));
        }
        script
    })
    .await;
    let downloader = relaxed(Downloader::in_directory(directory.path()))
        .build()
        .unwrap();
    let mut fetch = downloader.fetch("drip", drip.url());
    let mut progress = fetch.progress();
    let start = clock.now();
    let fetch = tokio::spawn(fetch.into_future());
    let mut count = 0;
    while progress.next().await.is_some() {
        count += 1;
    }
    fetch.await.unwrap().unwrap();
    let tenths = clock.now().duration_since(start).unwrap().as_millis() / 100;
    assert!(
        count <= tenths + 2,
        "{count} in {tenths} tenths of a second"
    );
}

pub(crate) async fn a_name_can_be_chosen_and_stays_where_it_belongs() {
    let file = video(1000, 1);
    let server = honest_server(&file).await;
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("videos");
    let downloader = impatient(Downloader::in_directory(&directory))
        .build()
        .unwrap();
    let video = downloader
        .fetch("task", server.url())
        .named("Köln 1.mp4")
        .await
        .unwrap();
    assert_eq!(
        (video.location.as_str(), video.file),
        ("Köln 1.mp4", Some(directory.join("Köln 1.mp4")))
    );
    for name in ["../out.mp4", "/etc/x", "a/b", "..", ".hidden", "a\\b", ""] {
        let error = downloader
            .fetch("task", server.url())
            .named(name)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidName, "{name}");
    }
    // The id is somebody else's word as well.
    for id in [
        "../../out",
        "/etc/passwd",
        "a/b",
        ".",
        "..",
        "",
        "con",
        "a\0b",
    ] {
        let video = downloader.fetch(id, server.url()).await.unwrap();
        assert_eq!(
            video.file.unwrap().parent(),
            Some(directory.as_path()),
            "{id}"
        );
    }
    assert_eq!(names(parent.path()), ["videos"]);
    assert_eq!(names(&directory).len(), 9);
}

pub(crate) async fn settings_that_cannot_work_are_refused() {
    let new = || Downloader::in_directory("videos");
    let zero = Duration::ZERO;
    for (builder, setting) in [
        (new().with_max_bytes(0), "with_max_bytes"),
        (new().with_concurrency(0), "with_concurrency"),
        (new().with_concurrency(usize::MAX), "with_concurrency"),
        (
            new().with_concurrency_per_host(0),
            "with_concurrency_per_host",
        ),
        (
            new().with_concurrency_per_host(usize::MAX),
            "with_concurrency_per_host",
        ),
        (new().with_idle_timeout(zero), "with_idle_timeout"),
        (new().with_deadline(zero), "with_deadline"),
        (
            new().with_retry(tower_callback::RetryPolicy::default().with_first_delay(zero)),
            "retry",
        ),
        (
            new().dangerous().allow_networks(["10.0.0.0/33"]),
            "allow_networks",
        ),
        (
            new().dangerous().allow_networks(["localhost"]),
            "allow_networks",
        ),
    ] {
        assert_eq!(builder.build().unwrap_err().setting(), setting);
    }
    let store = Arc::new(object_store::memory::InMemory::new());
    let builder = Downloader::in_store(store).with_prefix("a//../b");
    assert_eq!(builder.build().unwrap_err().setting(), "with_prefix");
}

pub(crate) async fn a_probe_tells_a_video_from_what_is_none_and_keeps_nothing() {
    let file = video(100_000, 1);
    let server = honest_server(&file).await;
    let directory = tempfile::tempdir().unwrap();
    let downloader = into_directory(directory.path());
    let probe = downloader.probe(server.url()).await.unwrap();
    assert_eq!(probe.length, Some(100_000));
    assert_eq!(names(directory.path()), [""; 0]);

    let page =
        Server::start(|_| vec![answer(200, &[("content-length", "9")], b"<h1>x</h1>")]).await;
    let gone = Server::start(|_| vec![answer(404, &[("content-length", "0")], b"")]).await;
    for (server, kind) in [(page, Kind::NotAVideo), (gone, Kind::Expired)] {
        let error = downloader.probe(server.url()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert_eq!(names(directory.path()), [""; 0]);
    }
    // It goes nowhere where a download would not go.
    let strict = Downloader::in_directory(directory.path()).build().unwrap();
    let error = strict
        .probe("https://127.0.0.1/video.mp4")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::NotPublic);
    // Nor is there room for what no disk has.
    let full = relaxed(Downloader::in_directory(directory.path())).with_reserve(u64::MAX);
    let error = full.build().unwrap().probe(server.url()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::StorageFull);
}
