//! A service that receives, as users build it: a store, a front and a worker.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::Router;
use tokio::{net::TcpListener, task::JoinSet};
use tower_callback::{
    CallbackService, Callbacks, GiveUp, MusicVideo, SqliteStore, Token, Worker,
    music_video::Outcome,
    store::{Inbox, Inspect, Queue, Store},
};

use crate::command::SECRET;

pub(crate) const NAME: &str = "music-video";
pub(crate) const PATH: &str = "/music-video-callback";

/// How often each task was handled.
pub(crate) type Handled = Arc<Mutex<HashMap<String, usize>>>;

pub(crate) struct Receiver<S = SqliteStore> {
    /// Without the token.
    pub(crate) url: String,
    pub(crate) store: S,
    pub(crate) handled: Handled,
    _tasks: JoinSet<()>,
}

/// The endpoint and its worker. A success is handled, and a failure is given up with its message.
pub(crate) fn endpoint<S: Inbox + Store + Clone>(
    store: S,
    handled: &Handled,
) -> (CallbackService, Worker) {
    let handled = Arc::clone(handled);
    Callbacks::<MusicVideo>::new(NAME, Token::query("token", SECRET))
        .store(store)
        .idle_poll(Duration::from_millis(20))
        .handle(move |delivery| {
            let handled = Arc::clone(&handled);
            async move {
                let event = &delivery.event;
                *handled
                    .lock()
                    .unwrap()
                    .entry(event.task_id.clone())
                    .or_default() += 1;
                match &event.outcome {
                    Outcome::Succeeded { .. } => Ok(()),
                    Outcome::Failed(_) => Err(GiveUp::new("nobody can mend this").into()),
                }
            }
        })
        .build()
        .unwrap()
}

/// On a SQLite file.
pub(crate) async fn start(path: &Path) -> Receiver {
    start_on(SqliteStore::open(path).await.unwrap()).await
}

pub(crate) async fn start_on<S: Inbox + Store + Clone>(store: S) -> Receiver<S> {
    let handled = Handled::default();
    let (callback, worker) = endpoint(store.clone(), &handled);
    let mut tasks = JoinSet::new();
    tasks.spawn(worker.run_until(std::future::pending()));
    let port = serve(Router::new().route_service(PATH, callback), &mut tasks).await;
    Receiver {
        url: format!("http://127.0.0.1:{port}{PATH}"),
        store,
        handled,
        _tasks: tasks,
    }
}

/// Serves any app, and gives its port.
pub(crate) async fn serve(app: Router, tasks: &mut JoinSet<()>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
    port
}

impl<S: Inspect> Receiver<S> {
    /// Waits until so many events are done and dead.
    pub(crate) async fn settled(&self, done: u64, dead: u64) {
        let queue = Queue::events(NAME);
        until("all is settled", async || {
            let counts = self.store.counts(&queue).await.unwrap();
            (counts.done, counts.dead) == (done, dead)
        })
        .await;
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let patience = Duration::from_secs(60);
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(patience, waiting).await;
    waited.unwrap_or_else(|_| panic!("never: {what}"));
}
