//! `inbox`, on each kind of store, also while a service works on it.

use std::{fs, path::Path, time::Duration};

use libtest_mimic::{Completion, Trial};
use serde_json::Value;
use tower_callback::{
    MusicVideo, PostgresStore, RedisStore, SqliteStore,
    store::{Action, Inbox, Inspect, NewRecord, Queue, Settlement},
};

use crate::{
    block_on,
    command::{Ended, tower_callback},
    receiver::{self, NAME},
    servers::{cannot_run, postgres, redis},
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = each_store::trials();
    trials.extend(alone::trials());
    trials
}

/// What is done to a store of each kind.
mod each_store {
    use super::*;

    pub(crate) fn trials() -> Vec<Trial> {
        let trial = |name: &str, test: fn() -> Result<Completion, libtest_mimic::Failed>| {
            Trial::ignorable_test(format!("inbox::{name}_is_looked_into_and_operated"), test)
        };
        vec![
            trial("sqlite", || {
                block_on(async {
                    let directory = tempfile::tempdir().unwrap();
                    let path = directory.path().join("callbacks.db");
                    let store = SqliteStore::open(&path).await.unwrap();
                    operate(store, &format!("sqlite:{}", path.display()), &[]).await;
                });
                Ok(Completion::Completed)
            }),
            trial("postgres", || {
                if let Some(reason) = postgres::missing() {
                    return cannot_run(reason);
                }
                block_on(async {
                    let server = postgres::Postgres::shared();
                    let url = server.url(&server.database().await);
                    // Of another name than the usual one.
                    let options = PostgresStore::options().with_schema("inbox");
                    let store = options.open(&url).await.unwrap();
                    operate(store, &url, &["--name", "inbox"]).await;
                });
                Ok(Completion::Completed)
            }),
            trial("redis", || {
                if let Some(reason) = redis::missing() {
                    return cannot_run(reason);
                }
                block_on(async {
                    let server = redis::Redis::shared();
                    let (url, name) = (server.url(), server.name());
                    let options = RedisStore::options().with_name(&name);
                    let store = options.connect(&url).await.unwrap();
                    operate(store, &url, &["--name", &name]).await;
                });
                Ok(Completion::Completed)
            }),
        ]
    }

