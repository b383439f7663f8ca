//! Stores that are watched, and stores that are wrong.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    slice,
    sync::Mutex,
    time::Duration,
};

use sqlx::{
    Executor, SqlitePool, query,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous},
};
use tower_callback::store::{
    Action, Durability, Found, Inbox, Inserted, LeaseToken, Leased, NewRecord, Purged, Queue,
    Retention, Settled, Settlement, SqliteStore, Store, StoreError,
};

use super::{Line, Part, journal::Journal, phase::Teller};

fn file(database: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(database)
        .create_if_missing(true)
        .busy_timeout(Duration::from_secs(5))
}

/// A user's own database.
pub async fn pool(database: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options = SqlitePoolOptions::new().max_connections(8);
    options.connect_with(file(database)).await
}

/// A database of somebody who wants it fast: every connection is handed out without sync.
pub async fn pool_without_sync(database: &Path) -> Result<SqlitePool, sqlx::Error> {
    SqlitePoolOptions::new()
        .min_connections(2)
        .max_connections(4)
        .before_acquire(|conn, _| {
            Box::pin(async move {
                conn.execute("PRAGMA synchronous = OFF").await?;
                Ok(true)
            })
        })
        .connect_with(file(database).synchronous(SqliteSynchronous::Off))
        .await
}

/// Tells the phase of every call, and writes down what is settled.
pub struct Watched<S> {
    store: S,
    journal: Journal,
    teller: Teller,
    leased: Mutex<HashMap<LeaseToken, (String, u16)>>,
}

impl<S> Watched<S> {
    pub fn new(store: S, journal: &Journal, teller: &Teller) -> Self {
        Self {
            store,
            journal: journal.clone(),
            teller: teller.clone(),
            leased: Mutex::default(),
        }
    }
}

impl<S: Store> Inbox for Watched<S> {
    fn durability(&self) -> Durability {
        self.store.durability()
    }

    fn commits_at_once(&self) -> usize {
        self.store.commits_at_once()
    }

    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        let _within = self.teller.enter(Part::Insert);
        self.store.insert(records).await
    }
}

impl<S: Store> Store for Watched<S> {
    async fn lease(
        &self,
        queue: &Queue,
        max: usize,
        ttl: Duration,
    ) -> Result<Vec<Leased>, StoreError> {
        let leased = self.store.lease(queue, max, ttl).await?;
        let mut known = self.leased.lock().unwrap();
        for item in &leased {
            let task = String::from_utf8_lossy(&item.key).into_owned();
            known.insert(item.lease.token, (task, item.rank));
        }
        drop(known);
        Ok(leased)
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Settled>, StoreError> {
        let _within = self.teller.enter(Part::Settle);
        let answers = self.store.settle(settlements).await?;
        for (settlement, answer) in settlements.iter().zip(&answers) {
            if settlement.action == Action::Done && *answer == Settled::Applied {
                let token = settlement.lease.token;
                let known = self.leased.lock().unwrap().remove(&token);
                if let Some((task, rank)) = known {
                    self.journal.write(&Line::Settled(task, rank));
                }
            }
        }
        Ok(answers)
    }

    async fn find(&self, queue: &Queue, key: &[u8]) -> Result<Option<Found>, StoreError> {
        self.store.find(queue, key).await
    }

    async fn purge(&self, retention: &Retention) -> Result<Purged, StoreError> {
        self.store.purge(retention).await
    }

    async fn changed(&self, queue: &Queue) {
        self.store.changed(queue).await;
    }
}

/// A store that takes nothing while a file is there.
pub struct Away {
    store: SqliteStore,
    file: PathBuf,
}

impl Away {
    pub fn while_there(store: SqliteStore, file: PathBuf) -> Self {
        Self { store, file }
    }
}

impl Inbox for Away {
    fn durability(&self) -> Durability {
        self.store.durability()
    }

    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        if self.file.exists() {
            return Err(StoreError::unavailable("it is away"));
        }
        self.store.insert(records).await
    }
}

/// Commits, as far as anybody in the machine can see, and never syncs.
pub struct Careless(SqlitePool);

impl Careless {
    pub async fn open(database: &Path) -> Result<Self, sqlx::Error> {
        let pool = pool_without_sync(database).await?;
        pool.execute("PRAGMA journal_mode = WAL").await?;
        pool.execute("CREATE TABLE inbox (key BLOB PRIMARY KEY, body BLOB NOT NULL)")
            .await?;
        Ok(Self(pool))
    }
}

impl Inbox for Careless {
    fn durability(&self) -> Durability {
        Durability::Durable
    }

    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        let mut transaction = self.0.begin().await.map_err(StoreError::unavailable)?;
        for record in records {
            query("INSERT OR REPLACE INTO inbox VALUES (?, ?)")
                .bind(&*record.key)
                .bind(&*record.body)
                .execute(&mut *transaction)
                .await
                .map_err(StoreError::unavailable)?;
        }
        transaction
            .commit()
            .await
            .map_err(StoreError::unavailable)?;
        Ok(vec![Inserted::Fresh; records.len()])
    }
}

/// Answers while it still commits.
pub struct Early(pub SqliteStore);

impl Inbox for Early {
    fn durability(&self) -> Durability {
        Durability::Durable
    }

    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        for record in records {
            let (store, record) = (self.0.clone(), record.clone());
            tokio::spawn(async move { store.insert(slice::from_ref(&record)).await });
        }
        Ok(vec![Inserted::Fresh; records.len()])
    }
}
