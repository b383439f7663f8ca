//! The service that is soaked.

use std::{env, io::Write, net::Ipv4Addr, time::Duration};

use axum::{Router, routing::get};
use tokio::{
    io::{AsyncReadExt, stdin},
    net::TcpListener,
    runtime::Handle,
    time::sleep,
};
use tower_callback::{
    BoxError, Callbacks, Delivery, HandlerError, MusicVideo, RetryPolicy, Token,
    store::{AnyStore, Retention, Store},
};

use super::engine::open;

pub(super) const PLACE: &str = "TOWER_CALLBACK_SOAK";
pub(super) const SECRET: &str = "read-this-from-your-configuration";
pub(super) const PATH: &str = "/music-video-callback";

/// How many of a hundred attempts fail.
const FAILING: u32 = 10;

/// Where the store is, if this process is to be the service.
pub(super) fn given() -> Option<String> {
    env::var(PLACE).ok()
}

/// Serves until whoever started this process is gone.
pub(super) async fn run(place: &str) -> Result<(), BoxError> {
    let store = open(place).await?;
    let (callback, worker) =
        Callbacks::<MusicVideo>::new("music-video", Token::query("token", SECRET))
            .store(store.clone())
            .handle(handle)
            .ack_deadline(Duration::from_secs(5))
            .lease_ttl(Duration::from_secs(5))
            .suspect_limit(u32::MAX)
            .retry(
                RetryPolicy::default()
                    .with_first_delay(Duration::from_millis(20))
                    .with_max_delay(Duration::from_secs(1)),
            )
            .build()?;
    let app = Router::new()
        .route_service(PATH, callback)
        .route("/tasks", get(tasks));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    tokio::select! {
        served = axum::serve(listener, app) => served?,
        () = worker.run() => {}
        () = forget(&store) => {}
        () = parent_ends() => {}
    }
    Ok(())
}

/// How many tasks there are.
async fn tasks() -> String {
    Handle::current().metrics().num_alive_tasks().to_string()
}

async fn handle(delivery: Delivery<MusicVideo>) -> Result<(), HandlerError> {
    sleep(Duration::from_millis(fastrand::u64(0..10))).await;
    match fastrand::u32(0..100) {
        0 => panic!("a handler that panics"),
        n if n < FAILING => return Err("an attempt that fails".into()),
        _ => {}
    }
    // Told before it is settled: whoever kills this process has it told again, at worst.
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", delivery.event.task_id)?;
    Ok(())
}

/// Lets the store forget within seconds what it would keep for months, so that a growth shows.
async fn forget(store: &AnyStore) {
    let soon = Retention::default()
        .with_bodies(Duration::from_secs(1))
        .with_keys(Duration::from_secs(5))
        .with_dead(Duration::from_secs(5))
        .with_quarantine(Duration::from_secs(5));
    loop {
        sleep(Duration::from_millis(500)).await;
        // When the store is away, the next time.
        while store.purge(&soon).await.is_ok_and(|purged| purged.more) {}
    }
}

async fn parent_ends() {
    let mut byte = [0];
    while stdin().read(&mut byte).await.is_ok_and(|read| read > 0) {}
}
