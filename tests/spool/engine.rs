//! A durable store that fails by script, and a spool in front of it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tower_callback::{
    store::{
        Durability, Forwarder, Inbox, Inserted, NewRecord, Queue, RecordId, SpoolOptions, Spooled,
        SqliteStore, Store, StoreError,
    },
    testing::Recording,
};

/// What never ends while a test runs.
pub(crate) const LONG: Duration = Duration::from_secs(3600);

pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test);
}

/// A database that is told how to fail: every insert by `store`, or those that hold a key.
#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) store: Recording<SqliteStore>,
    /// What it was asked to take, and whether by a task: a forwarder is one, a test's insert is none.
    offered: Arc<Mutex<Vec<(RecordId, bool)>>>,
    rejects: Arc<Mutex<HashMap<Bytes, Bears>>>,
}

/// What the database makes of a key.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Bears {
    Never,
    NotNow,
    NoRoom,
}

impl Engine {
    pub(crate) async fn open(directory: &Path) -> Self {
        let store = SqliteStore::open(directory.join("engine.db"))
            .await
            .unwrap();
        Self {
            store: Recording::new(store),
            offered: Arc::default(),
            rejects: Arc::default(),
        }
    }

    pub(crate) fn bears(&self, key: &'static str, bears: Bears) {
        self.rejects.lock().unwrap().insert(key.into(), bears);
    }

    pub(crate) fn bears_all(&self) {
        self.rejects.lock().unwrap().clear();
    }

    /// Whether an insert of it waited for this.
    pub(crate) fn was_waited_for(&self, record: &NewRecord) -> bool {
        self.offered.lock().unwrap().contains(&(record.id, false))
    }

    pub(crate) fn times_offered(&self, record: &NewRecord) -> usize {
        let offered = self.offered.lock().unwrap();
        offered.iter().filter(|(id, _)| *id == record.id).count()
    }

    /// Keys in the order in which it took them.
    pub(crate) fn taken(&self) -> Vec<String> {
        let recorded = self.store.recorded();
        recorded.iter().map(|record| text(&record.key)).collect()
    }
}

impl Inbox for Engine {
    fn durability(&self) -> Durability {
        self.store.durability()
    }

    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        let by_task = tokio::task::try_id().is_some();
        let ids = records.iter().map(|record| (record.id, by_task));
        self.offered.lock().unwrap().extend(ids);
        let bears = |record: &NewRecord| self.rejects.lock().unwrap().get(&record.key).copied();
        let worst: Vec<_> = records.iter().map(bears).collect();
        if worst.contains(&Some(Bears::Never)) {
            return Err(StoreError::rejected("the engine cannot bear this"));
        }
        if worst.contains(&Some(Bears::NotNow)) {
            return Err(StoreError::unavailable("the engine cannot bear this now"));
        }
        let mut answers = Vec::new();
        for (record, bears) in records.iter().zip(worst) {
            answers.push(match bears {
                Some(_) => Inserted::Full,
                None => self.store.insert(std::slice::from_ref(record)).await?[0],
            });
        }
        Ok(answers)
    }
}

/// A store behind a spool, in a directory of its own.
pub(crate) struct Rig {
    pub(crate) engine: Engine,
    pub(crate) store: Spooled<Engine>,
    forwarder: Option<Forwarder>,
    directory: TempDir,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(quick()).await
    }

    pub(crate) async fn with(options: SpoolOptions) -> Self {
        Self::on(tempfile::tempdir().unwrap(), options).await
    }

    async fn on(directory: TempDir, options: SpoolOptions) -> Self {
        let engine = Engine::open(directory.path()).await;
        let file = directory.path().join("spool.db");
        let (store, forwarder) = options.open(engine.clone(), file).await.unwrap();
        Self {
            engine,
            store,
            forwarder: Some(forwarder),
            directory,
        }
    }

    /// What a process that is started again finds, with a store that is well.
    pub(crate) async fn restarted(self) -> Self {
        let Self {
            engine,
            store,
            forwarder,
            directory,
        } = self;
        drop((engine, store, forwarder));
        Self::on(directory, quick()).await
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("spool.db")
    }

    pub(crate) fn forward(&mut self) -> JoinHandle<()> {
        tokio::spawn(self.forwarder.take().unwrap().run())
    }

    pub(crate) fn take_forwarder(&mut self) -> Forwarder {
        self.forwarder.take().unwrap()
    }

    pub(crate) async fn put(&self, record: &NewRecord) -> Inserted {
        self.store
            .insert(std::slice::from_ref(record))
            .await
            .unwrap()[0]
    }

    pub(crate) async fn waiting(&self) -> u64 {
        self.store.backlog().await.unwrap().waiting
    }

    pub(crate) async fn drained(&self) {
        until(async || self.waiting().await == 0).await;
    }

    /// Keys in the order in which a worker of the engine gets them.
    pub(crate) async fn leased(&self) -> Vec<String> {
        let leased = self.engine.store.lease(&events(), 10_000, LONG).await;
        leased.unwrap().iter().map(|item| text(&item.key)).collect()
    }
}

/// Patient enough for a disk that is busy, and no longer.
pub(crate) fn quick() -> SpoolOptions {
    SpoolOptions::default()
        .with_patience(Duration::from_secs(20))
        .with_reserve(0)
}

pub(crate) fn events() -> Queue {
    Queue::events("music-video")
}

pub(crate) fn event(key: impl Into<Bytes>) -> NewRecord {
    let key = key.into();
    NewRecord::new(events(), key.clone(), key)
}

fn text(key: &[u8]) -> String {
    String::from_utf8(key.to_vec()).unwrap()
}

/// Waits until it is so, which takes however long it takes.
pub(crate) async fn until(mut so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting)
        .await
        .expect("it never came to that");
}
