//! Shows that a process with a wrong clock has one: otherwise a clause that says that nothing changes
//! with it would say nothing.

use std::time::{Duration, SystemTime};

use libtest_mimic::{Failed, Trial};
use tower_callback::{
    store::{
        Durability, Found, Inbox, Inserted, Leased, NewRecord, Purged, Queue, Retention, Settled,
        Settlement, Store, StoreError,
    },
    testing::conformance::Process,
};

use crate::{child, servers::cannot_run};

/// A store that knows nothing but the time of day.
pub(crate) struct Clock;

impl Inbox for Clock {
    fn durability(&self) -> Durability {
        Durability::Volatile
    }
    async fn insert(&self, _: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        Ok(Vec::new())
    }
}

impl Store for Clock {
    async fn lease(&self, _: &Queue, _: usize, _: Duration) -> Result<Vec<Leased>, StoreError> {
        Ok(Vec::new())
    }
    async fn settle(&self, _: &[Settlement]) -> Result<Vec<Settled>, StoreError> {
        Ok(Vec::new())
    }
    async fn find(&self, _: &Queue, _: &[u8]) -> Result<Option<Found>, StoreError> {
        Ok(None)
    }
    async fn purge(&self, _: &Retention) -> Result<Purged, StoreError> {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
        Ok(Purged::new(now.as_secs(), false))
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |days_off: i64| {
        let name = format!("other processes::a clock is off by {days_off} days");
        Trial::ignorable_test(name, move || {
            if let Some(reason) = child::missing_for_wrong_clocks() {
                return cannot_run(reason);
            }
            let off = days_that_a_process_is_off(days_off)?;
            assert!((off - days_off as f64).abs() < 0.1, "{off} days");
            Ok(libtest_mimic::Completion::Completed)
        })
    };
    vec![trial(-1), trial(1)]
}

fn days_that_a_process_is_off(days_off: i64) -> Result<f64, Failed> {
    let command = child::command("clock:", days_off).ok_or("no such clock")?;
    let process = Process::start(command)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let there = runtime
        .block_on(process.purge(&Retention::default()))?
        .records as f64;
    let here = SystemTime::UNIX_EPOCH.elapsed()?.as_secs_f64();
    Ok((there - here) / 86_400.0)
}
