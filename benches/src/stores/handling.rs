//! Events a second, from the insert until they are settled, with a handler that does nothing; and
//! leases and settlements alone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::{sync::Notify, task::JoinSet};
use tower_callback::{
    BoxError, SqliteStore,
    store::{Action, NewRecord, Queue, Settlement, Store},
};

use super::{
    apalis::{self, Tuning},
    drive::Insert,
    inserts::requests,
    place::{File, Places},
};
use crate::{
    by_hand::{PostgresTables, Record, SqliteTables, TwoTables},
    payload::{body, random_id},
    receivers::ours::{self, ENDPOINT},
    statistics::Spread,
    table::Table,
};

/// So many wait for an insert of theirs at the same time.
const FEEDERS: u64 = 256;
/// So many are leased, and settled, at once by hand.
const BATCH: u32 = 500;
/// What a handler that waits for nothing is given; 16 is the default.
const CONCURRENCY: usize = 512;

#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct Sample {
    round: u32,
    what: &'static str,
    per_second: f64,
}

const MEMORY: &str = "ours, memory";
const SQLITE: &str = "ours, SQLite";
const SQLITE_DEFAULT: &str = "ours, SQLite, as it comes";
const SQLITE_RAW: &str = "SQLite by hand, two tables";
const SQLITE_APALIS: &str = "apalis, SQLite, as it comes";
const SQLITE_APALIS_TUNED: &str = "apalis, SQLite, tuned";
const POSTGRES: &str = "ours, Postgres";
const POSTGRES_DEFAULT: &str = "ours, Postgres, as it comes";
const POSTGRES_RAW: &str = "Postgres by hand, two tables";
const POSTGRES_APALIS: &str = "apalis, Postgres, as it comes";
const POSTGRES_APALIS_TUNED: &str = "apalis, Postgres, tuned";
const REDIS: &str = "ours, Redis";
const REDIS_DEFAULT: &str = "ours, Redis, as it comes";
const LEASE_SQLITE: &str = "lease and settle alone: ours, SQLite";
const LEASE_POSTGRES: &str = "lease and settle alone: ours, Postgres";
const LEASE_REDIS: &str = "lease and settle alone: ours, Redis";

const PAIRS: [(&str, &str); 8] = [
    (SQLITE, SQLITE_RAW),
    (SQLITE, SQLITE_APALIS_TUNED),
    (SQLITE, SQLITE_APALIS),
    (SQLITE_DEFAULT, SQLITE_APALIS),
    (POSTGRES, POSTGRES_RAW),
    (POSTGRES, POSTGRES_APALIS_TUNED),
    (POSTGRES, POSTGRES_APALIS),
    (POSTGRES_DEFAULT, POSTGRES_APALIS),
];

