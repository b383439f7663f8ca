//! A provider that calls whichever front it gets to, and a table of where its events went.

use std::{collections::BTreeMap, env, process::ExitCode, sync::Arc, time::Duration};

use sqlx::{AssertSqlSafe, PgPool, Row, query, raw_sql};
use tokio::{
    sync::RwLock,
    task::JoinSet,
    time::{sleep, timeout},
};
use tower_callback::{BoxError, testing::callback};

use super::{Place, fleet::Member};

const EVENTS: usize = 400;

type Urls = Arc<RwLock<Vec<String>>>;

/// Starts the fleet, calls it, and shows where the events went.
pub(super) async fn run(once: bool) -> Result<ExitCode, BoxError> {
    #[cfg(unix)]
    let mut private = None;
    let url = match env::var("DATABASE_URL") {
        Ok(url) => url,
        #[cfg(unix)]
        Err(_) => private
            .insert(super::postgres::Postgres::start(&[]).await?)
            .url(),
        #[cfg(not(unix))]
        Err(_) => return Err("DATABASE_URL is not set".into()),
    };
    let schema = format!("scale_out_{:016x}", fastrand::u64(..));
    let place = Place { url, schema };
    let pool = place.pool()?;
    execute(&pool, format!("CREATE SCHEMA {}", place.schema)).await?;
    let outcome = in_schema(&place, &pool, once).await;
    execute(&pool, format!("DROP SCHEMA {} CASCADE", place.schema)).await?;
    outcome
}

async fn execute(pool: &PgPool, sql: String) -> Result<(), sqlx::Error> {
    raw_sql(AssertSqlSafe(sql)).execute(pool).await?;
    Ok(())
}

async fn in_schema(place: &Place, pool: &PgPool, once: bool) -> Result<ExitCode, BoxError> {
    // No constraint keeps an event from being noted twice.
    raw_sql("CREATE TABLE handled (task text NOT NULL, front text NOT NULL, worker text NOT NULL)")
        .execute(pool)
        .await?;
    let mut fronts = start(place, "front", "FRONTS").await?;
    let mut workers = start(place, "worker", "WORKERS").await?;
    for front in &fronts {
        println!("{:<10}{}", front.name, front.url());
    }
    let urls = Urls::default();
    tell(&urls, &fronts).await;
    let ended = match once {
        true => {
            let called = tokio::spawn(call_about_all(urls.clone()));
            for (front, worker) in fronts.iter_mut().zip(&mut workers) {
                sleep(Duration::from_millis(700)).await;
                front.replace(place).await?;
                worker.replace(place).await?;
                println!(
                    "{} and {} were killed and replaced",
                    front.name, worker.name
                );
            }
            tell(&urls, &fronts).await;
            let callbacks = called.await??;
            count(pool, callbacks).await?
        }
        false => {
            let calling = tokio::spawn(call_for_ever(urls));
            tokio::select! {
                shown = show(pool) => shown?,
                _ = tokio::signal::ctrl_c() => {}
            }
            calling.abort();
            ExitCode::SUCCESS
        }
    };
    // Before the schema is.
    drop((fronts, workers));
    Ok(ended)
}

async fn start(place: &Place, role: &'static str, variable: &str) -> Result<Vec<Member>, BoxError> {
    let count = match env::var(variable) {
        Ok(count) => count.parse()?,
        Err(_) => 3,
    };
    let mut starting = JoinSet::new();
    for number in 1..=count {
        let (place, name) = (place.clone(), format!("{role}-{number}"));
        starting.spawn(async move { Member::start(&place, role, name).await });
    }
    let started: Result<Vec<_>, _> = starting.join_all().await.into_iter().collect();
    let mut members = started?;
    members.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(members)
}

/// What a load balancer knows: where fronts are.
async fn tell(urls: &Urls, fronts: &[Member]) {
    *urls.write().await = fronts.iter().map(Member::url).collect();
}

/// Calls about every event, about some of them twice, and tells how often it was answered with 200.
async fn call_about_all(urls: Urls) -> Result<usize, BoxError> {
    let mut calling = JoinSet::new();
    let mut callbacks = 0;
    for number in 0..EVENTS {
        let repeats = usize::from(number % 10 < 3);
        for _ in 0..=repeats {
            calling.spawn(call(urls.clone(), format!("task-{number:04}")));
            callbacks += 1;
        }
        sleep(Duration::from_millis(5)).await;
    }
    timeout(Duration::from_secs(60), calling.join_all()).await?;
    Ok(callbacks)
}

async fn call_for_ever(urls: Urls) {
    for number in 0.. {
        call(urls.clone(), format!("task-{number:04}")).await;
        sleep(Duration::from_millis(20)).await;
    }
}

/// Calls one front after another until one has answered with 200.
async fn call(urls: Urls, task: String) {
    loop {
        let url = {
            let urls = urls.read().await;
            urls[fastrand::usize(..urls.len())].clone()
        };
        let answer = callback(task.as_str()).send(&url).await;
        if answer.is_ok_and(|answer| answer.status() == 200) {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Shows the table again and again.
async fn show(pool: &PgPool) -> Result<(), BoxError> {
    loop {
        sleep(Duration::from_secs(2)).await;
        Table::of(pool).await?.print();
    }
}

/// Waits until everything was handled, and says whether each event was, and once.
async fn count(pool: &PgPool, callbacks: usize) -> Result<ExitCode, BoxError> {
    let events = i64::try_from(EVENTS)?;
    let handled = async {
        loop {
            let counts = query("SELECT count(DISTINCT task), count(*) FROM handled");
            let row = counts.fetch_one(pool).await?;
            if row.get::<i64, _>(0) == events {
                return Ok::<_, BoxError>(row.get::<i64, _>(1));
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let rows = timeout(Duration::from_secs(30), handled).await;
    Table::of(pool).await?.print();
    let rows = rows.map_err(|_| "some events were lost")??;
    println!("\ncallbacks answered with 200 {callbacks:>6}");
    println!("events                      {events:>6}");
    println!("  handled twice             {:>6}", rows - events);
    println!("  lost                      {:>6}", 0);
    Ok(match rows == events {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// How many events went from which front to which worker.
struct Table {
    counts: BTreeMap<(String, String), i64>,
}

impl Table {
    async fn of(pool: &PgPool) -> Result<Self, BoxError> {
        let counts = "SELECT front, worker, count(*) FROM handled GROUP BY front, worker";
        let rows = query(counts).fetch_all(pool).await?;
        let counts = rows
            .iter()
            .map(|row| ((row.get(0), row.get(1)), row.get(2)));
        Ok(Self {
            counts: counts.collect(),
        })
    }

    fn print(&self) {
        let mut fronts: Vec<_> = self.counts.keys().map(|(front, _)| front).collect();
        let mut workers: Vec<_> = self.counts.keys().map(|(_, worker)| worker).collect();
        fronts.dedup();
        workers.sort();
        workers.dedup();
        print!("\n{:<10}", "");
        for worker in &workers {
            print!("{worker:>10}");
        }
        println!();
        for front in fronts {
            print!("{front:<10}");
            for worker in &workers {
                let count = self.counts.get(&(front.clone(), (*worker).clone()));
                print!("{:>10}", count.unwrap_or(&0));
            }
            println!();
        }
    }
}
