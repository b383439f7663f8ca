//! Orders and the inbox in one SQLite database: the handler finishes an order in the transaction
//! that completes the event, so each order is finished exactly once in effect, whoever dies when.
//!
//! ```text
//! cargo run --features sqlite,testing --example exactly_once              serves until Ctrl-C
//! cargo run --features sqlite,testing --example exactly_once -- --once    kills itself ten times, and counts (on Unix)
//! ```

#[cfg(unix)]
mod demonstration;

use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use axum::Router;
use sqlx::{
    SqlitePool, query, raw_sql,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tokio::{net::TcpListener, time::sleep};
use tower_callback::{
    BoxError, Callbacks, Delivery, HandlerError, MusicVideo, Token, music_video::Outcome,
    store::SqliteStore,
};

const SECRET: &str = "read-this-from-your-configuration";
const PATH: &str = "/music-video-callback";
const ORDERS: usize = 200;
const PRICE: i64 = 10;

/// Finishes an order and takes its price. Neither could be repeated without harm; that is why both are
/// in one transaction with the completion of the event.
///
/// A failure costs nothing and finishes nothing: a success may still follow it, and then comes
/// here as an event of its own.
async fn finish(database: SqlitePool, delivery: Delivery<MusicVideo>) -> Result<(), HandlerError> {
    let event = &delivery.event;
    // Whatever takes long comes before the transaction, which holds the file's only write lock.
    sleep(Duration::from_millis(20)).await;

    let mut transaction = database.begin_with("BEGIN IMMEDIATE").await?;
    match &event.outcome {
        Outcome::Succeeded { video_url } => {
            query("UPDATE orders SET video = ?, finished = finished + 1 WHERE task = ?")
                .bind(video_url)
                .bind(&event.task_id)
                .execute(&mut *transaction)
                .await?;
            query("UPDATE account SET credits = credits - ?")
                .bind(PRICE)
                .execute(&mut *transaction)
                .await?;
        }
        Outcome::Failed(_) => {
            query("UPDATE orders SET failure = ? WHERE task = ?")
                .bind(event.code)
                .bind(&event.task_id)
                .execute(&mut *transaction)
                .await?;
        }
    }
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
             task TEXT PRIMARY KEY, video TEXT, failure INTEGER,
             finished INTEGER NOT NULL DEFAULT 0);
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
        #[cfg(unix)]
        [once] if once == "--once" => demonstration::run().await,
        // What the demonstration starts, and kills.
        #[cfg(unix)]
        [database] => demonstration::receive(database.as_ref()).await,
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

#[cfg(all(test, feature = "testing"))]
mod tests {
    use sqlx::Row;
    use tower_callback::testing::{Harness, callback};

    use super::*;

    #[tokio::test]
    async fn what_was_committed_is_not_done_again_though_the_handler_fails_then() {
        let directory = tempfile::tempdir().unwrap();
        let database = open(&directory.path().join("orders.db"), 1).await.unwrap();
        let store = SqliteStore::with_pool(database.clone()).await.unwrap();
        let orders = database.clone();
        let test = Harness::with_store(store, move |delivery| {
            let finished = finish(orders.clone(), delivery);
            async { finished.await.and(Err("after the commit".into())) }
        });
        test.receive(callback(task(0))).await;
        test.settled().await;
        assert_eq!(test.attempts(&task(0)), 1);
        let taken = query("SELECT -credits FROM account").fetch_one(&database);
        assert_eq!(taken.await.unwrap().get::<i64, _>(0), PRICE);
    }
}