    async fn operate<S: Inspect>(store: S, url: &str, named: &[&str]) {
        fill(&store).await;
        let inbox = |words: &[&str]| {
            tower_callback(&[&["inbox", "env:STORE"], named, words].concat()).env("STORE", url)
        };

        let told = inbox(&["stats"]).tells(0).await;
        let counts: Vec<_> = told
            .as_array()
            .unwrap()
            .iter()
            .map(|queue| {
                let count = |state: &str| queue[state].as_u64().unwrap();
                (
                    queue["kind"].as_str().unwrap(),
                    count("pending"),
                    count("done"),
                    count("dead"),
                )
            })
            .collect();
        assert_eq!(counts, [("events", 1, 1, 2), ("quarantine", 2, 0, 0)]);

        let told = inbox(&["list", "--state", "dead"]).tells(0).await;
        let dead = ids(&told);
        assert_eq!(dead.len(), 2);
        let page = inbox(&["list", "--kind", "events", "--limit", "3"])
            .tells(0)
            .await;
        assert_eq!(ids(&page).len(), 3);
        let more = page["more"][0].as_str().unwrap();
        let words: Vec<&str> = ["list"].into_iter().chain(more.split(' ')).collect();
        assert_eq!(
            ids(&inbox(&words).tells(0).await).len(),
            1,
            "the other page"
        );

        let told = inbox(&["show", &dead[0]]).tells(0).await;
        assert_eq!(told["failures"][0]["error"], "the disk was full");
        let body: Value = serde_json::from_str(told["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["data"]["task_id"], told["key"]);
        let text = inbox(&["show", &dead[0]]).ends_with(0).await.stdout;
        assert!(
            text.contains("the disk was full") && text.contains("task_id"),
            "{text}"
        );
        let nobody = "0".repeat(32);
        inbox(&["show", &nobody]).ends_with(1).await;

        // One is handed to the handler again; what is pending is left as it is.
        inbox(&["retry", &dead[0]]).ends_with(0).await;
        let told = inbox(&["retry", &dead[0]]).tells(1).await;
        assert_eq!(told["records"][0]["outcome"], "is pending already");

        // The other is forgotten, but not unasked.
        let refused = inbox(&["discard", "--all"]).ends_with(4).await;
        assert!(refused.stderr.contains("--yes"), "{refused:?}");
        let counts = store.counts(&Queue::events(NAME)).await.unwrap();
        assert_eq!((counts.pending, counts.dead), (2, 1), "nothing was done");
        inbox(&["discard", "--all", "--yes"]).ends_with(0).await;
        let counts = store.counts(&Queue::events(NAME)).await.unwrap();
        assert_eq!((counts.pending, counts.dead), (2, 0));

        // Of what could not be read, this release can read one.
        let told = inbox(&["release", "--all"]).tells(1).await;
        assert_eq!((&told["done"], &told["left"]), (&1.into(), &1.into()));
        let counts = store.counts(&Queue::events(NAME)).await.unwrap();
        assert_eq!(counts.pending, 3);
        inbox(&["discard", "--all", "--kind", "quarantine", "--yes"])
            .ends_with(0)
            .await;
        let quarantine = Queue::quarantine(NAME);
        assert_eq!(store.counts(&quarantine).await.unwrap().pending, 0);

        let exported = inbox(&["export", "--kind", "events"])
            .ends_with(0)
            .await
            .stdout;
        let lines: Vec<Value> = exported
            .lines()
            .map(|it| serde_json::from_str(it).unwrap())
            .collect();
        assert_eq!(lines.len(), 4);
        assert!(lines.iter().all(|line| line["body"].is_string()));
        let bodies = inbox(&["export", "--bodies"]).ends_with(0).await.stdout;
        assert_eq!(
            bodies
                .lines()
                .filter(|body| body.contains("task_id"))
                .count(),
            4
        );

        inbox(&["purge", "--bodies", "0ms", "--keys", "0ms"])
            .ends_with(4)
            .await;
        assert_eq!(store.counts(&Queue::events(NAME)).await.unwrap().done, 1);
        inbox(&["purge", "--bodies", "0ms", "--keys", "0ms", "--yes"])
            .ends_with(0)
            .await;
        assert_eq!(store.counts(&Queue::events(NAME)).await.unwrap().done, 0);
    }

    fn ids(told: &Value) -> Vec<String> {
        let records = told["records"].as_array().unwrap();
        let id = |record: &Value| record["id"].as_str().unwrap().to_owned();
        records.iter().map(id).collect()
    }

    /// One pending, one done, two dead; one in quarantine that can be read by now, and one that cannot.
    async fn fill(store: &impl Inspect) {
        let events = Queue::events(NAME);
        let meta = r#"{"arrived":1735661400000}"#;
        let event = |task: &str| {
            let body = MusicVideo::succeeded(task, "https://example.com/v.mp4").encode();
            NewRecord::new(events.clone(), task.to_owned(), body).with_meta(meta)
        };
        store
            .insert(&["task-1", "task-2", "task-3"].map(event))
            .await
            .unwrap();
        let leased = store
            .lease(&events, 3, Duration::from_secs(60))
            .await
            .unwrap();
        let actions = leased.iter().map(|leased| match &*leased.key {
            b"task-1" => Action::Done,
            _ => Action::Dead {
                reason: "the disk was full".to_owned(),
            },
        });
        let settled = leased.iter().zip(actions);
        let settled = settled.map(|(leased, action)| Settlement::new(leased.lease.clone(), action));
        store.settle(&settled.collect::<Vec<_>>()).await.unwrap();
        let unread = |key: &'static str, body: bytes::Bytes| {
            NewRecord::new(Queue::quarantine(NAME), key, body).with_meta(meta)
        };
        let readable = MusicVideo::failed("task-5", 400, "no").encode();
        let records = [
            event("task-4"),
            unread("digest-1", readable),
            unread("digest-2", "{\"code\":200}".into()),
        ];
        store.insert(&records).await.unwrap();
    }
}

mod alone {
    use super::*;

