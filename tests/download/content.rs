//! Answers that are no video, or lie about how much there is of it.

use std::{sync::Arc, time::Duration};

use tower_callback::download::{DownloadErrorKind as Kind, Downloader};

use crate::{
    server::{Server, Step, answer, honest, video},
    support::{digest, fails, fails_with, impatient, names, succeeds},
};

async fn answering(status: u16, headers: &[(&'static str, &'static str)], body: &[u8]) -> Server {
    let (headers, body) = (headers.to_vec(), body.to_vec());
    Server::start(move |_| vec![answer(status, &headers, &body)]).await
}

pub(crate) async fn a_page_instead_of_a_video_is_refused() {
    let page = b"<!DOCTYPE html><title>Sign in</title>";
    let server = answering(
        200,
        &[("content-length", "37"), ("content-type", "video/mp4")],
        page,
    )
    .await;
    assert!(!fails(&server, Kind::NotAVideo).await.is_retryable());
    // Also when there is more of it than one would wait for.
    let page = b"<p>".repeat(1000);
    let server = Server::start(move |_| {
        let endless = Step::Endless(page.clone(), Duration::ZERO);
        vec![
            answer(200, &[("content-length", "9000000000")], b""),
            endless,
        ]
    })
    .await;
    fails(&server, Kind::NotAVideo).await;
}

pub(crate) async fn too_little_to_be_a_video_is_refused() {
    for (length, body) in [("0", &b""[..]), ("7", b"\0\0\0\x20fty")] {
        let server = answering(200, &[("content-length", length)], body).await;
        fails(&server, Kind::NotAVideo).await;
    }
}

pub(crate) async fn a_compressed_answer_is_refused_and_none_is_asked_for() {
    for encoding in ["gzip", "br", "zstd", "deflate", "x-gzip"] {
        let file = video(1000, 1);
        let headers = [("content-length", "1000"), ("content-encoding", encoding)];
        let server = Server::start(move |_| vec![answer(200, &headers, &file)]).await;
        fails(&server, Kind::Encoded).await;
        let asked = server.requests()[0]
            .header("accept-encoding")
            .map(str::to_owned);
        assert_eq!(asked.as_deref(), Some("identity"));
    }
    // What is compressed and does not say so is no video.
    let server = answering(200, &[("content-length", "8")], b"\x1f\x8b\x08\0\0\0\0\0").await;
    fails(&server, Kind::NotAVideo).await;
}

pub(crate) async fn a_file_shorter_than_announced_is_not_kept() {
    let file = video(1000, 1);
    let server =
        Server::start(move |_| vec![answer(200, &[("content-length", "1001")], &file)]).await;
    fails(&server, Kind::Connection).await;
    let chunked = b"4\r\n\0\0\0\x20\r\n8\r\nftypisom\r\n";
    let server = answering(200, &[("transfer-encoding", "chunked")], chunked).await;
    fails(&server, Kind::Connection).await;
}

pub(crate) async fn a_length_that_is_none_is_not_believed() {
    for headers in [
        vec![("content-length", "a thousand")],
        vec![("content-length", "-1")],
        vec![("content-length", "1000"), ("content-length", "1001")],
        vec![("content-length", "99999999999999999999999")],
    ] {
        let server = answering(200, &headers, &video(1000, 1)).await;
        let directory = tempfile::tempdir().unwrap();
        let downloader = impatient(Downloader::in_directory(directory.path()))
            .build()
            .unwrap();
        let error = downloader.fetch("task", server.url()).await.unwrap_err();
        assert!(
            matches!(error.kind(), Kind::Connection | Kind::Inconsistent),
            "{error:?}"
        );
        assert_eq!(names(directory.path()), [""; 0]);
    }
}

pub(crate) async fn a_file_that_ends_where_the_connection_does_needs_a_digest() {
    let file = video(100_000, 1);
    let served = file.clone();
    let server = Server::start(move |_| vec![answer(200, &[], &served)]).await;
    fails(&server, Kind::UnknownLength).await;

    let directory = tempfile::tempdir().unwrap();
    let downloader = impatient(Downloader::in_directory(directory.path()))
        .build()
        .unwrap();
    let fetch = downloader.fetch("task", server.url());
    let video = fetch.expect_digest(digest(&file)).await.unwrap();
    assert_eq!(video.length, 100_000);
}

