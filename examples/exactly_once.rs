//! Orders and the inbox in one SQLite database: the handler finishes an order in the transaction
//! that completes the event, so each order is finished exactly once in effect, whoever dies when.
//!
//! ```text
//! cargo run --features sqlite,testing --example exactly_once              serves until Ctrl-C
//! cargo run --features sqlite,testing --example exactly_once -- --once    kills itself ten times, and counts
//! ```

use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use axum::Router;
use sqlx::{
    Row, SqlitePool, query, raw_sql,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    time::{sleep, timeout},
};
use tower_callback::{
    BoxError, Callbacks, Clock, Delivery, HandlerError, MusicVideo, Token,
    music_video::Outcome,
    store::SqliteStore,
    testing::provider::{Fault, Faults, Provider, Schedule},
};

const SECRET: &str = "read-this-from-your-configuration";
const PATH: &str = "/music-video-callback";
const ORDERS: usize = 200;
const KILLS: usize = 10;
const PRICE: i64 = 10;

/// Finishes an order and takes its price. Neither could be repeated without harm; that is why both are
/// in one transaction with the completion of the event.
async fn finish(database: SqlitePool, delivery: Delivery<MusicVideo>) -> Result<(), HandlerError> {
    let video = match &delivery.event.outcome {
        Outcome::Succeeded { video_url } => Some(video_url),
        Outcome::Failed(_) => None,
    };
    // Whatever takes long comes before the transaction, which holds the file's only write lock.
    sleep(Duration::from_millis(20)).await;

    let mut transaction = database.begin_with("BEGIN IMMEDIATE").await?;
    query("UPDATE orders SET video = ?, finished = finished + 1 WHERE task = ?")
        .bind(video)
        .bind(&delivery.event.task_id)
        .execute(&mut *transaction)
        .await?;
    query("UPDATE account SET credits = credits - ?")
        .bind(PRICE)
        .execute(&mut *transaction)
        .await?;
    SqliteStore::complete(&mut transaction, delivery.lease()).await?;
    transaction.commit().await?;
    // A kill at this point applies an effect twice where it is committed alone.
    sleep(Duration::from_millis(20)).await;
    Ok(())
}

/// Receives and handles, until it is killed.
async fn serve(database: SqlitePool, listener: TcpListener) -> Result<(), BoxError> {
    let store = SqliteStore::with_pool(database.clone()).await?;
    let (callback, worker) =
        Callbacks::<MusicVideo>::new("music-video", Token::query("token", SECRET))
            .store(store)
            .handle(move |delivery| finish(database.clone(), delivery))
            // What a killed process held comes again after a second instead of a minute, one event after
            // the other, in case one of them is what kills. Here it never is.
            .lease_ttl(Duration::from_secs(1))
            .idle_poll(Duration::from_millis(100))
            .suspect_limit(u32::MAX)
            .build()?;
    let app = Router::new().route_service(PATH, callback);
    let worker = tokio::spawn(worker.run());
    axum::serve(listener, app).await?;
    worker.abort();
    Ok(())
}

/// The user's own database, with as many open orders.
async fn open(path: &Path, orders: usize) -> Result<SqlitePool, BoxError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .busy_timeout(Duration::from_secs(5));
    let database = SqlitePoolOptions::new().connect_with(options).await?;
    raw_sql(
        "CREATE TABLE IF NOT EXISTS orders (
             task TEXT PRIMARY KEY, video TEXT, finished INTEGER NOT NULL DEFAULT 0);
         CREATE TABLE IF NOT EXISTS account (
             one INTEGER PRIMARY KEY CHECK (one = 1), credits INTEGER NOT NULL);
         INSERT OR IGNORE INTO account VALUES (1, 0);",
    )
    .execute(&database)
    .await?;
    let mut transaction = database.begin().await?;
    for order in 0..orders {
        query("INSERT OR IGNORE INTO orders (task) VALUES (?)")
            .bind(task(order))
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(database)
}

