//! Connections: made durable before use, closed unless they were given back whole.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions, Sqlite, SqliteConnection, SqlitePool, pool::PoolConnection,
    sqlite::SqliteConnectOptions,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    db_error::is_locked,
    guard::{self, Identity},
    open_error::{DbError, OpenError, OpenErrorKind},
    schema, settings,
};
use crate::store::StoreError;

/// Where connections come from, and how many of them are in use at once.
pub(super) struct Connections {
    source: Source,
    path: PathBuf,
    busy_timeout: Duration,
    /// The file that everything so far was written to.
    file: Mutex<Option<Identity>>,
    /// Counts the files that were found at the path, and the errors after which no connection is
    /// to be trusted.
    generation: Arc<AtomicU64>,
    writer: Arc<Lane>,
    readers: Arc<Lane>,
}

enum Source {
    Own(Box<SqliteConnectOptions>),
    /// With the database that its connections must lead to: a pool opens some by itself, and may have
    /// done so while another file was at the path.
    Pool(SqlitePool, Vec<u8>),
}

/// Connections of one purpose. There is one writer: SQLite has one write lock, and a queue is fairer
/// than its busy handler.
struct Lane {
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<(u64, SqliteConnection)>>,
    generation: Arc<AtomicU64>,
}

impl Lane {
    fn new(permits: usize, generation: &Arc<AtomicU64>) -> Arc<Self> {
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(permits)),
            idle: Mutex::default(),
            generation: Arc::clone(generation),
        })
    }

    fn put(&self, generation: u64, conn: SqliteConnection) {
        if generation == self.generation.load(Ordering::Acquire) {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push((generation, conn));
        }
    }

    fn idle(&self, generation: u64) -> Option<SqliteConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(made, _)| *made == generation);
        idle.pop().map(|(_, conn)| conn)
    }
}

/// A connection in use. Dropped without [`release`](Self::release), it is closed: a future that was
/// dropped midway may have left a transaction open, and after an error of the disk nothing that
/// a handle believes is to be trusted.
pub(super) struct Held {
    conn: Option<Conn>,
    file: Identity,
    generation: u64,
    lane: Arc<Lane>,
    _permit: OwnedSemaphorePermit,
}

enum Conn {
    Own(SqliteConnection),
    Pooled(PoolConnection<Sqlite>),
}

impl Held {
    pub(super) fn conn(&mut self) -> &mut SqliteConnection {
        match self.conn.as_mut().expect("taken only by release and drop") {
            Conn::Own(conn) => conn,
            Conn::Pooled(conn) => conn,
        }
    }

    /// Gives back a connection on which nothing is under way.
    pub(super) fn release(mut self) {
        match self.conn.take() {
            Some(Conn::Own(conn)) => self.lane.put(self.generation, conn),
            Some(Conn::Pooled(conn)) => drop(conn),
            None => {}
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(Conn::Pooled(conn)) = self.conn.take() {
            drop(conn.detach());
        }
    }
}

impl Connections {
    /// Opens or creates a file of our own.
    pub(super) async fn open(
        path: &Path,
        busy_timeout: Duration,
        readers: usize,
    ) -> Result<Self, OpenError> {
        let path = absolute(path)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .busy_timeout(busy_timeout)
            // Holds the upper levels of large indexes.
            .pragma("cache_size", "-16384")
            // A checkpoint writes a page once, however often it was changed since the last one.
            .pragma("wal_autocheckpoint", "4000")
            .pragma("journal_size_limit", "67108864")
            // What undoes half a statement need not be a file.
            .pragma("temp_store", "memory")
            .row_buffer_size(1024)
            .disable_statement_logging();
        let connections = Self::new(
            Source::Own(Box::new(options.clone())),
            path,
            busy_timeout,
            readers,
        );
        // Later, a file that is missing is an error: a new one would hide that events are gone.
        let (conn, file) = connections
            .connect(&options.create_if_missing(true), true)
            .await?;
        connections.writer.put(0, conn);
        connections.remember(file);
        Ok(connections)
    }

    /// Lives on the user's pool.
    pub(super) async fn on_pool(
        pool: SqlitePool,
        busy_timeout: Duration,
        readers: usize,
    ) -> Result<Self, OpenError> {
        let path = pool.connect_options().get_filename().to_owned();
        if path.as_os_str().is_empty() || !path.exists() && is_memory(&path) {
            return Err(OpenError::new(
                OpenErrorKind::NotDurable,
                "the pool's database is in memory: use a file, or `MemoryStore`",
            ));
        }
        let path = absolute(&path)?;
        refuse_network(&path)?;
        let mut conn = pool.acquire().await.map_err(DbError)?;
        conn.close_on_drop();
        prepare(&mut conn, true).await?;
        let database = schema::database(&mut conn).await?;
        drop(conn);
        let source = Source::Pool(pool, database);
        let connections = Self::new(source, path, busy_timeout, readers);
        let file = guard::identity(&connections.path)
            .map_err(|error| OpenError::io("the pool's database file cannot be found", error))?;
        connections.remember(file);
        Ok(connections)
    }

