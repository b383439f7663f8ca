//! Telling other processes that something was inserted, and being told.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
    query,
};
use tokio::{sync::Notify, time::timeout};

use super::Shared;
use crate::store::{Queue, hash};

/// At most one `NOTIFY` in this time: each takes a lock of the whole server at its commit.
const APART: Duration = Duration::from_millis(10);

/// How long after a failure the server is asked again whether it can be listened to. Workers poll
/// meanwhile.
const AGAIN: Duration = Duration::from_secs(1);

/// How long is listened when nobody waits: a worker that is busy will wait again.
const ALONE: Duration = Duration::from_secs(10);

/// After how long without a word it is asked whether the server is still there.
const QUIET: Duration = Duration::from_secs(60);

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
///
/// A task of its own reads, so that it matters to nobody whether others who wait are polled: a worker
/// looks at what it waits for only when it is idle.
pub(super) struct Ear {
    server: Option<PgConnectOptions>,
    hearing: Arc<Hearing>,
}

struct Hearing {
    channel: String,
    state: Mutex<Listening>,
    /// There is a first one who waits, or the last one has gone.
    turn: Notify,
}

#[derive(Default)]
struct Listening {
    /// A task is at work.
    running: bool,
    /// From now on, nothing is missed.
    connected: bool,
    closed: bool,
    waiters: usize,
    queues: HashMap<String, Arc<Notify>>,
}

/// Somebody who waits.
struct Waiter<'a>(&'a Hearing);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.waiters -= 1;
        if state.waiters == 0 {
            self.0.turn.notify_one();
        }
    }
}

/// Frees the place of the task however it ends, also with its runtime.
struct Listener {
    hearing: Arc<Hearing>,
    /// It has told so itself, and somebody else may be at work by now.
    is_over: bool,
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut state = self.hearing.lock();
        state.running = false;
        state.connected = false;
        // Whoever waits asks again, and somebody listens again.
        state.wake(None);
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.hearing.lock().closed = true;
        self.hearing.turn.notify_one();
    }
}

impl Ear {
    pub(super) fn new(channel: String, server: Option<PgConnectOptions>) -> Self {
        let hearing = Hearing {
            channel,
            state: Mutex::default(),
            turn: Notify::new(),
        };
        Self {
            server,
            hearing: Arc::new(hearing),
        }
    }

    /// Resolves when something was inserted into the queue since the last time; the first time, once
    /// nothing is missed any more.
    pub(super) async fn changed(&self, queue: &Queue) {
        let Some(server) = &self.server else {
            return std::future::pending().await;
        };
        let name = name(queue);
        let (_waiter, heard) = {
            let mut state = self.hearing.lock();
            let connected = state.connected;
            let heard = state.queues.entry(name).or_insert_with(|| {
                let heard = Arc::new(Notify::new());
                if connected {
                    // Nobody knows what was inserted before.
                    heard.notify_one();
                }
                heard
            });
            let heard = Arc::clone(heard);
            state.waiters += 1;
            if !state.running {
                state.running = true;
                let listener = Listener {
                    hearing: Arc::clone(&self.hearing),
                    is_over: false,
                };
                let server = server.clone();
                tokio::spawn(async move {
                    let mut listener = listener;
                    listener.hearing.listen(&server).await;
                    listener.is_over = true;
                });
            } else if state.waiters == 1 {
                self.hearing.turn.notify_one();
            }
            (Waiter(&self.hearing), heard)
        };
        heard.notified().await;
    }
}

impl Listening {
    /// Wakes one who waits for this queue, or for each; or the next one who will.
    fn wake(&self, name: Option<&str>) {
        for (queue, heard) in &self.queues {
            if name.is_none_or(|name| name == queue) {
                heard.notify_one();
            }
        }
    }
}

impl Hearing {
    fn lock(&self) -> std::sync::MutexGuard<'_, Listening> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until nobody has waited for a while.
    async fn listen(&self, server: &PgConnectOptions) {
        while !self.is_over(None) {
            match self.connect(server).await {
                Ok(listener) => {
                    {
                        let mut state = self.lock();
                        state.connected = true;
                        // Nobody knows what was inserted while nobody listened.
                        state.wake(None);
                    }
                    if self.hear(listener).await {
                        return;
                    }
                    self.lock().connected = false;
                }
                Err(error) => {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "new events are found by polling until the server can be listened to"
                    );
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    /// Until the connection is lost, or until nobody waits, which is told.
    async fn hear(&self, mut listener: PgListener) -> bool {
        let mut alone = None;
        loop {
            let nobody = self.lock().waiters == 0;
            if !nobody {
                alone = None;
            } else if self.is_over(Some(*alone.get_or_insert_with(Instant::now))) {
                return true;
            }
            let wait = if nobody { ALONE } else { QUIET };
            tokio::select! {
                biased;
                () = self.turn.notified() => {}
                told = timeout(wait, listener.try_recv()) => match told {
                    Ok(Ok(Some(told))) => self.lock().wake(Some(told.payload())),
                    Ok(_) => return false,
                    Err(_) => {
                        // A peer that is gone without a word is not told from one that is silent.
                        let ping = timeout(AGAIN * 5, query("SELECT 1").execute(&mut listener));
                        if !matches!(ping.await, Ok(Ok(_))) {
                            return false;
                        }
                    }
                }
            }
        }
    }

    /// Whether to end: under the same lock as a new one who waits, so that he starts another task or
    /// is heard by this one.
    fn is_over(&self, alone: Option<Instant>) -> bool {
        let mut state = self.lock();
        let over = alone.is_none_or(|since| since.elapsed() >= ALONE);
        let over = state.closed || (state.waiters == 0 && over);
        if over {
            state.running = false;
            state.connected = false;
        }
        over
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