    crate::trials! {
        operators_and_a_worker_are_at_work_at_the_same_time,
        what_is_not_there_is_not_made,
        an_export_overwrites_nothing,
        a_terminal_obeys_nothing_that_is_stored,
    }

    async fn operators_and_a_worker_are_at_work_at_the_same_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("callbacks.db");
        let receiver = receiver::start(&path).await;
        let url = format!("sqlite:{}", path.display());
        // Forty failures, which the handler gives up, and as many successes.
        let work = async {
            for code in ["451", "200"] {
                let send = [
                    "send",
                    &receiver.url,
                    "--token",
                    "env:CALLBACK_SECRET",
                    "--count",
                    "40",
                    "--code",
                    code,
                ];
                tower_callback(&send).ends_with(0).await;
            }
        };
        let operate = async {
            for words in [
                &["stats"][..],
                &["list", "--limit", "1000"],
                &["retry", "--all"],
                &["export"],
                &["purge", "--yes"],
                &["stats"],
            ] {
                let ended = tower_callback(&[&["inbox", &url], words].concat())
                    .run()
                    .await;
                // What is being handled at that moment is left as it is.
                assert!([0, 1].contains(&ended.code), "{words:?}: {ended:?}");
            }
        };
        tokio::join!(work, operate);
        // Each dead letter is handled once more, and dies again.
        receiver.settled(40, 40).await;
        let handled = |receiver: &receiver::Receiver| -> usize {
            receiver.handled.lock().unwrap().values().sum()
        };
        let before = handled(&receiver);
        let inbox = ["inbox", &url, "retry", "--all"];
        let told = tower_callback(&inbox).tells(0).await;
        assert_eq!(told["done"], 40);
        receiver::until("all are handled again", async || {
            handled(&receiver) == before + 40
        })
        .await;
        receiver.settled(40, 40).await;
        tower_callback(&["inbox", &url, "discard", "--all", "--yes"])
            .ends_with(0)
            .await;
        receiver.settled(40, 0).await;
    }

    async fn what_is_not_there_is_not_made() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mistyped.db");
        let url = format!("sqlite:{}", path.display());
        let Ended { stderr, .. } = tower_callback(&["inbox", &url, "stats"]).ends_with(3).await;
        assert!(stderr.contains("there is no such file"), "{stderr}");
        assert!(!path.exists());
        // Somebody else's database.
        fs::write(&path, "").unwrap();
        let Ended { stderr, .. } = tower_callback(&["inbox", &url, "stats"]).ends_with(3).await;
        assert!(stderr.contains("no tables"), "{stderr}");
    }

    async fn an_export_overwrites_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("callbacks.db");
        drop(SqliteStore::open(&path).await.unwrap());
        let url = format!("sqlite:{}", path.display());
        let file = directory.path().join("there");
        fs::write(&file, "precious").unwrap();
        let out = file.to_str().unwrap();
        tower_callback(&["inbox", &url, "export", "--out", out])
            .ends_with(3)
            .await;
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
        fs::remove_file(&file).unwrap();
        tower_callback(&["inbox", &url, "export", "--out", out])
            .ends_with(0)
            .await;
        assert_eq!(fs::read_to_string(Path::new(out)).unwrap(), "");
    }

    async fn a_terminal_obeys_nothing_that_is_stored() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("callbacks.db");
        let store = SqliteStore::open(&path).await.unwrap();
        let record = NewRecord::new(
            Queue::events(NAME),
            "task\x1b[2J",
            "{\"msg\":\"\x1b]0;x\x07\"}",
        );
        let id = record.id.to_string();
        store.insert(&[record]).await.unwrap();
        let url = format!("sqlite:{}", path.display());
        // The run itself sees to it that there is no escape in what is said.
        let list = tower_callback(&["inbox", &url, "list"])
            .ends_with(0)
            .await
            .stdout;
        assert!(list.contains("task\\u{1b}[2J"), "{list}");
        let show = tower_callback(&["inbox", &url, "show", &id])
            .ends_with(0)
            .await
            .stdout;
        assert!(show.contains("\\u{1b}]0;x\\u{7}"), "{show}");
    }
}
