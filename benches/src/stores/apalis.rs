//! The job queue `apalis`, on the same databases.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use apalis::prelude::{BoxDynError, Data, ParallelizeExt, TaskSink, WorkerBuilder};
use apalis_postgres::PostgresStorage;
use apalis_sqlite::SqliteStorage;
use sqlx::{
    PgPool, SqlitePool,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::Notify;
use tower_callback::BoxError;

use super::{
    drive::{Insert, insert},
    handling::feed,
};
use crate::payload::{body, random_id};

async fn postgres(url: &str) -> Result<PgPool, BoxError> {
    let pool = PgPoolOptions::new()
        .max_connections(10)
        .connect(url)
        .await?;
    PostgresStorage::<()>::setup(&pool).await?;
    Ok(pool)
}

/// As durable as ours.
async fn sqlite(path: &Path) -> Result<SqlitePool, BoxError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // Its connections wait for one another, and not only for the five seconds that are sqlx's default.
        .busy_timeout(Duration::from_secs(60));
    let pool = SqlitePoolOptions::new().connect_with(options).await?;
    SqliteStorage::<()>::setup(&pool).await?;
    Ok(pool)
}

fn job() -> Result<String, BoxError> {
    Ok(String::from_utf8(body(&random_id()))?)
}

/// A macro, here and below, because the types of storages have nothing in common that could be written down.
macro_rules! push {
    ($storage:expr) => {{
        let storage = $storage;
        insert(move || {
            let mut storage = storage.clone();
            async move {
                storage
                    .push(job()?)
                    .await
                    .map_err(|error| error.to_string())?;
                Ok(())
            }
        })
    }};
}

pub(super) async fn push_to_postgres(url: &str) -> Result<Insert, BoxError> {
    let pool = postgres(url).await?;
    Ok(push!(PostgresStorage::<String>::new(&pool)))
}

pub(super) async fn push_to_sqlite(path: &Path) -> Result<Insert, BoxError> {
    let pool = sqlite(path).await?;
    Ok(push!(SqliteStorage::<String>::new(&pool)))
}

/// How a worker is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tuning {
    AsItComes,
    /// Larger batches, and every job a task of its own.
    Tuned,
}

const BATCH: usize = 1000;

/// Counts down, and wakes whoever waits for the end.
#[derive(Clone, Debug)]
struct Left(Arc<(AtomicU64, Notify)>);

impl Left {
    fn new(jobs: u64) -> Self {
        Self(Arc::new((AtomicU64::new(jobs), Notify::new())))
    }

    fn one_less(&self) {
        if self.0.0.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.1.notify_one();
        }
    }

    async fn none(&self) {
        self.0.1.notified().await;
    }
}

async fn do_nothing(_: String, left: Data<Left>) -> Result<(), BoxDynError> {
    left.one_less();
    Ok(())
}

/// Pushes so many jobs beside a worker that handles them, and tells how many a second. The last
/// batch's acknowledgement is not waited for.
async fn until_done<E: std::fmt::Display>(
    worker: impl Future<Output = Result<(), E>>,
    push: &Insert,
    left: &Left,
    jobs: u64,
) -> Result<f64, BoxError> {
    let start = Instant::now();
    let done = async {
        feed(push, jobs).await?;
        left.none().await;
        Ok(jobs as f64 / start.elapsed().as_secs_f64())
    };
    tokio::select! {
        rate = done => rate,
        ended = worker => Err(match ended {
            Ok(()) => "the worker has ended".into(),
            Err(error) => error.to_string().into(),
        }),
    }
}

macro_rules! handle {
    ($storage:expr, $tuning:expr, $jobs:expr) => {{
        let storage = $storage;
        let push = push!(storage.clone());
        let left = Left::new($jobs);
        let worker = WorkerBuilder::new("worker")
            .backend(storage)
            .data(left.clone());
        match $tuning {
            Tuning::AsItComes => {
                until_done(worker.build(do_nothing).run(), &push, &left, $jobs).await
            }
            Tuning::Tuned => {
                let worker = worker.parallelize(tokio::spawn).build(do_nothing);
                until_done(worker.run(), &push, &left, $jobs).await
            }
        }
    }};
}

pub(super) async fn handle_in_postgres(
    url: &str,
    tuning: Tuning,
    jobs: u64,
) -> Result<f64, BoxError> {
    let pool = postgres(url).await?;
    let mut config = apalis_postgres::Config::default();
    if tuning == Tuning::Tuned {
        config = config.batch_size(BATCH);
    }
    let storage = PostgresStorage::<String>::new(&pool).with_config(config);
    handle!(storage, tuning, jobs)
}

pub(super) async fn handle_in_sqlite(
    path: &Path,
    tuning: Tuning,
    jobs: u64,
) -> Result<f64, BoxError> {
    let pool = sqlite(path).await?;
    let mut config = apalis_sqlite::Config::default();
    if tuning == Tuning::Tuned {
        config = config.batch_size(BATCH);
    }
    let storage = SqliteStorage::<String>::new(&pool).with_config(config);
    handle!(storage, tuning, jobs)
}
