//! The three-line way: no store and no worker. Each event goes to a function that puts it where it
//! belongs, by an upsert that makes repeats harmless, and the provider gets its 200 after that.
//!
//! ```text
//! cargo run --example accept -- --once    calls itself, and ends with 0 if all went right
//! ```

mod support;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use support::send;
use tokio::{net::TcpListener, signal::ctrl_c, sync::oneshot, time::timeout};
use tower_callback::{
    BoxError, BuildError, CallbackService, Callbacks, Event, HandlerError, MusicVideo, Token,
    music_video::Outcome,
};

const SECRET: &str = "read-this-from-your-configuration";

/// Stands for a database with a table of tasks.
#[derive(Clone, Default)]
struct Db(Arc<Mutex<HashMap<String, MusicVideo>>>);

impl Db {
    /// Without a store, a failure that comes after a success is ours to refuse: that is what the rank says.
    async fn upsert(&self, event: MusicVideo) -> Result<(), HandlerError> {
        let rank = event.key()?.rank();
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match tasks.get(&event.task_id) {
            Some(known) if known.key()?.rank() >= rank => {}
            _ => {
                tasks.insert(event.task_id.clone(), event);
            }
        }
        Ok(())
    }
}

fn endpoint(db: Db) -> Result<CallbackService, BuildError> {
    Callbacks::<MusicVideo>::new("music-video", Token::query("token", SECRET)).accept(
        move |event| {
            let db = db.clone();
            async move { db.upsert(event).await }
        },
    )
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let tasks = Db::default();
    let callback = endpoint(tasks.clone())?;
    let app = axum::Router::new().route_service("/music-video-callback", callback);

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}");
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let server = tokio::spawn(server.into_future());

    let outcome = if std::env::args().any(|argument| argument == "--once") {
        call(address, &tasks).await
    } else {
        Ok(ctrl_c().await?)
    };

    drop(stop);
    timeout(Duration::from_secs(10), server).await???;
    outcome
}

/// Plays the provider: the task fails, succeeds, succeeds again, and fails.
async fn call(address: SocketAddr, db: &Db) -> Result<(), BoxError> {
    let failed = MusicVideo::failed("task-1", 500, "try again later");
    let succeeded = MusicVideo::succeeded("task-1", "https://example.com/1.mp4");
    let target = format!("/music-video-callback?token={SECRET}");
    for event in [&failed, &succeeded, &succeeded, &failed] {
        let body = event.encode();
        let (status, _) = send(address, "POST", &target, &[], str::from_utf8(&body)?).await?;
        println!("{}: {status}", event.msg);
        if status != 200 {
            return Err("that is not right".into());
        }
    }
    let tasks = db.0.lock().unwrap_or_else(PoisonError::into_inner);
    println!("in the database: {:?}", tasks.values());
    match tasks.get("task-1").map(|event| &event.outcome) {
        Some(Outcome::Succeeded { .. }) if tasks.len() == 1 => Ok(()),
        _ => Err("that is not right".into()),
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use tower_callback::testing::callback;

    use super::*;

    #[tokio::test]
    async fn a_failure_that_comes_after_the_success_changes_nothing() {
        let db = Db::default();
        let service = endpoint(db.clone()).unwrap();
        let success = callback("task-1").query("token", SECRET);
        assert_eq!(success.call(service.clone(), "/").await.status(), 200);
        let failure = callback("task-1")
            .failed(500, "later")
            .query("token", SECRET);
        assert_eq!(failure.call(service, "/").await.status(), 200);
        let event = db.0.lock().unwrap().remove("task-1").unwrap();
        assert!(matches!(event.outcome, Outcome::Succeeded { .. }));
    }
}