pub(super) async fn run(
    places: &Places,
    rounds: u32,
    quick: bool,
) -> Result<Vec<Sample>, BoxError> {
    let mut samples = Vec::new();
    let scale = if quick { 100 } else { 1 };
    let (fast, slow, slowest) = (60_000 / scale, 6_000 / scale, 600 / scale);
    for round in 1..=rounds {
        let mut add = |what: &'static str, per_second: Result<f64, BoxError>| {
            let per_second = match per_second {
                Ok(per_second) => per_second,
                // Somebody else's failure is told, and keeps nobody from the other figures.
                Err(error) if what.starts_with("apalis") => {
                    eprintln!("round {round}, {what} failed: {error}");
                    return Ok(());
                }
                Err(error) => return Err(BoxError::from(format!("{what}: {error}"))),
            };
            eprintln!("round {round}, {what}: {per_second:.0}/s");
            samples.push(Sample {
                round,
                what,
                per_second,
            });
            Ok(())
        };
        add(MEMORY, ours(ours::memory(), Some(CONCURRENCY), fast).await)?;
        let (store, _file) = places.sqlite_store().await?;
        add(SQLITE, ours(store, Some(CONCURRENCY), fast).await)?;
        let (store, _file) = places.sqlite_store().await?;
        add(SQLITE_DEFAULT, ours(store, None, slow).await)?;
        add(SQLITE_RAW, by_hand_in_sqlite(fast).await)?;
        let file = File::new()?;
        let tuned = apalis::handle_in_sqlite(&file.path(), Tuning::Tuned, slowest).await;
        add(SQLITE_APALIS_TUNED, tuned)?;
        let file = File::new()?;
        let plain = apalis::handle_in_sqlite(&file.path(), Tuning::AsItComes, slowest).await;
        add(SQLITE_APALIS, plain)?;
        let (store, _file) = places.sqlite_store().await?;
        add(
            LEASE_SQLITE,
            lease_and_settle::<SqliteStore>(store, fast).await,
        )?;
        if places.postgres.is_some() {
            let store = places.postgres_store().await?;
            add(POSTGRES, ours(store, Some(CONCURRENCY), fast).await)?;
            let store = places.postgres_store().await?;
            add(POSTGRES_DEFAULT, ours(store, None, slow).await)?;
            add(
                POSTGRES_RAW,
                by_hand_in_postgres(places.database().await?, fast).await,
            )?;
            let url = places.database().await?;
            let tuned = apalis::handle_in_postgres(&url, Tuning::Tuned, slow).await;
            add(POSTGRES_APALIS_TUNED, tuned)?;
            let url = places.database().await?;
            let plain = apalis::handle_in_postgres(&url, Tuning::AsItComes, slow).await;
            add(POSTGRES_APALIS, plain)?;
            let store = places.postgres_store().await?;
            add(LEASE_POSTGRES, lease_and_settle(store, fast).await)?;
        }
        if places.redis.is_some() {
            let store = places.redis_store().await?;
            add(REDIS, ours(store, Some(CONCURRENCY), fast).await)?;
            let store = places.redis_store().await?;
            add(REDIS_DEFAULT, ours(store, None, slow).await)?;
            let store = places.redis_store().await?;
            add(LEASE_REDIS, lease_and_settle(store, fast).await)?;
        }
    }
    Ok(samples)
}

/// Has many tasks insert, until so many are in.
pub(super) async fn feed(insert: &Insert, events: u64) -> Result<(), BoxError> {
    let left = Arc::new(AtomicU64::new(events));
    let mut tasks = JoinSet::new();
    for _ in 0..FEEDERS {
        let (insert, left) = (Arc::clone(insert), Arc::clone(&left));
        tasks.spawn(async move {
            let take = |left: u64| left.checked_sub(1);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_ok()
            {
                insert().await?;
            }
            Ok::<_, BoxError>(())
        });
    }
    while let Some(fed) = tasks.join_next().await {
        fed??;
    }
    Ok(())
}

/// The whole way: front, store, worker, handler, settlement. It ends when everything is settled.
async fn ours(store: impl Store, concurrency: Option<usize>, events: u64) -> Result<f64, BoxError> {
    let handled = Arc::new((AtomicU64::new(0), Notify::new()));
    let counted = Arc::clone(&handled);
    let mut endpoint = ours::endpoint();
    if let Some(concurrency) = concurrency {
        endpoint = endpoint.concurrency(concurrency);
    }
    let (front, worker) = endpoint
        .store(store)
        .handle(move |_| {
            if counted.0.fetch_add(1, Ordering::Relaxed) + 1 == events {
                counted.1.notify_one();
            }
            async { Ok(()) }
        })
        .build()?;
    let insert = requests(front);
    let start = Instant::now();
    let all = Arc::clone(&handled);
    // A worker that is told to end settles what was handled first.
    let worker = tokio::spawn(worker.run_until(async move { all.1.notified().await }));
    feed(&insert, events).await?;
    worker.await?;
    Ok(events as f64 / start.elapsed().as_secs_f64())
}

fn records(count: u64) -> Vec<Record> {
    let record = |_| {
        let id = random_id();
        Record {
            id,
            body: body(&id).into(),
        }
    };
    (0..count).map(record).collect()
}

