//! Fronts and workers in processes of their own, on one PostgreSQL: it does not matter which front
//! receives a callback, nor which of its repeats, nor which worker handles it.
//!
//! ```text
//! cargo run --features postgres,testing --example scale_out              calls itself until Ctrl-C, and shows where events go
//! cargo run --features postgres,testing --example scale_out -- --once    the same 400 times, with kills, and counts
//! ```
//!
//! `DATABASE_URL=postgres://…` names a database, in which a schema is made and dropped again. Without
//! it, a private server is started from the machine's binaries (on Unix). `FRONTS` and `WORKERS` say
//! how many there are of each, 3 by default.

mod demonstration;
mod fleet;
#[cfg(unix)]
#[path = "../support/postgres.rs"]
mod postgres;
#[cfg(unix)]
#[path = "../support/server.rs"]
mod server;

use std::{env, net::Ipv4Addr, process::ExitCode, str::FromStr, time::Duration};

use axum::Router;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
    query,
};
use tokio::{
    io::{AsyncReadExt, stdin},
    net::TcpListener,
    time::sleep,
};
use tower_callback::{
    BoxError, Callbacks, Delivery, HandlerError, MusicVideo, Token, store::PostgresStore,
};

const SECRET: &str = "read-this-from-your-configuration";
const PATH: &str = "/music-video-callback";
const ENDPOINT: &str = "music-video";

fn endpoint(front: &str) -> Callbacks<MusicVideo> {
    // The label of the secret that let a callback in travels with it: here it says which front that was.
    Callbacks::new(ENDPOINT, Token::query("token", [(front, SECRET)]))
}

/// Receives, and stores. It needs no worker beside it.
async fn front(name: &str, place: &Place) -> Result<(), BoxError> {
    let callback = endpoint(name)
        .store(place.store(place.pool()?).await?)
        .build_front()?;
    let app = Router::new().route_service(PATH, callback);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

/// Handles what any front has stored.
async fn worker(name: &str, place: &Place) -> Result<(), BoxError> {
    let pool = place.pool()?;
    let store = place.store(pool.clone()).await?;
    let name = name.to_owned();
    let (finishes, worker) = (store.clone(), name.clone());
    let worker = Callbacks::<MusicVideo>::new(ENDPOINT, Token::query("token", SECRET))
        .store(store)
        .handle(move |delivery| finish(finishes.clone(), pool.clone(), worker.clone(), delivery))
        // What a killed worker held comes again after two seconds instead of a minute.
        .lease_ttl(Duration::from_secs(2))
        // There are kills here, and no event that kills.
        .suspect_limit(u32::MAX)
        .build_worker()?;
    println!("{name} works");
    worker.run().await;
    Ok(())
}

/// Notes the event, in the transaction that completes it: exactly once in effect.
async fn finish(
    store: PostgresStore,
    pool: PgPool,
    worker: String,
    delivery: Delivery<MusicVideo>,
) -> Result<(), HandlerError> {
    sleep(Duration::from_millis(20)).await;
    let mut transaction = pool.begin().await?;
    query("INSERT INTO handled (task, front, worker) VALUES ($1, $2, $3)")
        .bind(&delivery.event.task_id)
        .bind(delivery.secret_labels().first())
        .bind(worker)
        .execute(&mut *transaction)
        .await?;
    store.complete(&mut transaction, delivery.lease()).await?;
    transaction.commit().await?;
    Ok(())
}

/// A schema in a database, for the store's tables and for ours.
#[derive(Clone)]
struct Place {
    url: String,
    schema: String,
}

impl Place {
    fn pool(&self) -> Result<PgPool, BoxError> {
        let server = PgConnectOptions::from_str(&self.url)?;
        Ok(PgPoolOptions::new()
            .max_connections(20)
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(server.options([("search_path", &self.schema)])))
    }

    async fn store(&self, pool: PgPool) -> Result<PostgresStore, BoxError> {
        let options = PostgresStore::options().with_schema(&self.schema);
        Ok(options.with_pool(pool).await?)
    }
}

/// Resolves when the process that started this one is gone, however it ended.
async fn parent_ends() {
    let mut byte = [0];
    while stdin().read(&mut byte).await.is_ok_and(|read| read > 0) {}
}

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(|argument| &**argument).collect();
    let [role, name, schema] = arguments[..] else {
        let once = arguments.contains(&"--once");
        return demonstration::run(once).await;
    };
    // What the demonstration starts.
    let place = Place {
        url: env::var("DATABASE_URL")?,
        schema: schema.to_owned(),
    };
    let playing = async {
        match role {
            "front" => front(name, &place).await,
            _ => worker(name, &place).await,
        }
    };
    tokio::select! {
        played = playing => played?,
        () = parent_ends() => {}
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::sync::{Arc, Mutex};

    use tower_callback::{
        Handler,
        testing::{Harness, callback},
    };

    use super::*;

    #[derive(Default)]
    struct Fronts(Mutex<Vec<String>>);

    impl Handler<MusicVideo> for Fronts {
        async fn handle(&self, delivery: Delivery<MusicVideo>) -> Result<(), HandlerError> {
            let mut fronts = self.0.lock().map_err(|_| "a test has panicked")?;
            fronts.extend_from_slice(delivery.secret_labels());
            Ok(())
        }
    }

    #[tokio::test]
    async fn the_handler_learns_which_front_received() {
        let fronts = Arc::new(Fronts::default());
        let test = Harness::on(ENDPOINT, endpoint("front-2"), fronts.clone());
        test.receive(callback("task-1").query("token", SECRET))
            .await;
        test.settled().await;
        assert_eq!(*fronts.0.lock().unwrap(), ["front-2"]);
    }
}