pub(crate) async fn a_chunked_file_that_ends_is_whole() {
    let file = video(100_000, 1);
    let mut body = format!("{:x}\r\n", file.len()).into_bytes();
    body.extend(&file);
    body.extend(b"\r\n0\r\n\r\n");
    let server = answering(200, &[("transfer-encoding", "chunked")], &body).await;
    succeeds(&server, &file).await;
}

pub(crate) async fn an_endless_file_ends_at_the_limit() {
    let directory = tempfile::tempdir().unwrap();
    let downloader = impatient(Downloader::in_directory(directory.path()))
        .with_max_bytes(5_000_000)
        .build()
        .unwrap();
    let chunk = [&b"10000\r\n"[..], &video(65536, 1), b"\r\n"].concat();
    let endless = Server::start(move |_| {
        let head = answer(200, &[("transfer-encoding", "chunked")], b"");
        vec![head, Step::Endless(chunk.clone(), Duration::ZERO)]
    })
    .await;
    let error = fails_with(
        &downloader,
        directory.path(),
        &endless.url(),
        Kind::TooLarge,
    )
    .await;
    assert!(!error.is_retryable());

    // What says so at once is not even begun.
    let announced = Server::start(|_| {
        vec![
            answer(200, &[("content-length", "5000001")], b""),
            Step::Hang,
        ]
    })
    .await;
    fails_with(
        &downloader,
        directory.path(),
        &announced.url(),
        Kind::TooLarge,
    )
    .await;

    let file = Arc::new(video(5_000_000, 1));
    let exact = Server::start(move |request| honest(request, &file, "\"a\"", usize::MAX)).await;
    let video = downloader.fetch("task", exact.url()).await.unwrap();
    assert_eq!(video.length, 5_000_000);
}

pub(crate) async fn another_file_than_expected_is_refused() {
    let file = video(100_000, 1);
    let server = Server::start(move |request| honest(request, &file, "\"a\"", usize::MAX)).await;
    let directory = tempfile::tempdir().unwrap();
    let downloader = impatient(Downloader::in_directory(directory.path()))
        .build()
        .unwrap();
    let fetch = downloader.fetch("task", server.url());
    let error = fetch.expect_digest(digest(b"another")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::WrongDigest);
    assert_eq!(names(directory.path()), [""; 0]);
}

pub(crate) async fn pieces_of_two_files_are_told_by_a_digest_and_fetched_anew() {
    let (old, new) = (video(100_000, 1), video(100_000, 2));
    let expected = digest(&new);
    // Nothing in the headers gives it away.
    let server = Server::start(move |request| match request.number {
        0 => honest(request, &old, "\"a\"", 50_000),
        _ => honest(request, &new, "\"a\"", usize::MAX),
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let downloader = crate::support::into_directory(directory.path());
    let video = downloader
        .fetch("task", server.url())
        .expect_digest(expected)
        .await
        .unwrap();
    assert_eq!(video.sha256, Some(expected));
    assert_eq!(server.requests().len(), 3);
}

pub(crate) async fn a_status_says_whether_another_attempt_helps() {
    for (status, kind, retryable) in [
        (403, Kind::Expired, true),
        (404, Kind::Expired, true),
        (410, Kind::Expired, false),
        (429, Kind::Status, true),
        (500, Kind::Status, true),
        (503, Kind::Status, true),
        (401, Kind::Status, false),
        (204, Kind::Status, false),
        (304, Kind::Status, false),
    ] {
        let server = answering(status, &[], b"").await;
        let error = fails(&server, kind).await;
        assert_eq!(
            (error.status(), error.is_retryable()),
            (Some(status), retryable),
            "{status}"
        );
    }
}

pub(crate) async fn a_server_that_asks_to_wait_is_obeyed() {
    let file = Arc::new(video(1000, 1));
    let served = Arc::clone(&file);
    let server = Server::start(move |request| match request.number {
        0 => vec![answer(503, &[("retry-after", "0")], b"")],
        1 => vec![answer(500, &[], b"")],
        _ => honest(request, &served, "\"a\"", usize::MAX),
    })
    .await;
    succeeds(&server, &file).await;

    // Longer than this download goes on: the worker is told.
    let busy = answering(503, &[("retry-after", "3600")], b"").await;
    let directory = tempfile::tempdir().unwrap();
    let downloader = crate::support::into_directory(directory.path());
    let error = fails_with(&downloader, directory.path(), &busy.url(), Kind::Status).await;
    assert_eq!(busy.requests().len(), 1);
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.is::<tower_callback::RetryAfter>(), "{source:?}");
}
