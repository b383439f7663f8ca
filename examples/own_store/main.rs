//! A store of one's own behind an endpoint: events in a redb file, for those whose app cannot link
//! another SQLite, or who have another database already. `docs/your-own-store.md` walks through it.
//!
//! ```text
//! cargo run --example own_store              serves from `own_store.redb` until Ctrl-C
//! cargo run --example own_store -- --once    calls itself, starts again on the same file, and ends
//!                                            with 0 if all went right
//! ```
//!
//! That it keeps the contract is for the conformance suite to say: `tests/stores/own.rs` runs it.

mod store;
#[path = "../support/mod.rs"]
mod support;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::Router;
use redb::DatabaseError;
use tokio::{
    net::TcpListener,
    signal::ctrl_c,
    sync::watch,
    time::{sleep, timeout},
};
use tower_callback::{
    BoxError, BuildError, CallbackService, Callbacks, Delivery, MusicVideo, Token, Worker,
    store::{Queue, State, Store},
};

use self::{store::RedbStore, support::send};

const SECRET: &str = "read-this-from-your-configuration";
const SUCCESS: &str = r#"{"code":200,"msg":"success","data":{"task_id":"task-1","video_url":"https://example.com/1.mp4"}}"#;

fn endpoint(
    store: RedbStore,
    handled: Arc<AtomicUsize>,
) -> Result<(CallbackService, Worker), BuildError> {
    Callbacks::<MusicVideo>::new("music-video", Token::query("token", SECRET))
        .store(store)
        .handle(move |delivery: Delivery<MusicVideo>| {
            println!("handled {}", delivery.event.task_id);
            handled.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        })
        .build()
}

/// Serves from a file, as long as `session` lasts.
async fn serve<F: Future<Output = Result<(), BoxError>>>(
    file: &Path,
    handled: Arc<AtomicUsize>,
    session: impl FnOnce(std::net::SocketAddr, RedbStore) -> F,
) -> Result<(), BoxError> {
    let store = open(file).await?;
    let (callback, worker) = endpoint(store.clone(), handled)?;
    let app = Router::new().route_service("/music-video-callback", callback);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}");
    let (stop, stopped) = watch::channel(());
    let server = axum::serve(listener, app).with_graceful_shutdown(shutdown(stopped.clone()));
    let server = tokio::spawn(server.into_future());
    let worker = tokio::spawn(worker.run_until(shutdown(stopped)));

    let outcome = session(address, store).await;
    drop(stop);
    timeout(Duration::from_secs(10), server).await???;
    worker.await?;
    outcome
}

/// One handle has the file at a time, and a connection that is just closing may still hold the last.
async fn open(file: &Path) -> Result<RedbStore, BoxError> {
    let opened = async {
        loop {
            match RedbStore::open(file) {
                Err(error) if is_in_use(&error) => sleep(Duration::from_millis(5)).await,
                opened => return opened,
            }
        }
    };
    timeout(Duration::from_secs(10), opened).await?
}

fn is_in_use(error: &BoxError) -> bool {
    matches!(
        error.downcast_ref(),
        Some(DatabaseError::DatabaseAlreadyOpen)
    )
}

/// Resolves when the task of [`SUCCESS`] is handled.
async fn done(store: &RedbStore) -> Result<(), BoxError> {
    loop {
        let found = store.find(&Queue::events("music-video"), b"task-1").await?;
        if found.is_some_and(|found| found.state == State::Done) {
            return Ok(());
        }
        sleep(Duration::from_millis(5)).await;
    }
}

async fn shutdown(mut stopped: watch::Receiver<()>) {
    let _ = stopped.changed().await;
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let handled = Arc::new(AtomicUsize::new(0));
    if !std::env::args().any(|argument| argument == "--once") {
        return serve(Path::new("own_store.redb"), handled, |_, _| async {
            Ok(ctrl_c().await?)
        })
        .await;
    }
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("own_store.redb");
    // The second time it is a process that was started again: what it is told is a repeat.
    for start in ["first", "second"] {
        println!("the {start} start");
        serve(&file, handled.clone(), |address, store| async move {
            let target = format!("/music-video-callback?token={SECRET}");
            for _ in 0..2 {
                let (status, body) = send(address, "POST", &target, &[], SUCCESS).await?;
                println!("{status} {body}");
                if status != 200 {
                    return Err("that is not right".into());
                }
            }
            timeout(Duration::from_secs(10), done(&store)).await?
        })
        .await?;
    }
    match handled.load(Ordering::Relaxed) {
        1 => Ok(()),
        times => Err(format!("handled {times} times, and not once").into()),
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use tower_callback::testing::callback;

    use super::*;

    #[tokio::test]
    async fn what_comes_twice_is_in_the_file_and_handled_once() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory.path().join("test.redb")).await.unwrap();
        let handled = Arc::new(AtomicUsize::new(0));
        let (front, worker) = endpoint(store.clone(), handled.clone()).unwrap();
        for _ in 0..2 {
            let call = callback("task-1").query("token", SECRET);
            assert_eq!(call.call(front.clone(), "/").await.status(), 200);
        }
        worker
            .run_until(async { done(&store).await.unwrap() })
            .await;
        assert_eq!(handled.load(Ordering::Relaxed), 1);
    }
}
