//! Has the store forget what is old enough.

use std::{convert::Infallible, time::Duration};

use super::{
    retry::{part_of, random},
    trouble::{Trouble, call},
    worker::Endpoint,
};
use crate::store::{Retention, Store};

const EVERY: Duration = Duration::from_secs(60);
/// So that the workers of a fleet do not purge in step.
const JITTER: Duration = Duration::from_secs(10);

/// Purges every minute, in as many steps as it takes.
pub(super) async fn run(endpoint: &Endpoint, retention: &Retention) -> Infallible {
    let clock = &endpoint.clock;
    let mut trouble = Trouble::new(EVERY);
    loop {
        clock.sleep(EVERY + part_of(JITTER, random())).await;
        loop {
            match call(clock, EVERY, endpoint.store.purge(retention)).await {
                Ok(purged) if purged.more => tokio::task::yield_now().await,
                Ok(_) => break,
                Err(error) => {
                    if let Some(untold) = trouble.tell() {
                        tracing::warn!(
                            endpoint = endpoint.queue.endpoint(),
                            %error,
                            untold,
                            "the store could not be purged, which is tried again in a minute",
                        );
                    }
                    break;
                }
            }
        }
    }
}
