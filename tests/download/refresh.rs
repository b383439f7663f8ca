//! URLs that expire.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tower_callback::download::{DownloadErrorKind as Kind, Downloader};

use crate::{
    server::{Server, answer, honest, video},
    support::{fails_with, names, relaxed},
};

pub(crate) async fn an_expired_url_is_replaced_and_the_download_goes_on_where_it_was() {
    for status in [403, 404, 410] {
        let file = Arc::new(video(100_000, 1));
        let served = Arc::clone(&file);
        let server = Server::start(move |request| match request.number {
            0 => honest(request, &served, "\"a\"", 60_000),
            1 => vec![answer(status, &[], b"")],
            _ => honest(request, &served, "\"a\"", usize::MAX),
        })
        .await;
        let directory = tempfile::tempdir().unwrap();
        let fresh = format!("{}&fresh=1", server.url());
        let downloader = relaxed(Downloader::in_directory(directory.path()))
            .refresh_by(move |task_id| {
                assert_eq!(task_id, "task");
                let fresh = fresh.clone();
                async move { Ok::<_, std::io::Error>(Some(fresh)) }
            })
            .build()
            .unwrap();
        let video = downloader.fetch("task", server.url()).await.unwrap();
        assert_eq!(video.length, 100_000);
        let requests = server.requests();
        assert_eq!(requests.len(), 3);
        assert!(requests[2].target.ends_with("&fresh=1"));
        assert_eq!(requests[2].from(), Some(60_000));
    }
}

/// A server where everything has expired, and what a fresh URL is.
async fn expired(fresh: Result<Option<&'static str>, &'static str>, kind: Kind) -> (usize, usize) {
    let server = Server::start(|_| vec![answer(403, &[], b"")]).await;
    let directory = tempfile::tempdir().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let url = server.url();
    let downloader = relaxed(Downloader::in_directory(directory.path()))
        .refresh_by(move |_| {
            let number = count.fetch_add(1, Ordering::SeqCst);
            let fresh = fresh.map(|fresh| {
                fresh.map(|fresh| match fresh {
                    "same" => url.clone(),
                    "another" => format!("{url}&number={number}"),
                    other => other.to_owned(),
                })
            });
            async move { fresh }
        })
        .build()
        .unwrap();
    fails_with(&downloader, directory.path(), &server.url(), kind).await;
    (asked.load(Ordering::SeqCst), server.requests().len())
}

pub(crate) async fn without_a_fresh_url_it_has_expired() {
    assert_eq!(expired(Ok(None), Kind::Expired).await, (1, 1));
    assert_eq!(expired(Ok(Some("same")), Kind::Expired).await, (1, 1));
}

pub(crate) async fn fresh_urls_that_expire_too_end_in_an_error() {
    assert_eq!(expired(Ok(Some("another")), Kind::Expired).await, (2, 3));
}

pub(crate) async fn a_failing_refresh_is_retryable() {
    assert_eq!(expired(Err("nobody is there"), Kind::Refresh).await, (1, 1));
}

pub(crate) async fn a_fresh_url_is_checked_as_the_first_was() {
    assert_eq!(
        expired(Ok(Some("http://127.0.0.2/")), Kind::NotPublic).await,
        (1, 1)
    );
    assert_eq!(
        expired(Ok(Some("file:///etc/passwd")), Kind::InvalidUrl).await,
        (2, 1)
    );
}

pub(crate) async fn what_was_never_a_url_is_asked_for() {
    let file = video(1000, 1);
    let server = Server::start(move |request| honest(request, &file, "\"a\"", usize::MAX)).await;
    let directory = tempfile::tempdir().unwrap();
    let url = server.url();
    let downloader = relaxed(Downloader::in_directory(directory.path()))
        .refresh_by(move |_| {
            let url = url.clone();
            async move { Ok::<_, std::io::Error>(Some(url)) }
        })
        .build()
        .unwrap();
    downloader
        .fetch("task", "video_url_847715e66259")
        .await
        .unwrap();
    assert_eq!(names(directory.path()), ["music_video_task.mp4"]);
}

#[cfg(feature = "client")]
fn details(flag: &str, response: &str) -> Vec<crate::server::Step> {
    let details = format!(
        r#"{{"code":200,"msg":"success","data":{{"taskId":"task","response":{response},"successFlag":"{flag}"}}}}"#
    );
    let length = details.len().to_string();
    let headers = [
        ("content-length", length.as_str()),
        ("content-type", "application/json"),
    ];
    vec![answer(200, &headers, details.as_bytes())]
}

#[cfg(feature = "client")]
pub(crate) async fn a_provider_that_does_not_show_the_video_yet_is_asked_by_the_next_attempt() {
    use tower_callback::music_video::Client;

    let file = video(1000, 1);
    let files = Server::start(move |request| match request.number {
        0 | 1 => vec![answer(410, &[], b"")],
        _ => honest(request, &file, "\"a\"", usize::MAX),
    })
    .await;
    let fresh = format!(r#"{{"videoUrl":"{}&fresh=1"}}"#, files.url());
    let provider = Server::start(move |request| match request.number {
        0 => details("PENDING", "null"),
        _ => details("SUCCESS", &fresh),
    })
    .await;
    let client = Client::builder(format!("http://{}", provider.addr), "a-key-of-the-provider");
    let directory = tempfile::tempdir().unwrap();
    let downloader = relaxed(Downloader::in_directory(directory.path()))
        .refresh_with(client.dangerous().allow_http().build().unwrap())
        .build()
        .unwrap();
    let error = downloader.fetch("task", files.url()).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (Kind::Refresh, true));
    downloader.fetch("task", files.url()).await.unwrap();
}

#[cfg(feature = "client")]
pub(crate) async fn the_provider_is_asked_for_a_fresh_url() {
    use tower_callback::music_video::Client;

    let file = video(1000, 1);
    let files = Server::start(move |request| match request.number {
        0 => vec![answer(403, &[], b"")],
        _ => honest(request, &file, "\"a\"", usize::MAX),
    })
    .await;
    let fresh = format!("{}&fresh=1", files.url());
    let provider = Server::start(move |request| {
        assert_eq!(request.target, "/api/v1/mp4/record-info?taskId=task");
        details("SUCCESS", &format!(r#"{{"videoUrl":"{fresh}"}}"#))
    })
    .await;
    let client = Client::builder(format!("http://{}", provider.addr), "a-key-of-the-provider");
    let directory = tempfile::tempdir().unwrap();
    let downloader = relaxed(Downloader::in_directory(directory.path()))
        .refresh_with(client.dangerous().allow_http().build().unwrap())
        .build()
        .unwrap();
    downloader.fetch("task", files.url()).await.unwrap();
    assert!(files.requests()[1].target.ends_with("&fresh=1"));
    assert_eq!(provider.requests().len(), 1);
}
