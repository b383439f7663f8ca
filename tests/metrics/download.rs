//! What a download counts.

use axum::{Router, routing::get};
use tower_callback::download::Downloader;

use crate::{Counted, Line, texts};

const LENGTH: usize = 10_000;

async fn video() -> Vec<u8> {
    let mut file = b"\0\0\0\x18ftypisom\0\0\x02\0isommp42".to_vec();
    file.resize(LENGTH, 0);
    file
}

#[tokio::test]
async fn downloads_are_counted_by_outcome_and_their_bytes() {
    let counted = Counted::start();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new()
        .route("/v.mp4", get(video))
        .route("/page", get(async || "<html>".repeat(1000)));
    let server = tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
    let directory = tempfile::tempdir().unwrap();
    let downloader = Downloader::in_directory(directory.path())
        .dangerous()
        .allow_http()
        .dangerous()
        .allow_networks(["127.0.0.1"])
        .build()
        .unwrap();
    let url = format!("http://{address}/v.mp4");
    for _ in 0..2 {
        downloader.fetch("task-1", &url).await.unwrap();
    }
    let page = format!("http://{address}/page");
    downloader.fetch("task-2", page).await.unwrap_err();
    downloader
        .fetch("task-3", "file:///etc/passwd")
        .await
        .unwrap_err();
    server.abort();
    let lines = counted.lines();
    lines.iter().for_each(Line::check);
    let told = texts(lines, "");
    for expected in [
        "downloads_total{outcome=already_there} 1",
        "downloads_total{outcome=fetched} 1",
        "downloads_total{outcome=invalid_url} 1",
        "downloads_total{outcome=not_a_video} 1",
        "download_seconds{outcome=fetched} of 1",
    ] {
        assert!(
            told.iter().any(|line| line == expected),
            "{expected}: {told:#?}"
        );
    }
    let bytes = told
        .iter()
        .find_map(|line| line.strip_prefix("download_bytes_total{} "));
    let bytes: usize = bytes.unwrap().parse().unwrap();
    assert!(bytes >= LENGTH, "{bytes}");
}