/// SQLite has one writer: it takes turns.
async fn by_hand_in_sqlite(events: u64) -> Result<f64, BoxError> {
    let file = File::new()?;
    let path = file.path();
    let run = tokio::task::spawn_blocking(move || {
        let mut tables = SqliteTables::create(&path)?;
        let records = records(events);
        let start = Instant::now();
        let mut handled = 0;
        for batch in records.chunks(FEEDERS as usize) {
            tables.insert(batch)?;
            handled += tables.handle(BATCH)?;
        }
        while handled < records.len() {
            handled += tables.handle(BATCH)?;
        }
        Ok::<_, BoxError>(events as f64 / start.elapsed().as_secs_f64())
    });
    run.await?
}

/// One connection inserts, another one handles.
async fn by_hand_in_postgres(url: String, events: u64) -> Result<f64, BoxError> {
    let run = tokio::task::spawn_blocking(move || {
        let mut inserting = PostgresTables::open(&url)?;
        let mut handling = PostgresTables::open(&url)?;
        let records = records(events);
        let start = Instant::now();
        let inserted = thread::spawn(move || {
            let mut batches = records.chunks(FEEDERS as usize);
            batches.try_for_each(|batch| inserting.insert(batch))
        });
        let mut handled = 0;
        while handled < events {
            handled += handling.handle(BATCH)? as u64;
        }
        let elapsed = start.elapsed();
        inserted
            .join()
            .map_err(|_| "the thread that inserts panicked")??;
        Ok::<_, BoxError>(events as f64 / elapsed.as_secs_f64())
    });
    run.await?
}

/// Puts new records in, by the store's own method.
pub(super) async fn fill(store: &impl Store, queue: &Queue, records: u64) -> Result<(), BoxError> {
    let mut left = records;
    while left > 0 {
        let batch = left.min(1000);
        let new = |_| {
            let id = random_id();
            NewRecord::new(queue.clone(), id.to_vec(), body(&id))
        };
        let batch: Vec<NewRecord> = (0..batch).map(new).collect();
        store.insert(&batch).await?;
        left -= batch.len() as u64;
    }
    Ok(())
}

/// Leases and settles until nothing is left; tells how many.
pub(super) async fn drain(store: &impl Store, queue: &Queue) -> Result<u64, BoxError> {
    let mut handled = 0;
    loop {
        let leased = store
            .lease(queue, BATCH as usize, Duration::from_secs(60))
            .await?;
        if leased.is_empty() {
            return Ok(handled);
        }
        let done =
            |leased: tower_callback::store::Leased| Settlement::new(leased.lease, Action::Done);
        let done: Vec<Settlement> = leased.into_iter().map(done).collect();
        store.settle(&done).await?;
        handled += done.len() as u64;
    }
}

async fn lease_and_settle<S: Store>(store: S, events: u64) -> Result<f64, BoxError> {
    let queue = Queue::events(ENDPOINT);
    fill(&store, &queue, events).await?;
    let start = Instant::now();
    let handled = drain(&store, &queue).await?;
    if handled != events {
        return Err(format!("{handled} of {events} were there").into());
    }
    Ok(events as f64 / start.elapsed().as_secs_f64())
}

fn of(samples: &[Sample], what: &str) -> Vec<Sample> {
    let is_it = |sample: &&Sample| sample.what == what;
    samples.iter().filter(is_it).cloned().collect()
}

pub(super) fn report(samples: &[Sample]) -> String {
    let mut table = Table::new(["from insert to done, no-op handler", "events/s"]);
    let mut seen: Vec<&str> = Vec::new();
    for sample in samples {
        if !seen.contains(&sample.what) {
            seen.push(sample.what);
            let rates = of(samples, sample.what)
                .into_iter()
                .map(|sample| sample.per_second);
            table.row([
                sample.what.to_owned(),
                Spread::of(rates).map_or_else(String::new, |s| s.to_string()),
            ]);
        }
    }
    let mut ratios = Table::new(["ratio, median (least–most of the rounds)", "measured"]);
    for (ours, other) in PAIRS {
        let others = of(samples, other);
        let each = of(samples, ours).into_iter().filter_map(|sample| {
            let other = others.iter().find(|other| other.round == sample.round)?;
            Some(sample.per_second / other.per_second)
        });
        if let Some(ratio) = Spread::of(each) {
            ratios.row([format!("P9: {ours} / {other}"), ratio.to_string()]);
        }
    }
    format!("{table}\n{ratios}")
}
