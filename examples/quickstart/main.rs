//! The main job, whole: a service that receives callbacks and handles their events, and a provider
//! that sends them over real sockets, once, again, eight times at once, forged and broken.
//!
//! ```text
//! cargo run --example quickstart              the demonstration, then serves until Ctrl-C
//! cargo run --example quickstart -- --once    the demonstration, then ends: with 0 if its counts are right
//! ```

mod demonstration;
mod provider;
mod report;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use axum::{Router, routing::get};
use demonstration::Demonstration;
use report::Report;
use tokio::{net::TcpListener, signal::ctrl_c, sync::watch, time::timeout};
use tower_callback::{
    BoxError, Callbacks, Delivery, HandlerError, MemoryStore, MusicVideo, Token,
    music_video::Outcome,
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let secret = random_secret()?;
    let (report, answers) = Report::new();

    let store = MemoryStore::new();
    let handler = report.clone();
    let (callback, worker) =
        Callbacks::<MusicVideo>::new("music-video", Token::query("token", &secret))
            .store(store.clone())
            .handle(move |delivery| handle(delivery, handler.clone()))
            .build()?;
    let app = Router::new()
        .route("/", get(|| async { "the rest of the app\n" }))
        .route_service("/music-video-callback", report.watch(callback));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = watch::channel(());
    let server = axum::serve(listener, app).with_graceful_shutdown(shutdown(stopped.clone()));
    let server = tokio::spawn(server.into_future());
    let worker = tokio::spawn(worker.run_until(shutdown(stopped)));

    let once = std::env::args().any(|argument| argument == "--once");
    let mut demonstration = Demonstration::new(address, secret, store, report, answers);
    let outcome = tokio::select! {
        outcome = demonstration.run(once) => outcome,
        _ = ctrl_c() => if once { Err("interrupted".into()) } else { Ok(()) },
    };

    drop(stop);
    timeout(Duration::from_secs(10), server).await???;
    worker.await?;
    outcome
}

/// Called for each event until it answers `Ok`: here is where a service does its work.
async fn handle(delivery: Delivery<MusicVideo>, report: Report) -> Result<(), HandlerError> {
    let task = &delivery.event.task_id;
    let line = match &delivery.event.outcome {
        Outcome::Succeeded { video_url } => format!("{task} is ready: {video_url}"),
        Outcome::Failed(failure) => format!("{task} failed: {failure:?}"),
    };
    report.handled(&line).await;
    Ok(())
}

/// Resolves when its sender is dropped.
async fn shutdown(mut stopped: watch::Receiver<()>) {
    let _ = stopped.changed().await;
}

/// 32 random characters, the secret of this run.
fn random_secret() -> Result<String, BoxError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(random)))
}
