//! Acknowledged inserts a second, by how many wait for one each.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use sqlx::{Executor, postgres::PgPoolOptions};
use tower::ServiceExt;
use tower_callback::{BoxError, CallbackService, store::Inbox};

use super::{
    apalis,
    drive::{Insert, drive, insert},
    place::{File, Places},
};
use crate::{
    by_hand::{AppendOnly, Group, Record, SqliteTable, Unnest},
    payload::{CALLBACK, SECRET, body, random_id},
    receivers::ours,
    statistics::{Spread, median},
    table::{Table, count},
};

const WAITERS: [usize; 4] = [1, 64, 256, 1024];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inserter {
    Memory,
    Append,
    SqliteByHand,
    Sqlite,
    ApalisSqlite,
    Pool,
    Unnest,
    Postgres,
    ApalisPostgres,
    RawRedis,
    Redis,
}

use Inserter::{
    ApalisPostgres, ApalisSqlite, Append, Memory, Pool, Postgres, RawRedis, Redis, Sqlite,
    SqliteByHand, Unnest as RawUnnest,
};

const ALL: [Inserter; 11] = [
    Memory,
    Append,
    SqliteByHand,
    Sqlite,
    ApalisSqlite,
    Pool,
    RawUnnest,
    Postgres,
    ApalisPostgres,
    RawRedis,
    Redis,
];

/// Which ratios the goals are about, and at how many waiters.
const PAIRS: [(&str, Inserter, Inserter, usize); 7] = [
    ("P7", Sqlite, SqliteByHand, 64),
    ("P7", Sqlite, Append, 64),
    ("P8", Postgres, Pool, 64),
    ("P8", Postgres, Pool, 256),
    ("P8", Postgres, RawUnnest, 64),
    ("P8", Postgres, RawUnnest, 256),
    ("–", Redis, RawRedis, 256),
];

impl Inserter {
    fn name(self) -> &'static str {
        match self {
            Memory => "ours, memory",
            Append => "append-only file, group commit",
            SqliteByHand => "SQLite by hand, group commit",
            Sqlite => "ours, SQLite",
            ApalisSqlite => "apalis, SQLite, push",
            Pool => "Postgres, an INSERT each, pool of 8",
            RawUnnest => "Postgres by hand, group commit through `unnest`",
            Postgres => "ours, Postgres",
            ApalisPostgres => "apalis, Postgres, push",
            RawRedis => "Redis, a SET each, pipelined",
            Redis => "ours, Redis",
        }
    }

    fn is_there(self, places: &Places) -> bool {
        match self {
            Memory | Append | SqliteByHand | Sqlite | ApalisSqlite => true,
            Pool | RawUnnest | Postgres | ApalisPostgres => places.postgres.is_some(),
            RawRedis | Redis => places.redis.is_some(),
        }
    }

    /// A new one, and the file that it needs.
    async fn open(self, places: &Places) -> Result<(Insert, Option<File>), BoxError> {
        let file = File::new()?;
        let insert = match self {
            Memory => front(ours::memory())?,
            Append => group(Group::start(AppendOnly::create(&file.path())?)),
            SqliteByHand => group(Group::start(SqliteTable::create(&file.path())?)),
            Sqlite => front(tower_callback::SqliteStore::open(file.path()).await?)?,
            ApalisSqlite => apalis::push_to_sqlite(&file.path()).await?,
            Pool => pool(&places.database().await?).await?,
            RawUnnest => {
                let url = places.database().await?;
                let open = tokio::task::spawn_blocking(move || Unnest::create(&url));
                group(Group::start(open.await??))
            }
            Postgres => front(places.postgres_store().await?)?,
            ApalisPostgres => apalis::push_to_postgres(&places.database().await?).await?,
            RawRedis => raw_redis(places).await?,
            Redis => front(places.redis_store().await?)?,
        };
        Ok((insert, Some(file)))
    }
}

/// The whole front: proof, parse, and the group commit before the store.
pub(super) fn front(store: impl Inbox) -> Result<Insert, BoxError> {
    Ok(requests(ours::front(store)?))
}

/// Each insert is a request to a front.
pub(super) fn requests(front: CallbackService) -> Insert {
    let target = format!("{CALLBACK}?token={SECRET}");
    insert(move || {
        let body = Full::new(Bytes::from(body(&random_id())));
        let request = Request::post(&target).body(body);
        let front = front.clone();
        async move {
            let Ok(answer) = front.oneshot(request?).await;
            match answer.status() {
                StatusCode::OK => Ok(()),
                status => Err(status.to_string().into()),
            }
        }
    })
}

fn group(group: Group) -> Insert {
    insert(move || {
        let group = group.clone();
        async move {
            let id = random_id();
            let body = body(&id).into();
            Ok(group.insert(Record { id, body }).await?)
        }
    })
}

