//! The main job, whole: a service that receives callbacks and handles their events, and a provider
//! that sends them over real sockets, once, again, eight times at once, forged and broken.
//!
//! ```text
//! cargo run --features sqlite,testing --example quickstart
//!     The demonstration, on `quickstart.db` or the path that is given; then serves until Ctrl-C. Each
//!     event takes a second to handle: kill it with `kill -9` meanwhile and start it again.
//! cargo run --features sqlite,testing --example quickstart -- --once
//!     The demonstration on a database that is removed, then ends: with 0 if its counts are right.
//! ```

mod demonstration;
mod place;
mod report;
mod scenes;

use std::{net::SocketAddr, time::Duration};

use axum::{Router, routing::get};
use demonstration::Demonstration;
use place::Place;
use report::Report;
use tokio::{
    net::TcpListener,
    signal::ctrl_c,
    sync::watch,
    time::{sleep, timeout},
};
use tower_callback::{
    BoxError, Callbacks, Delivery, HandlerError, MusicVideo, SqliteStore, Token,
    music_video::Outcome,
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let place = Place::from_arguments()?;
    let secret = place.secret()?;
    let (report, answers) = Report::new();

    let store = SqliteStore::open(place.database()).await?;
    let (handler, work) = (report.clone(), place.work());
    let (callback, worker) =
        Callbacks::<MusicVideo>::new("music-video", Token::query("token", &secret))
            .store(store.clone())
            .handle(move |delivery| handle(delivery, work, handler.clone()))
            // One at a time, and back soon after a kill: to be watched. The defaults are 16 and a minute.
            .concurrency(1)
            .lease_ttl(Duration::from_secs(5))
            .build()?;
    let app = Router::new()
        .route("/", get(|| async { "the rest of the app\n" }))
        .route_service("/music-video-callback", report.watch(callback));

    // Any port will do where this one is taken.
    let ports = [3000, 0].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let listener = TcpListener::bind(&ports[..]).await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = watch::channel(());
    let server = axum::serve(listener, app).with_graceful_shutdown(shutdown(stopped.clone()));
    let server = tokio::spawn(server.into_future());
    let worker = tokio::spawn(worker.run_until(shutdown(stopped)));

    let url = format!("http://{address}/music-video-callback?token={secret}");
    let mut demonstration = Demonstration::new(url, store, report, answers)?;
    let outcome = tokio::select! {
        outcome = demonstration.run(&place) => outcome,
        _ = ctrl_c() => if place.is_temporary() { Err("interrupted".into()) } else { Ok(()) },
    };

    drop(stop);
    timeout(Duration::from_secs(10), server).await???;
    worker.await?;
    outcome
}

/// Called for each event until it answers `Ok`: here is where a service does its work.
async fn handle(
    delivery: Delivery<MusicVideo>,
    work: Duration,
    report: Report,
) -> Result<(), HandlerError> {
    sleep(work).await;
    let task = &delivery.event.task_id;
    let line = match &delivery.event.outcome {
        Outcome::Succeeded { video_url } => format!("{task} is ready: {video_url}"),
        Outcome::Failed(failure) => format!("{task} failed: {failure:?}"),
    };
    report.handled(&line, delivery.attempt()).await;
    Ok(())
}

/// Resolves when its sender is dropped.
async fn shutdown(mut stopped: watch::Receiver<()>) {
    let _ = stopped.changed().await;
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use tower_callback::testing::{Harness, callback};

    use super::*;

    #[tokio::test]
    async fn an_event_and_its_repeat_are_reported_once() {
        let (report, _answers) = Report::new();
        let handler = report.clone();
        let test = Harness::handle(move |d| handle(d, Duration::ZERO, handler.clone()));
        test.receive(callback("task-1")).await;
        test.receive(callback("task-1")).await;
        test.settled().await;
        test.assert_handled_once("task-1");
        assert_eq!(report.handler_calls(), 1);
    }
}