    fn new(source: Source, path: PathBuf, busy_timeout: Duration, readers: usize) -> Self {
        let generation = Arc::new(AtomicU64::new(0));
        Self {
            source,
            path,
            busy_timeout,
            file: Mutex::default(),
            writer: Lane::new(1, &generation),
            readers: Lane::new(readers.max(1), &generation),
            generation,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The connection that writes.
    pub(super) async fn writer(&self) -> Result<Held, StoreError> {
        self.acquire(&self.writer).await
    }

    /// A connection that reads.
    pub(super) async fn reader(&self) -> Result<Held, StoreError> {
        self.acquire(&self.readers).await
    }

    /// Gives a connection back after a success. After a failure it is closed, and all idle ones with
    /// it: what a failed sync did to the file is not known to any of them.
    ///
    /// What went into a file that is not the one at the path any more was no success: nobody finds
    /// it again.
    pub(super) fn finish<T>(
        &self,
        held: Held,
        outcome: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let outcome = outcome.and_then(|answer| {
            let found = guard::identity(&self.path).map_err(StoreError::unavailable)?;
            if found == held.file {
                Ok(answer)
            } else {
                Err(replaced())
            }
        });
        match &outcome {
            Ok(_) => held.release(),
            Err(error) => {
                drop(held);
                if !is_locked(error) {
                    self.distrust();
                }
            }
        }
        outcome
    }

    fn remember(&self, found: Identity) {
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
    }

    /// The file at the path. If it is another one than before, ours is opened anew. A pool of the
    /// user's goes on to write to the old one, and so is not used any more.
    fn current_file(&self) -> Result<Identity, StoreError> {
        let found = guard::identity(&self.path).map_err(StoreError::unavailable)?;
        let known = *self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if known != Some(found) {
            match self.source {
                Source::Own(_) => {
                    self.remember(found);
                    self.distrust();
                }
                Source::Pool(..) => return Err(replaced()),
            }
        }
        Ok(found)
    }

    /// No connection of ours that is open now is used again.
    pub(super) fn distrust(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        for lane in [&self.writer, &self.readers] {
            let mut idle = lane.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.clear();
        }
    }

    async fn acquire(&self, lane: &Arc<Lane>) -> Result<Held, StoreError> {
        let permit = Arc::clone(&lane.permits)
            .acquire_owned()
            .await
            .map_err(StoreError::unavailable)?;
        let file = self.current_file()?;
        let generation = self.generation.load(Ordering::Acquire);
        let conn = match &self.source {
            Source::Own(options) => Conn::Own(match lane.idle(generation) {
                Some(conn) => conn,
                None => {
                    let writes = Arc::ptr_eq(lane, &self.writer);
                    let (conn, opened) = self
                        .connect(options, writes)
                        .await
                        .map_err(StoreError::unavailable)?;
                    if opened != file {
                        return Err(replaced());
                    }
                    conn
                }
            }),
            Source::Pool(pool, _) => {
                Conn::Pooled(pool.acquire().await.map_err(StoreError::unavailable)?)
            }
        };
        let mut held = Held {
            conn: Some(conn),
            file,
            generation,
            lane: Arc::clone(lane),
            _permit: permit,
        };
        if let (Some(Conn::Pooled(conn)), Source::Pool(_, known)) = (&mut held.conn, &self.source) {
            settings::make_durable(conn)
                .await
                .map_err(StoreError::unavailable)?;
            let database = schema::database(conn).await;
            if database.map_err(StoreError::unavailable)? != *known {
                return Err(replaced());
            }
            if Arc::ptr_eq(lane, &self.writer) {
                schema::sync_once(conn)
                    .await
                    .map_err(StoreError::unavailable)?;
            }
        }
        Ok(held)
    }

    /// A new connection to our own file, ready for use, and which file that is.
    async fn connect(
        &self,
        options: &SqliteConnectOptions,
        writes: bool,
    ) -> Result<(SqliteConnection, Identity), OpenError> {
        let deadline = Instant::now() + self.busy_timeout;
        // Each time: another file may be at the path, on another disk.
        refuse_network(&self.path)?;
        loop {
            let before = guard::identity(&self.path).ok();
            let connected = async {
                let mut conn = options.connect().await.map_err(DbError)?;
                prepare(&mut conn, writes).await?;
                Ok::<_, OpenError>(conn)
            };
            let error = match connected.await {
                Ok(conn) => {
                    let after = guard::identity(&self.path)
                        .map_err(|error| OpenError::io("the database file is gone", error))?;
                    if before.is_none_or(|before| before == after) {
                        return Ok((conn, after));
                    }
                    OpenError::new(
                        OpenErrorKind::Locked,
                        "the database file was replaced while it was opened",
                    )
                }
                Err(error) => error,
            };
            // The switch to the write-ahead log does not wait for other processes by itself.
            if error.kind() != OpenErrorKind::Locked || Instant::now() >= deadline {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Proves a new connection, and that the tables are the present ones. A writer's log is synced
/// before anything is read from it.
async fn prepare(conn: &mut SqliteConnection, writes: bool) -> Result<(), OpenError> {
    settings::make_durable(conn).await?;
    schema::ensure(conn).await?;
    if writes {
        schema::sync(conn).await?;
    }
    Ok(())
}

fn replaced() -> StoreError {
    StoreError::unavailable("the database file was replaced by another one")
}

/// How the driver spells databases in memory.
fn is_memory(path: &Path) -> bool {
    let path = path.to_string_lossy();
    path.contains(":memory:") || path.contains("sqlx-in-memory")
}

/// The path from the root, however the working directory changes.
fn absolute(path: &Path) -> Result<PathBuf, OpenError> {
    std::path::absolute(path).map_err(|error| OpenError::io("the path is of no use", error))
}

fn refuse_network(path: &Path) -> Result<(), OpenError> {
    let network = guard::network(guard::place(path))
        .map_err(|error| OpenError::io("the database's directory cannot be read", error))?;
    match network {
        None => Ok(()),
        Some(name) => Err(OpenError::new(
            OpenErrorKind::NetworkFileSystem,
            format!(
                "the database is on a network file system ({name}), where SQLite's locks do not hold: use a local disk"
            ),
        )),
    }
}