async fn pool(url: &str) -> Result<Insert, BoxError> {
    let options = PgPoolOptions::new().max_connections(8);
    let pool = options
        .acquire_timeout(Duration::from_secs(60))
        .connect(url)
        .await?;
    pool.execute(crate::by_hand::TABLE).await?;
    Ok(insert(move || {
        let pool = pool.clone();
        async move {
            let id = random_id();
            sqlx::query("INSERT INTO callback VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(&id[..])
                .bind(body(&id))
                .execute(&pool)
                .await?;
            Ok(())
        }
    }))
}

async fn raw_redis(places: &Places) -> Result<Insert, BoxError> {
    let server = places.redis.as_ref().ok_or("there is no Redis")?;
    let client = redis::Client::open(server.url())?;
    let connection = client.get_multiplexed_async_connection().await?;
    Ok(insert(move || {
        let mut connection = connection.clone();
        async move {
            let id = random_id();
            let mut set = redis::cmd("SET");
            set.arg(&id[..]).arg(body(&id)).arg("NX");
            set.query_async::<Option<String>>(&mut connection).await?;
            Ok(())
        }
    }))
}

#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct Sample {
    round: u32,
    #[serde(skip)]
    inserter: Inserter,
    name: &'static str,
    waiters: usize,
    per_second: f64,
    /// Milliseconds.
    p50: f64,
    p99: f64,
    p999: f64,
}

pub(super) async fn run(
    places: &Places,
    rounds: u32,
    time: Duration,
) -> Result<Vec<Sample>, BoxError> {
    let mut samples = Vec::new();
    for round in 1..=rounds {
        for waiters in WAITERS {
            for inserter in ALL {
                if !inserter.is_there(places) || (inserter == ApalisSqlite && waiters > 64) {
                    continue;
                }
                eprintln!("round {round}, {waiters} waiters: {}", inserter.name());
                let (insert, _file) = inserter.open(places).await?;
                let driven = drive(&insert, waiters, time).await;
                let driven = driven.map_err(|error| format!("{}: {error}", inserter.name()))?;
                let quantile = |q| driven.latencies.value_at_quantile(q) as f64 / 1000.0;
                samples.push(Sample {
                    round,
                    inserter,
                    name: inserter.name(),
                    waiters,
                    per_second: driven.per_second,
                    p50: quantile(0.5),
                    p99: quantile(0.99),
                    p999: quantile(0.999),
                });
            }
        }
    }
    Ok(samples)
}

fn of(samples: &[Sample], inserter: Inserter, waiters: usize) -> Vec<&Sample> {
    let is_it = |sample: &&Sample| sample.inserter == inserter && sample.waiters == waiters;
    samples.iter().filter(is_it).collect()
}

pub(super) fn report(samples: &[Sample]) -> String {
    let mut table = Table::new([
        "inserts/s, and p50 / p99 / p99.9 in ms, by waiters",
        "1",
        "64",
        "256",
        "1024",
    ]);
    for inserter in ALL {
        let cells = WAITERS.map(|waiters| {
            let found = of(samples, inserter, waiters);
            let middle =
                |value: fn(&Sample) -> f64| median(found.iter().map(|sample| value(sample)));
            let Some(per_second) = middle(|sample| sample.per_second) else {
                return "–".to_owned();
            };
            let waits = [middle(|s| s.p50), middle(|s| s.p99), middle(|s| s.p999)];
            let waits = waits.map(|wait| format!("{:.2}", wait.unwrap_or_default()));
            format!("**{}**, {}", count(per_second), waits.join(" / "))
        });
        if cells.iter().any(|cell| cell != "–") {
            table.row(std::iter::once(inserter.name().to_owned()).chain(cells));
        }
    }
    let mut ratios = Table::new([
        "ratio, median (least–most of the rounds)",
        "waiters",
        "measured",
    ]);
    for (goal, ours, other, waiters) in PAIRS {
        let rate = |sample: &Sample| sample.per_second;
        if let Some(ratio) = ratio(samples, ours, other, waiters, rate) {
            let name = format!("{goal}: {} / {}", ours.name(), other.name());
            ratios.row([name, waiters.to_string(), ratio.to_string()]);
        }
    }
    let idle = ratio(samples, Sqlite, Append, 1, |sample| sample.p50);
    if let Some(idle) = idle {
        let name = "P7: p50 of ours, SQLite / p50 of one append and its fdatasync".to_owned();
        ratios.row([name, "1".to_owned(), idle.to_string()]);
    }
    format!("{table}\n{ratios}")
}

/// The ratio of each round.
fn ratio(
    samples: &[Sample],
    ours: Inserter,
    other: Inserter,
    waiters: usize,
    value: fn(&Sample) -> f64,
) -> Option<Spread> {
    let others = of(samples, other, waiters);
    let ratios = of(samples, ours, waiters).into_iter().filter_map(|sample| {
        let other = others.iter().find(|other| other.round == sample.round)?;
        Some(value(sample) / value(other))
    });
    Spread::of(ratios)
}
