//! `store check`, on a database of each kind, which is as it was before.

use std::fs;

use libtest_mimic::{Completion, Failed, Trial};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sqlx::{ConnectOptions as _, Row as _};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tower_callback::SqliteStore;

use crate::{
    block_on,
    command::tower_callback,
    servers::{cannot_run, postgres, redis},
};

/// Clauses of each sort, and not those that take long: `tests/stores` has them all.
const ONLY: [&str; 3] = [
    "fresh_and_another_id",
    "killed_process_was_answered",
    "requeue_begins",
];

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, test: fn() -> Result<Completion, Failed>| {
        Trial::ignorable_test(format!("store::{name}_is_checked_and_left_as_it_was"), test)
    };
    vec![
        trial("sqlite", || {
            block_on(sqlite());
            Ok(Completion::Completed)
        }),
        trial("postgres", || match postgres::missing() {
            Some(reason) => cannot_run(reason),
            None => {
                block_on(on_postgres());
                Ok(Completion::Completed)
            }
        }),
        trial("redis", || match redis::missing() {
            Some(reason) => cannot_run(reason),
            None => {
                block_on(on_redis());
                Ok(Completion::Completed)
            }
        }),
        Trial::test("store::an_interrupted_check_leaves_nothing", || {
            block_on(interrupted());
            Ok(())
        }),
        Trial::test("store::a_store_that_cannot_be_made_is_told", || {
            block_on(unmade());
            Ok(())
        }),
    ]
}

async fn check(url: &str) {
    for only in ONLY {
        let words = ["store", "check", "env:STORE", "--only", only];
        let told = tower_callback(&words).env("STORE", url).tells(0).await;
        assert_eq!(
            (&told["kept"], &told["broken"]),
            (&Value::from(1), &Value::from(0)),
            "{told}"
        );
    }
    let words = ["store", "check", "env:STORE", "--only", "no_such_clause"];
    tower_callback(&words).env("STORE", url).ends_with(2).await;
    // What needs a laboratory is said to be left out.
    let words = ["store", "check", "env:STORE", "--only", "wrong_clock"];
    let ended = tower_callback(&words).env("STORE", url).ends_with(0).await;
    assert!(
        ended.stdout.contains("kept 0, broken 0, left out 1"),
        "{ended:?}"
    );
}

async fn sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("callbacks.db");
    drop(SqliteStore::open(&path).await.unwrap());
    let before = names(directory.path());
    check(&format!("sqlite:{}", path.display())).await;
    assert_eq!(names(directory.path()), before);
}

fn names(directory: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let names = entries.map(|entry| name(entry).into_string().unwrap());
    // The log of the file itself comes and goes.
    let mut names: Vec<_> = names
        .filter(|name| !name.starts_with("callbacks.db-w") && name != "callbacks.db-shm")
        .collect();
    names.sort();
    names
}

async fn on_postgres() {
    let server = postgres::Postgres::shared();
    let database = server.database().await;
    check(&server.url(&database)).await;
    let mut conn = server.options(&database).connect().await.unwrap();
    let schemas = sqlx::query("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'tower%'");
    let schemas: i64 = schemas.fetch_one(&mut conn).await.unwrap().get(0);
    assert_eq!(schemas, 0);
}

async fn on_redis() {
    let server = redis::Redis::shared();
    check(&server.url()).await;
    let keys = server.command(&["KEYS", "*tower-callback-check*"]);
    assert!(keys.starts_with("*0"), "{keys}");
}

async fn unmade() {
    let words = [
        "store",
        "check",
        "sqlite:/no/such/directory/callbacks.db",
        "--only",
        "fresh",
    ];
    let told = tower_callback(&words).tells(1).await;
    let why = told["clauses"][0]["why"].as_str().unwrap();
    assert!(why.contains("cannot be made"), "{why}");
}

async fn interrupted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("callbacks.db");
    drop(SqliteStore::open(&path).await.unwrap());
    let before = names(directory.path());
    let url = format!("sqlite:{}", path.display());
    let mut child = tower_callback(&["store", "check", &url]).spawn();
    // Some clauses later, wherever it is then.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..3 {
        assert!(lines.next_line().await.unwrap().is_some());
    }
    assert_ne!(names(directory.path()), before);
    let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    // It may have more to say, which somebody must read.
    while lines.next_line().await.unwrap().is_some() {}
    assert_eq!(child.wait().await.unwrap().code(), Some(4));
    assert_eq!(names(directory.path()), before);
}
