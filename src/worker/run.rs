//! The loop of one endpoint.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use super::worker::Endpoint;

pub(super) async fn run(
    _endpoint: &Endpoint,
    mut stop: watch::Receiver<bool>,
    _suspects: Arc<Semaphore>,
) {
    let _ = stop.wait_for(|stop| *stop).await;
}
