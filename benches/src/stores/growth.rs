//! What it costs to remember: inserts beside many records that are done, and the bytes of each.

use std::{fs, path::Path, process, time::Duration};

use clap::ValueEnum as _;
use sqlx::{Connection, PgConnection, Row};
use tower_callback::{
    BoxError,
    store::{Queue, Retention, Store},
};

use super::{
    drive::{Insert, drive},
    handling::{drain, fill},
    inserts::front,
    place::Places,
};
use crate::{
    memory::of_process,
    receivers::ours::{self, ENDPOINT},
    statistics::{Spread, median},
    table::{Table, count},
};

const WAITERS: usize = 256;
const ROUNDS: usize = 5;
/// So many are done before the next are put in: a queue does not hold everything at once either.
const STEP: u64 = 20_000;

struct Grown {
    name: &'static str,
    empty: f64,
    full: f64,
    ratio: Spread,
    bytes: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Memory,
    Sqlite,
    Postgres,
    Redis,
}

/// What is to be remembered.
#[derive(Clone, Copy)]
pub(super) struct Load {
    pub(super) records: u64,
    pub(super) with_bodies: bool,
}

pub(super) async fn run(
    places: &Places,
    only: Option<Kind>,
    load: Load,
    quick: bool,
) -> Result<String, BoxError> {
    let time = Duration::from_millis(if quick { 50 } else { 1000 });
    let mut all = Vec::new();
    for kind in Kind::value_variants() {
        let is_there = match kind {
            Kind::Memory | Kind::Sqlite => true,
            Kind::Postgres => places.postgres.is_some(),
            Kind::Redis => places.redis.is_some(),
        };
        if !is_there || only.is_some_and(|only| only != *kind) {
            continue;
        }
        let grown = match kind {
            Kind::Memory => memory(load, time).await?,
            Kind::Sqlite => sqlite(places, load, time).await?,
            Kind::Postgres => postgres(places, load, time).await?,
            Kind::Redis => redis(places, load, time).await?,
        };
        // What comes after it may take an hour, and fail.
        eprintln!("{}: {}", grown.name, grown.ratio);
        all.push(grown);
    }
    let mut table = Table::new([
        "store",
        "inserts/s, empty",
        "with that many remembered",
        "ratio, median (least–most)",
        "bytes each",
    ]);
    for grown in all {
        table.row([
            grown.name.to_owned(),
            count(grown.empty),
            count(grown.full),
            grown.ratio.to_string(),
            format!("{:.0}", grown.bytes),
        ]);
    }
    Ok(format!(
        "{} records remembered, {WAITERS} waiters:\n\n{table}",
        count(load.records as f64)
    ))
}

/// Puts records in, handles them, and lets their bodies go: what is left is remembered.
async fn remember(store: &impl Store, load: Load) -> Result<(), BoxError> {
    let Load {
        records,
        with_bodies,
    } = load;
    let queue = Queue::events(ENDPOINT);
    let mut left = records;
    while left > 0 {
        let step = left.min(STEP);
        fill(store, &queue, step).await?;
        drain(store, &queue).await?;
        left -= step;
        eprint!("\r{} of {records} are remembered ", records - left);
    }
    eprintln!();
    if with_bodies {
        return Ok(());
    }
    let retention = Retention::default().with_bodies(Duration::ZERO);
    while store.purge(&retention).await?.more {}
    Ok(())
}

/// Inserts into both in turn.
async fn compare(
    name: &'static str,
    (empty, full): (Insert, Insert),
    bytes: f64,
    time: Duration,
) -> Result<Grown, BoxError> {
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let before = drive(&empty, WAITERS, time).await?.per_second;
        let after = drive(&full, WAITERS, time).await?.per_second;
        rates.push((before, after));
    }
    let ratio = Spread::of(rates.iter().map(|(empty, full)| full / empty));
    Ok(Grown {
        name,
        empty: median(rates.iter().map(|rate| rate.0)).unwrap_or_default(),
        full: median(rates.iter().map(|rate| rate.1)).unwrap_or_default(),
        ratio: ratio.ok_or("nothing was measured")?,
        bytes,
    })
}

async fn memory(load: Load, time: Duration) -> Result<Grown, BoxError> {
    let room = usize::try_from(load.records)?;
    let make = || ours::memory().with_remembered(room).with_bodies(0);
    let (empty, full) = (make(), make());
    let before = of_process(process::id(), "VmRSS:");
    remember(&full, load).await?;
    let grown = of_process(process::id(), "VmRSS:").saturating_sub(before) * 1024;
    let bytes = grown as f64 / load.records as f64;
    compare("ours, memory", (front(empty)?, front(full)?), bytes, time).await
}

async fn sqlite(places: &Places, load: Load, time: Duration) -> Result<Grown, BoxError> {
    let (empty, _file) = places.sqlite_store().await?;
    let (full, file) = places.sqlite_store().await?;
    remember(&full, load).await?;
    let bytes = size_of_database(&file.path())? as f64 / load.records as f64;
    compare("ours, SQLite", (front(empty)?, front(full)?), bytes, time).await
}

/// Without the log, whose length says nothing of what is kept, and the pages that are free again.
fn size_of_database(path: &Path) -> Result<u64, BoxError> {
    let reader = rusqlite::Connection::open(path)?;
    reader.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    let free: i64 = reader.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    let page: i64 = reader.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    Ok(fs::metadata(path)?
        .len()
        .saturating_sub(u64::try_from(free * page)?))
}

async fn postgres(places: &Places, load: Load, time: Duration) -> Result<Grown, BoxError> {
    let empty = places.postgres_store().await?;
    let url = places.database().await?;
    let full = tower_callback::PostgresStore::open(&url).await?;
    let mut connection = PgConnection::connect(&url).await?;
    let before = size_of_schema(&mut connection).await?;
    remember(&full, load).await?;
    // Without the room that a million bodies at once have left behind, which is used again.
    sqlx::query("VACUUM FULL ANALYZE")
        .execute(&mut connection)
        .await?;
    let grown = size_of_schema(&mut connection).await? - before;
    let bytes = grown as f64 / load.records as f64;
    compare("ours, Postgres", (front(empty)?, front(full)?), bytes, time).await
}

async fn size_of_schema(connection: &mut PgConnection) -> Result<i64, BoxError> {
    let size = sqlx::query("SELECT pg_database_size(current_database())");
    Ok(size.fetch_one(connection).await?.try_get(0)?)
}

async fn redis(places: &Places, load: Load, time: Duration) -> Result<Grown, BoxError> {
    let server = places.redis.as_ref().ok_or("there is no Redis")?;
    let (empty, full) = (places.redis_store().await?, places.redis_store().await?);
    let used = || {
        let info = server.command(&["INFO", "memory"]);
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("used_memory:"));
        line.and_then(|bytes| bytes.trim().parse::<u64>().ok())
    };
    let before = used().ok_or("Redis does not say what it uses")?;
    remember(&full, load).await?;
    let after = used().ok_or("Redis does not say what it uses")?;
    let bytes = after.saturating_sub(before) as f64 / load.records as f64;
    compare("ours, Redis", (front(empty)?, front(full)?), bytes, time).await
}
