//! The Redis store on a private server. It remembers how far it is ahead of the server's clock, so that
//! nobody turns it back: the test sets it forward there.

use std::time::Duration;

use tower_callback::RedisStore;

use crate::{
    servers::redis::Redis as Server,
    shared::{Limits, Subject},
};

pub(crate) struct Redis {
    store: RedisStore,
    name: String,
}

impl Redis {
    pub(crate) async fn new(limits: Limits) -> Self {
        let server = Server::shared();
        let name = server.name();
        let store = RedisStore::options()
            .with_name(&name)
            .with_capacity(limits.capacity as u64)
            .with_quarantine(limits.quarantine as u64)
            .connect(server.url())
            .await
            .unwrap();
        Self { store, name }
    }
}

impl Subject for Redis {
    type Store = RedisStore;

    fn store(&self) -> &RedisStore {
        &self.store
    }

    async fn advance(&mut self, by: Duration) {
        let meta = format!("{{{}}}:m", self.name);
        let millis = by.as_millis().to_string();
        let answer = Server::shared().command(&["HINCRBY", &meta, "o", &millis]);
        assert!(answer.starts_with(':'), "{answer}");
    }

    /// The server is this test's own.
    async fn clear(&mut self) {
        Server::shared().ok(&["FLUSHDB"]);
    }
}
