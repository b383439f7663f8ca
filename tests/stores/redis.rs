//! The Redis store, on one server.

use std::sync::Mutex;

use libtest_mimic::Trial;
use tower_callback::{RedisStore, store::RedisOptions, testing::conformance::Fixture};

use crate::{
    servers::redis::{Redis, missing},
    suite,
};

pub(crate) fn trials() -> Vec<Trial> {
    suite::inspected("redis", &[], || match missing() {
        None => Ok(OnServer::default()),
        Some(reason) => Err(reason),
    })
}

/// A name for every store, on a server that all share.
#[derive(Default)]
struct OnServer(Mutex<String>);

impl OnServer {
    async fn fresh(&self, options: RedisOptions) -> RedisStore {
        let server = Redis::shared();
        let name = server.name();
        self.0.lock().unwrap().clone_from(&name);
        options.with_name(name).connect(server.url()).await.unwrap()
    }

    async fn last(&self) -> RedisStore {
        let name = self.0.lock().unwrap().clone();
        let options = RedisStore::options().with_name(name);
        options.connect(Redis::shared().url()).await.unwrap()
    }
}

impl Fixture for OnServer {
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
        Some(self.last().await)
    }
    async fn open_again(&self, _: &RedisStore) -> Option<RedisStore> {
        Some(self.last().await)
    }
}
