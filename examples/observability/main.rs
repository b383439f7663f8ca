//! What an endpoint tells of itself: a `/metrics` that Prometheus scrapes, a `/ready` that an orchestrator
//! asks, and in `alerts.yml` beside this file what to be woken for.
//!
//! ```text
//! cargo run --features metrics --example observability              serves until it is interrupted
//! cargo run --features metrics --example observability -- --once    has some traffic, and scrapes itself
//! ```
//!
//! With `--features metrics,sqlite,download` the store is a file, and videos are fetched: what they tell comes
//! with them.

#[path = "../support/mod.rs"]
mod support;
mod traffic;
mod videos;

use std::time::{Duration, SystemTime};

use axum::{Router, extract::State, routing::get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::{
    net::TcpListener,
    signal::ctrl_c,
    sync::watch,
    time::{interval, timeout},
};
use tower_callback::{
    BoxError, Callbacks, Delivery, GiveUp, HandlerError, MusicVideo, RetryPolicy, Token,
    health::Health,
    music_video::Outcome,
    store::Inspect,
    verify::{Secret, Secrets},
};
use videos::Videos;

const SECRET: &str = "read-this-from-your-configuration";
const RETIRING: &str = "and-this-is-the-one-of-last-month";
const PATH: &str = "/music-video-callback";

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_ansi(false).init();
    let once = std::env::args().any(|argument| argument == "--once");

    // Before anything is built, so that it learns what each family is.
    let metrics = PrometheusBuilder::new()
        .set_buckets_for_metric(
            Matcher::Suffix("_seconds".to_owned()),
            &[0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 600.0],
        )?
        .set_buckets_for_metric(
            Matcher::Suffix("_records".to_owned()),
            &[1.0, 4.0, 16.0, 64.0, 256.0, 1024.0],
        )?
        .install_recorder()?;

    #[cfg(feature = "sqlite")]
    let directory = tempfile::tempdir()?;
    #[cfg(feature = "sqlite")]
    let store = tower_callback::SqliteStore::open(directory.path().join("callbacks.db")).await?;
    #[cfg(not(feature = "sqlite"))]
    let store = tower_callback::MemoryStore::new();
    serve(store, metrics, once).await
}

async fn serve(
    store: impl Inspect + Clone,
    metrics: PrometheusHandle,
    once: bool,
) -> Result<(), BoxError> {
    let (videos, _directory) = Videos::new()?;
    let next_month = SystemTime::now() + Duration::from_secs(30 * 24 * 60 * 60);
    let secrets = Secrets::from([
        Secret::new(SECRET).with_label("2026-11"),
        Secret::new(RETIRING)
            .with_label("2026-10")
            .with_until(next_month),
    ]);
    let (callback, worker) =
        Callbacks::<MusicVideo>::new("music-video", Token::query("token", secrets))
            .store(store.clone())
            .retry(RetryPolicy::default().with_first_delay(Duration::from_millis(50)))
            .handle(move |delivery| handle(videos.clone(), delivery))
            .build()?;
    // Its looks set the gauges: beside the worker, whether or not anybody probes.
    let health = Health::new(store)
        .with_service(&callback)
        .with_every(Duration::from_secs(if once { 1 } else { 15 }));
    let worker = worker.beside(health.clone().run());
    let app = Router::new()
        .route("/metrics", get(scrape))
        .with_state(metrics.clone())
        .route_service("/ready", health.service())
        .route("/videos/{name}", get(videos::serve))
        .route_service(PATH, callback);

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    println!("metrics at http://{address}/metrics, readiness at http://{address}/ready");
    let (stop, stopped) = watch::channel(());
    let server = axum::serve(listener, app).with_graceful_shutdown(shutdown(stopped.clone()));
    let server = tokio::spawn(server.into_future());
    let worker = tokio::spawn(worker.run_until(shutdown(stopped.clone())));
    let upkeep = tokio::spawn(upkeep(metrics, stopped));

    let outcome = if once {
        traffic::show(address).await
    } else {
        Ok(ctrl_c().await?)
    };

    drop(stop);
    timeout(Duration::from_secs(10), server).await???;
    worker.await?;
    upkeep.await?;
    outcome
}

/// Fails as its task's name says, to have something to count.
async fn handle(videos: Videos, delivery: Delivery<MusicVideo>) -> Result<(), HandlerError> {
    let MusicVideo {
        task_id, outcome, ..
    } = &delivery.event;
    match task_id.as_str() {
        "gives-up" => Err(GiveUp::new("nobody has ordered it"))?,
        "fails-once" if delivery.attempt() == 1 => Err("the database is away")?,
        _ => {}
    }
    if let Outcome::Succeeded { video_url } = outcome {
        videos.fetch(task_id, video_url).await?;
    }
    Ok(())
}

async fn scrape(State(metrics): State<PrometheusHandle>) -> String {
    metrics.render()
}

/// What the exporter needs now and then where nobody scrapes it.
async fn upkeep(metrics: PrometheusHandle, stopped: watch::Receiver<()>) {
    let mut often = interval(Duration::from_secs(5));
    let again = async {
        loop {
            often.tick().await;
            metrics.run_upkeep();
        }
    };
    tokio::select! {
        () = again => {}
        () = shutdown(stopped) => {}
    }
}

async fn shutdown(mut stopped: watch::Receiver<()>) {
    let _ = stopped.changed().await;
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use tower_callback::testing::{Harness, callback};

    use super::*;

    #[tokio::test]
    async fn what_fails_once_is_handled_and_what_is_hopeless_is_given_up() {
        let (videos, _directory) = Videos::new().expect("there is room for a directory");
        let test = Harness::handle(move |delivery| handle(videos.clone(), delivery));
        for task in ["fails-once", "gives-up"] {
            test.receive(callback(task).failed(451, "no audio")).await;
        }
        test.settled().await;
        test.assert_handled_once("fails-once");
        assert_eq!(test.attempts("fails-once"), 2);
        test.assert_given_up("gives-up");
    }
}
