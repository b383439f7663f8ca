//! The Redis store: on a server, and on a cluster.

use std::{
    net::SocketAddr,
    sync::{Mutex, OnceLock},
};

use libtest_mimic::Trial;
use tower_callback::{
    RedisStore,
    store::RedisOptions,
    testing::conformance::{Cut, Fixture, Process},
};

use crate::{
    child,
    servers::{
        proxy::{Proxy, Way},
        redis::{Cluster, Redis, missing, url},
    },
    suite::{self, Made},
};

pub(crate) fn trials() -> Vec<Trial> {
    [
        suite::inspected("redis", &[], || Place::new(Kind::Server)),
        suite::inspected("redis cluster", &[], || Place::new(Kind::Cluster)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Server,
    Cluster,
}

impl Kind {
    /// A name that no other store has, and the server that has the store of this name.
    fn name(self) -> (String, SocketAddr) {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        let server = Redis::shared();
        let name = server.name();
        let address = match self {
            Self::Server => server.address(),
            Self::Cluster => {
                let cluster = CLUSTER.get_or_init(Cluster::start);
                let (_, owner) = cluster.owner(&format!("{{{name}}}:"));
                owner.address()
            }
        };
        (name, address)
    }
}

/// Opens what another process was told.
pub(crate) async fn open(place: &str) -> RedisStore {
    let (name, server) = place.split_once(',').unwrap();
    let options = RedisStore::options().with_name(name);
    options.connect(url(server.parse().unwrap())).await.unwrap()
}

/// A name for every store, on servers that all share, behind a proxy that cuts connections.
struct Place {
    kind: Kind,
    last: Mutex<Option<Named>>,
}

struct Named {
    name: String,
    server: SocketAddr,
    proxy: Proxy,
}

impl Place {
    fn new(kind: Kind) -> Made<Self> {
        let place = Self {
            kind,
            last: Mutex::default(),
        };
        missing().map_or(Ok(place), Err)
    }

    async fn fresh(&self, options: RedisOptions) -> RedisStore {
        let (name, server) = self.kind.name();
        let proxy = Proxy::to(server);
        *self.last.lock().unwrap() = Some(Named {
            name,
            server,
            proxy,
        });
        self.open_last(options).await
    }

    async fn open_last(&self, options: RedisOptions) -> RedisStore {
        let (name, url) = self.last(|last| (last.name.clone(), url(last.proxy.address())));
        options.with_name(name).connect(url).await.unwrap()
    }

    fn last<T>(&self, read: impl FnOnce(&Named) -> T) -> T {
        read(self.last.lock().unwrap().as_ref().unwrap())
    }
}

impl Fixture for Place {
    type Store = RedisStore;

    async fn open(&self) -> RedisStore {
        self.fresh(RedisStore::options()).await
    }
    async fn open_bounded(&self, records: usize) -> Option<RedisStore> {
        let options = RedisStore::options().with_capacity(records as u64);
        Some(self.fresh(options).await)
    }
    async fn reopen(&self, store: RedisStore) -> Option<RedisStore> {
        drop(store);
        Some(self.open_last(RedisStore::options()).await)
    }
    async fn open_again(&self, _: &RedisStore) -> Option<RedisStore> {
        Some(self.open_last(RedisStore::options()).await)
    }
    async fn process(&self, _: &RedisStore, days_off: i64) -> Option<Process> {
        let place = self.last(|last| format!("redis:{},{}", last.name, last.server));
        Some(Process::start(child::command(&place, days_off)?).unwrap())
    }
    async fn cut(&self, _: &RedisStore, when: Option<Cut>) -> bool {
        self.last(|last| match when {
            None => last.proxy.pass(),
            Some(Cut::Request(bytes)) => last.proxy.cut_after(Way::Request, bytes),
            Some(Cut::Answer(bytes)) => last.proxy.cut_after(Way::Answer, bytes),
        });
        true
    }
}
