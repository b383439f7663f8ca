//! URLs hold signatures.

use std::time::Duration;

use tower_callback::{RetryPolicy, download::Downloader};
use tracing::{Level, instrument::WithSubscriber as _};
use tracing_subscriber::fmt::format::FmtSpan;

use crate::{
    capture::Capture,
    server::{SIGNATURE, Server, answer, honest, redirect, video},
    support::{error_text, relaxed},
};

pub(crate) async fn a_signature_is_in_no_trace_error_or_debug() {
    let (capture, dispatch) = Capture::with_dispatch(Level::TRACE, FmtSpan::NONE);
    let mut texts = String::new();
    async {
        let file = video(100_000, 1);
        let server = Server::start(move |request| match request.number {
            0 => honest(request, &file, "\"a\"", 50_000),
            1 => vec![answer(503, &[], b"")],
            2 => redirect(&format!("/elsewhere?sig={SIGNATURE}")),
            3 => redirect(&format!("http://127.0.0.2/?sig={SIGNATURE}")),
            4 => redirect(&format!("file:///{SIGNATURE}")),
            5 => redirect(&format!("http://[{SIGNATURE}")),
            _ => vec![answer(200, &[("content-length", "x")], b"")],
        })
        .await;
        let directory = tempfile::tempdir().unwrap();
        let retry = RetryPolicy::default().with_first_delay(Duration::from_millis(1));
        let builder = relaxed(Downloader::in_directory(directory.path()))
            .with_retry(retry.with_total(Duration::from_secs(5)));
        texts += &format!("{builder:?}");
        let downloader = builder.build().unwrap();
        let urls = [
            server.url(),
            server.url(),
            server.url(),
            server.url(),
            format!("http://127.0.0.1:1/?sig={SIGNATURE}"),
            format!("http://user:{SIGNATURE}@video.test/"),
            format!("http://unknown.test/{SIGNATURE}"),
            format!("ftp://video.test/{SIGNATURE}"),
            SIGNATURE.to_owned(),
        ];
        for url in urls {
            let fetch = downloader.fetch("task", url);
            texts += &format!("{downloader:?} {fetch:?}");
            if let Err(error) = fetch.await {
                texts += &format!("{error:?} {}", error_text(&error));
            }
        }
    }
    .with_subscriber(dispatch)
    .await;
    let log = capture.text();
    assert!(log.contains("a download was interrupted"), "{log}");
    assert!(texts.contains("DownloadError"));
    for (place, text) in [("trace", &log), ("text", &texts)] {
        let at = text.find(SIGNATURE);
        assert!(
            at.is_none(),
            "in a {place}: {}",
            &text[at.unwrap().saturating_sub(300)..]
        );
    }
}
