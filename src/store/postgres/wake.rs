//! Telling other processes that something was inserted, and being told.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
    query,
};
use tokio::sync::Notify;

use super::Shared;
use crate::store::{Queue, hash};

/// At most one `NOTIFY` in this time: each takes a lock of the whole server at its commit.
const APART: Duration = Duration::from_millis(10);

/// How long after a failure the server is asked again whether it can be listened to. Workers poll
/// meanwhile.
const AGAIN: Duration = Duration::from_secs(1);

/// Tells of inserts, after their commit. In the transaction of the insert it would cost three
/// quarters of them.
///
/// What comes while a `NOTIFY` is under way is told by the next one, which a task of its own sends;
/// it ends when there is nothing to tell any more.
#[derive(Debug)]
pub(super) struct Bell {
    channel: String,
    enabled: bool,
    state: Mutex<Ringing>,
}

#[derive(Debug, Default)]
struct Ringing {
    /// A task is at work.
    running: bool,
    names: HashSet<String>,
}

/// Frees the place of the task however it ends, also with its runtime.
struct Ringer(Arc<Shared>);

impl Drop for Ringer {
    fn drop(&mut self) {
        self.0.bell.lock().running = false;
    }
}

impl Bell {
    pub(super) fn new(channel: String, enabled: bool) -> Self {
        Self {
            channel,
            enabled,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Ringing> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ring<'q>(&self, shared: &Arc<Shared>, queues: impl Iterator<Item = &'q Queue>) {
        if !self.enabled {
            return;
        }
        let names: HashSet<String> = queues
            .collect::<HashSet<_>>()
            .into_iter()
            .map(name)
            .collect();
        if names.is_empty() {
            return;
        }
        let mut state = self.lock();
        state.names.extend(names);
        if state.running {
            return;
        }
        state.running = true;
        drop(state);
        let ringer = Ringer(Arc::clone(shared));
        tokio::spawn(async move { ringer.0.bell.tell(&ringer.0).await });
    }

    async fn tell(&self, shared: &Shared) {
        loop {
            let names: Vec<String> = {
                let mut state = self.lock();
                if state.names.is_empty() {
                    // Under the same lock, so that nobody relies on a task that has looked already.
                    state.running = false;
                    return;
                }
                state.names.drain().collect()
            };
            // Nothing is lost with it: it need not wait for the disk.
            let told = query(
                "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, name)
                 FROM unnest($2::text[]) name",
            )
            .bind(&*self.channel)
            .bind(names);
            if let Err(error) = shared.calls.rows(told).await {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "other processes are not told of new events, and find them by polling"
                );
            }
            tokio::time::sleep(APART).await;
        }
    }
}

/// Listens, on a connection of its own, as long as somebody waits.
pub(super) struct Ear {
    channel: String,
    server: Option<PgConnectOptions>,
    listener: tokio::sync::Mutex<Option<PgListener>>,
    waiting: Mutex<HashMap<String, Arc<Notify>>>,
}

impl Ear {
    pub(super) fn new(channel: String, server: Option<PgConnectOptions>) -> Self {
        Self {
            channel,
            server,
            listener: tokio::sync::Mutex::default(),
            waiting: Mutex::default(),
        }
    }

    /// Resolves when something was inserted into the queue since the last time.
    pub(super) async fn changed(&self, queue: &Queue) {
        let Some(server) = &self.server else {
            return std::future::pending().await;
        };
        let heard = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let heard = waiting.entry(name(queue)).or_insert_with(|| {
                // Nobody knows what was inserted before.
                let heard = Arc::new(Notify::new());
                heard.notify_one();
                heard
            });
            Arc::clone(heard)
        };
        loop {
            tokio::select! {
                biased;
                () = heard.notified() => return,
                () = self.listen(server) => {}
            }
        }
    }

    /// Waits for one notification, on behalf of everybody; or until it is somebody's turn.
    async fn listen(&self, server: &PgConnectOptions) {
        let mut place = self.listener.lock().await;
        if place.is_none() {
            match self.connect(server).await {
                Ok(listener) => {
                    *place = Some(listener);
                    // Nobody knows what was inserted while nobody listened.
                    self.wake(None);
                }
                Err(error) => {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "new events are found by polling until the server can be listened to"
                    );
                    tokio::time::sleep(AGAIN).await;
                }
            }
            return;
        }
        let Some(listener) = place.as_mut() else {
            return;
        };
        match listener.try_recv().await {
            Ok(Some(told)) => self.wake(Some(told.payload())),
            // Lost: the next one connects again.
            Ok(None) | Err(_) => *place = None,
        }
    }

    async fn connect(&self, server: &PgConnectOptions) -> Result<PgListener, sqlx::Error> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(5))
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(server.clone());
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen(&self.channel).await?;
        Ok(listener)
    }

    /// Wakes one who waits for this queue, or for each; or the next one who will.
    fn wake(&self, name: Option<&str>) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for (queue, heard) in &*waiting {
            if name.is_none_or(|name| name == queue) {
                heard.notify_one();
            }
        }
    }
}

/// A queue as notifications name it: by a hash, since everybody on the server may read them.
fn name(queue: &Queue) -> String {
    hex(&hash::key_hash(queue, b""))
}

/// The channel of a schema.
pub(super) fn channel(schema: &str) -> String {
    let hash = hash::key_hash(&Queue::events(schema), b"channel");
    format!("tower_callback_{}", hex(&hash))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
