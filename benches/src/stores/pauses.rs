//! How long one insert into the memory store takes at most, while it grows.

use std::slice;

use rustix::time::{ClockId, clock_gettime};
use tower_callback::{
    BoxError,
    store::{Inbox, NewRecord, Queue},
};

use crate::{
    payload::{self, random_id},
    receivers::ours::{self, ENDPOINT},
    statistics::Spread,
};

const ROUNDS: usize = 5;

/// By the time of the processor that this thread had: what else the machine does in between is no pause of
/// the store's. What the machine below a virtual one does still is in it.
pub(super) async fn run(records: u64) -> Result<String, BoxError> {
    let mut longest = Vec::new();
    for _ in 0..ROUNDS {
        longest.push(longest_insert(records).await?);
    }
    let longest = Spread::of(longest).ok_or("nothing was measured")?;
    Ok(format!(
        "The longest of {records} inserts into the memory store took {longest} ms of the processor."
    ))
}

/// In milliseconds.
async fn longest_insert(records: u64) -> Result<f64, BoxError> {
    let store = ours::memory();
    let queue = Queue::events(ENDPOINT);
    let mut longest = 0;
    for _ in 0..records {
        let id = random_id();
        let record = NewRecord::new(queue.clone(), id.to_vec(), payload::body(&id));
        let begun = processor_time();
        store.insert(slice::from_ref(&record)).await?;
        longest = longest.max(processor_time() - begun);
    }
    Ok(longest as f64 / 1e6)
}

/// In nanoseconds.
fn processor_time() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
