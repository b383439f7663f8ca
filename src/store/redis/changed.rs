//! Who waits for inserts of other processes.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::StreamExt;
use redis::{Client, aio::PubSub};

use super::{Shared, connection::prepare_tls, layout};
use crate::store::Queue;

/// Between attempts to listen: meanwhile, and also otherwise, the worker asks by itself.
const PAUSE: Duration = Duration::from_secs(1);

/// Connections that listen, each for a queue, while nobody waits on them: what is told meanwhile is
/// not missed.
#[derive(Default)]
pub(super) struct Listeners(Mutex<HashMap<Queue, PubSub>>);

impl Listeners {
    fn take(&self, queue: &Queue) -> Option<PubSub> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.remove(queue)
    }

    fn put(&self, queue: &Queue, listener: PubSub) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.insert(queue.clone(), listener);
    }
}

pub(super) async fn changed(shared: &Shared, queue: &Queue) {
    loop {
        match shared.listeners.take(queue) {
            Some(mut listener) => {
                let told = listener.on_message().next().await;
                if told.is_some() {
                    shared.listeners.put(queue, listener);
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
            None => match listen(shared, queue).await {
                Some(listener) => {
                    shared.listeners.put(queue, listener);
                    // Nobody listened until now.
                    return;
                }
                None => tokio::time::sleep(PAUSE).await,
            },
        }
    }
}

/// A new listener, at the first node that answers: a cluster tells all of them.
async fn listen(shared: &Shared, queue: &Queue) -> Option<PubSub> {
    let mut channel = format!("{}c", shared.servers.base).into_bytes();
    channel.extend(layout::queue_name(queue));
    for node in shared.servers.candidates() {
        prepare_tls(&node);
        let subscribed = async {
            let mut listener = Client::open(node)?.get_async_pubsub().await?;
            listener.subscribe(channel.as_slice()).await?;
            Ok::<_, redis::RedisError>(listener)
        };
        let subscribed = tokio::time::timeout(shared.servers.response_timeout, subscribed).await;
        if let Ok(Ok(listener)) = subscribed {
            return Some(listener);
        }
    }
    None
}
