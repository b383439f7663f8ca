//! An axum app with state and routes of its own, which also receives callbacks. Only the provider's
//! network is let in, and only with the token, which the access log does not show.
//!
//! ```text
//! cargo run --example axum -- --once    calls itself, and ends with 0 if all went right
//! ```

mod support;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::{ConnectInfo, Path, State},
    routing::get,
};
use http::StatusCode;
use support::send;
use tokio::{
    net::TcpListener,
    signal::ctrl_c,
    sync::watch,
    time::{sleep, timeout},
};
use tower_callback::{
    BoxError, Callbacks, Delivery, Handler, HandlerError, IpAllowlist, MemoryStore, MusicVideo,
    Redaction, Token, Verify,
};
use tower_http::trace::{DefaultOnResponse, TraceLayer};
use tracing::Level;

const SECRET: &str = "read-this-from-your-configuration";

/// The app's own state: how the tasks ended. The handler writes it, a route reads it.
#[derive(Clone, Default)]
struct Videos(Arc<Mutex<HashMap<String, String>>>);

impl Handler<MusicVideo> for Videos {
    async fn handle(&self, delivery: Delivery<MusicVideo>) -> Result<(), HandlerError> {
        let MusicVideo {
            task_id, outcome, ..
        } = delivery.event;
        let mut videos = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        videos.insert(task_id, format!("{outcome:?}"));
        Ok(())
    }
}

async fn video(
    State(videos): State<Videos>,
    Path(task): Path<String>,
) -> Result<String, StatusCode> {
    let videos = videos.0.lock().unwrap_or_else(PoisonError::into_inner);
    videos.get(&task).cloned().ok_or(StatusCode::NOT_FOUND)
}

fn endpoint() -> Callbacks<MusicVideo> {
    // Where axum keeps the peer's address: see `into_make_service_with_connect_info` below.
    let provider = IpAllowlist::new(["127.0.0.0/8"], |extensions| {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(peer.0.ip())
    });
    Callbacks::new("music-video", Token::query("token", SECRET).and(provider))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_ansi(false).init();

    let videos = Videos::default();
    let (callback, worker) = endpoint()
        .store(MemoryStore::new())
        .handler(videos.clone())
        .build()?;
    // The trace layer's own span prints the whole URI, and the token with it.
    let access_log = TraceLayer::new_for_http()
        .make_span_with(Redaction::new().into_make_span())
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    let app = Router::new()
        .route("/videos/{task}", get(video))
        .route_service("/music-video-callback", callback)
        .layer(access_log)
        .with_state(videos)
        .into_make_service_with_connect_info::<SocketAddr>();

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}");
    let (stop, stopped) = watch::channel(());
    let server = axum::serve(listener, app).with_graceful_shutdown(shutdown(stopped.clone()));
    let server = tokio::spawn(server.into_future());
    let worker = tokio::spawn(worker.run_until(shutdown(stopped)));

    let outcome = if std::env::args().any(|argument| argument == "--once") {
        call(address).await
    } else {
        Ok(ctrl_c().await?)
    };

    drop(stop);
    timeout(Duration::from_secs(10), server).await???;
    worker.await?;
    outcome
}

async fn shutdown(mut stopped: watch::Receiver<()>) {
    let _ = stopped.changed().await;
}

/// Plays the provider, and a client of the app.
async fn call(address: SocketAddr) -> Result<(), BoxError> {
    let body = MusicVideo::succeeded("task-1", "https://example.com/1.mp4").encode();
    let body = str::from_utf8(&body)?;
    let forged = send(
        address,
        "POST",
        "/music-video-callback?token=guessed",
        &[],
        body,
    )
    .await?;
    println!("callback with a wrong token: {} {}", forged.0, forged.1);
    let good = format!("/music-video-callback?token={SECRET}");
    let good = send(address, "POST", &good, &[], body).await?;
    println!("callback: {} {}", good.0, good.1);

    let handled = async {
        loop {
            let (status, text) = send(address, "GET", "/videos/task-1", &[], "").await?;
            if status == StatusCode::OK {
                return Ok::<_, BoxError>(text);
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    let video = timeout(Duration::from_secs(10), handled).await??;
    println!("GET /videos/task-1: {video}");

    if forged.0 != StatusCode::UNAUTHORIZED || good.0 != StatusCode::OK || !video.contains("1.mp4")
    {
        return Err("that is not right".into());
    }
    Ok(())
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use tower_callback::testing::{Harness, callback};

    use super::*;

    #[tokio::test]
    async fn what_was_handled_is_what_the_route_tells() {
        let videos = Videos::default();
        let test = Harness::handler(videos.clone());
        test.receive(callback("task-1")).await;
        test.settled().await;
        let told = video(State(videos), Path("task-1".to_owned())).await;
        assert!(told.unwrap().contains("task-1.mp4"));
    }

    #[tokio::test]
    async fn the_token_is_no_use_from_another_network() {
        let test = Harness::on("music-video", endpoint(), Videos::default());
        for (peer, status) in [("127.0.0.1:4711", 200), ("192.0.2.1:4711", 401)] {
            let peer = ConnectInfo(peer.parse::<SocketAddr>().unwrap());
            let call = callback("task-1").query("token", SECRET).extension(peer);
            assert_eq!(test.receive(call).await.status(), status);
        }
    }
}