fn task(order: usize) -> String {
    format!("task-{order:03}")
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}{PATH}?token={SECRET}")
}

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match &*arguments {
        [once] if once == "--once" => demonstrate().await,
        // What the demonstration starts, and kills.
        [database, address] => {
            let database = open(database.as_ref(), 0).await?;
            serve(database, TcpListener::bind(address).await?).await?;
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            tracing_subscriber::fmt().with_ansi(false).init();
            let database = open("orders.db".as_ref(), ORDERS).await?;
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let (task, url) = (task(7), url(listener.local_addr()?));
            println!("{ORDERS} orders wait in orders.db. Finish one as often as you like:\n");
            println!(
                "curl -d '{{\"code\":200,\"msg\":\"\",\"data\":{{\"task_id\":\"{task}\",\"video_url\":\"https://example.com/7.mp4\"}}}}' '{url}'"
            );
            println!("sqlite3 orders.db \"SELECT * FROM orders WHERE task = '{task}'\"\n");
            tokio::select! {
                ended = serve(database, listener) => ended?,
                _ = tokio::signal::ctrl_c() => {}
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Calls for every order, some of them several times, kills the receiver while it works, and counts.
async fn demonstrate() -> Result<ExitCode, BoxError> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("orders.db");
    let database = open(&path, ORDERS).await?;
    // The port stays the same while receivers come and go.
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await?
        .local_addr()?;
    let provider = tokio::spawn(provider(address)?.run());

    for _ in 0..KILLS {
        let mut receiver = start(&path, address)?;
        sleep(Duration::from_millis(fastrand::u64(100..600))).await;
        receiver.kill().await?;
    }
    let _last = start(&path, address)?;
    let report = provider.await?.totals();
    let finished = timeout(Duration::from_secs(30), all_finished(&database)).await;

    let row = query(
        "SELECT sum(finished), count(*) FILTER (WHERE finished > 1),
             count(*) FILTER (WHERE finished = 0), (SELECT -credits FROM account)
         FROM orders",
    )
    .fetch_one(&database)
    .await?;
    let [applied, twice, lost, taken] = [0, 1, 2, 3].map(|column| row.get::<i64, _>(column));
    let orders = i64::try_from(ORDERS)?;
    for (name, count) in [
        ("receiver killed", i64::try_from(KILLS)?),
        ("requests", i64::try_from(report.requests)?),
        ("  answered with 200", i64::try_from(report.received)?),
        ("orders", orders),
        ("effects applied", applied),
        ("  applied twice", twice),
        ("  lost", lost),
        ("credits taken", taken),
    ] {
        println!("{name:<22}{count:>6}");
    }
    let right = finished.is_ok()
        && report.acknowledged == ORDERS
        && (applied, twice, lost, taken) == (orders, 0, 0, orders * PRICE);
    Ok(if right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Calls as the real provider does, with more retries and sixty times as fast: it finds nobody there
/// more often than real ones do.
fn provider(address: SocketAddr) -> Result<Provider, BoxError> {
    let mut provider = Provider::to(url(address))?
        .clock(Clock::scaled(60))
        .schedule(Schedule::new(
            Duration::from_secs(60),
            [Duration::from_secs(6); 300],
        ))
        .pace(Duration::from_secs(1))
        .faults(
            Faults::none()
                .with(Fault::Duplicate, 0.5)
                .with(Fault::Concurrent, 0.3),
        );
    for order in 0..ORDERS {
        let task = task(order);
        let video = format!("https://example.com/{task}.mp4");
        provider = provider.event(MusicVideo::succeeded(task, video));
    }
    Ok(provider)
}

/// A receiver in a process of its own.
fn start(database: &Path, address: SocketAddr) -> Result<Child, BoxError> {
    let receiver = Command::new(env::current_exe()?)
        .arg(database)
        .arg(address.to_string())
        .kill_on_drop(true)
        .spawn()?;
    Ok(receiver)
}

async fn all_finished(database: &SqlitePool) -> Result<(), BoxError> {
    let open = "SELECT count(*) FROM orders WHERE finished = 0";
    while query(open).fetch_one(database).await?.get::<i64, _>(0) > 0 {
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
