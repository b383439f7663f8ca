//! Scripts that fail.

use std::time::Duration;

use redis::{Client, Connection, cmd};
use tower_callback::{
    RedisStore,
    store::{
        Action, Inbox, Inspect, Lease, NewRecord, Queue, RecordId, Retention, Settlement, Store,
        StoreError,
    },
};

use crate::{LONG, end, event, events, one, open, put, servers::redis::Redis, trials};

trials! {
    a_script_that_fails_has_written_nothing,
}

/// Everything on the server: keys, and what they have.
type Everything = Vec<(Vec<u8>, Vec<u8>)>;

/// What was written before an error stays: a script has to fail before it writes. Here, each key in turn
/// is somebody else's, of another kind, and whatever is called then fails as a whole or succeeds.
async fn a_script_that_fails_has_written_nothing() {
    let server = Redis::start(&[]);
    let options = RedisStore::options().with_quarantine(1);
    let store = open(&server, options).await.unwrap();
    let known = Known::make(&store).await;
    let mut hands = Client::open(server.url())
        .unwrap()
        .get_connection()
        .unwrap();
    let whole = everything(&mut hands);

    let mut failed = [0; Call::ALL.len()];
    for (key, _) in &whole {
        for (call, failed) in Call::ALL.into_iter().zip(&mut failed) {
            restore(&mut hands, &whole);
            let kind: String = cmd("TYPE").arg(key).query(&mut hands).unwrap();
            let () = cmd("DEL").arg(key).query(&mut hands).unwrap();
            let other = if kind == "string" { "LPUSH" } else { "SET" };
            let () = cmd(other).arg(key).arg("other").query(&mut hands).unwrap();
            let before = everything(&mut hands);
            if call.make(&store, &known).await.is_err() {
                *failed += 1;
                let key = String::from_utf8_lossy(key);
                assert!(everything(&mut hands) == before, "{call:?} with {key}");
            }
        }
    }
    assert!(!failed.contains(&0), "{failed:?}");
}

fn everything(hands: &mut Connection) -> Everything {
    let mut keys: Vec<Vec<u8>> = cmd("KEYS").arg("*").query(hands).unwrap();
    keys.sort_unstable();
    keys.into_iter()
        .map(|key| {
            let has = cmd("DUMP").arg(&key).query(hands).unwrap();
            (key, has)
        })
        .collect()
}

fn restore(hands: &mut Connection, whole: &Everything) {
    let () = cmd("FLUSHALL").query(hands).unwrap();
    for (key, has) in whole {
        let restored = cmd("RESTORE").arg(key).arg(0).arg(has).query(hands);
        let () = restored.unwrap();
    }
}

/// One record in each state.
struct Known {
    pending: NewRecord,
    leased: Lease,
    dead: RecordId,
    done: RecordId,
}

impl Known {
    async fn make(store: &RedisStore) -> Self {
        for key in ["dead", "done", "bare", "leased"] {
            put(store, &event(key)).await;
        }
        let [dead, done, bare] = [one(store).await, one(store).await, one(store).await];
        let (after, error) = (Duration::ZERO, "once".to_owned());
        end(store, &dead, Action::RetryIn { after, error }).await;
        let leased = one(store).await;
        let dead = one(store).await;
        let reason = "for good".to_owned();
        end(store, &dead, Action::Dead { reason }).await;
        end(store, &bare, Action::Done).await;
        store.purge(&no_bodies()).await.unwrap();
        end(store, &done, Action::Done).await;
        let pending = event("pending");
        put(store, &pending).await;
        put(store, &unreadable("first")).await;
        Self {
            pending,
            leased: leased.lease,
            dead: dead.lease.id,
            done: done.lease.id,
        }
    }
}

fn unreadable(key: &'static str) -> NewRecord {
    NewRecord::new(Queue::quarantine("test"), key, "{")
}

fn no_bodies() -> Retention {
    Retention::default().with_bodies(Duration::ZERO)
}

/// Every script that writes, in every way in which it does.
#[derive(Clone, Copy, Debug)]
enum Call {
    Insert,
    UpgradeDead,
    UpgradeDone,
    UpgradeLeased,
    DropOldest,
    Lease,
    Done,
    Dead,
    Retry,
    Disown,
    Extend,
    RequeueDead,
    RequeueDone,
    DeletePending,
    DeleteDead,
    PurgeBodies,
    PurgeAll,
}

impl Call {
    const ALL: [Self; 17] = [
        Self::Insert,
        Self::UpgradeDead,
        Self::UpgradeDone,
        Self::UpgradeLeased,
        Self::DropOldest,
        Self::Lease,
        Self::Done,
        Self::Dead,
        Self::Retry,
        Self::Disown,
        Self::Extend,
        Self::RequeueDead,
        Self::RequeueDone,
        Self::DeletePending,
        Self::DeleteDead,
        Self::PurgeBodies,
        Self::PurgeAll,
    ];

    async fn make(self, store: &RedisStore, known: &Known) -> Result<(), StoreError> {
        let insert = async |record| store.insert(&[record]).await.map(drop);
        let better = |key: &'static str| NewRecord::new(events(), key, "better").with_rank(1);
        let settle = async |action| {
            let settlement = Settlement::new(known.leased.clone(), action);
            store.settle(&[settlement]).await.map(drop)
        };
        let requeue = async |id| store.requeue(&events(), &[id]).await.map(drop);
        let delete = async |id| store.delete(&events(), &[id]).await.map(drop);
        let (after, error) = (LONG, "again".to_owned());
        match self {
            Self::Insert => insert(event("new")).await,
            Self::UpgradeDead => insert(better("dead")).await,
            Self::UpgradeDone => insert(better("bare")).await,
            Self::UpgradeLeased => insert(better("leased")).await,
            Self::DropOldest => insert(unreadable("second")).await,
            Self::Lease => store.lease(&events(), 10, LONG).await.map(drop),
            Self::Done => settle(Action::Done).await,
            Self::Dead => settle(Action::Dead { reason: error }).await,
            Self::Retry => settle(Action::RetryIn { after, error }).await,
            Self::Disown => settle(Action::Disown).await,
            Self::Extend => settle(Action::Extend { ttl: LONG }).await,
            Self::RequeueDead => requeue(known.dead).await,
            Self::RequeueDone => requeue(known.done).await,
            Self::DeletePending => delete(known.pending.id).await,
            Self::DeleteDead => delete(known.dead).await,
            Self::PurgeBodies => store.purge(&no_bodies()).await.map(drop),
            Self::PurgeAll => {
                let retention = no_bodies().with_keys(Duration::ZERO);
                let retention = retention.with_dead(Duration::ZERO);
                let retention = retention.with_quarantine(Duration::ZERO);
                store.purge(&retention).await.map(drop)
            }
        }
    }
}
