//! Tasks that each wait for their own insert, and then do the next.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tower_callback::BoxError;

/// Inserts one record with a new id, and resolves when that is acknowledged.
pub(super) type Insert = Arc<dyn Fn() -> Inserting + Send + Sync>;
pub(super) type Inserting = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

pub(super) fn insert<F, Fut>(insert: F) -> Insert
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    Arc::new(move || Box::pin(insert()))
}

pub(super) struct Driven {
    pub(super) per_second: f64,
    /// In microseconds.
    pub(super) latencies: Histogram<u64>,
}

/// Has so many tasks insert for a while, the first fifth of which does not count.
pub(super) async fn drive(
    insert: &Insert,
    waiters: usize,
    time: Duration,
) -> Result<Driven, BoxError> {
    let start = Instant::now();
    let from = start + time / 5;
    let end = from + time;
    let mut tasks = JoinSet::new();
    for _ in 0..waiters {
        let insert = Arc::clone(insert);
        tasks.spawn(async move {
            let mut waited = Vec::new();
            let mut now = Instant::now();
            while now < end {
                let before = now;
                insert().await?;
                now = Instant::now();
                if before >= from && now <= end {
                    waited.push(now.duration_since(before));
                }
            }
            Ok::<_, BoxError>(waited)
        });
    }
    let mut latencies = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?;
    while let Some(waited) = tasks.join_next().await {
        for time in waited?? {
            latencies.saturating_record(u64::try_from(time.as_micros())?.max(1));
        }
    }
    Ok(Driven {
        per_second: latencies.len() as f64 / time.as_secs_f64(),
        latencies,
    })
}
