//! One look at the store: is it there, what does it hold, and what was never handled.

use std::{pin::Pin, sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};

use super::{EndpointReport, Health};
use crate::{
    count,
    error::chain,
    panic::catch_future,
    store::{
        Counts, Inspect, Queue, QueueKind, State, Store, StoreError,
        inspect::{Listing, Page},
    },
};

/// How often the oldest event is looked for that was not handled.
const UNHANDLED_EVERY: Duration = Duration::from_secs(5 * 60);
/// How many pages of a list are read for that.
const PAGES: usize = 2;
/// The store is at work for us for at most one part of so many of the time.
const SHARE: u32 = 20;
/// A key that no event has: it begins with a character that none may have.
const NO_KEY: &[u8] = b"\0health";

/// What the last look has seen.
#[derive(Clone, Default)]
pub(super) struct Look {
    pub(super) at: Option<Instant>,
    pub(super) problem: Option<&'static str>,
    pub(super) endpoints: Vec<EndpointReport>,
    next_counts: Option<Instant>,
    next_unhandled: Option<Instant>,
}

impl Look {
    /// Of somebody who waited in vain.
    pub(super) fn unanswered() -> Self {
        Self {
            problem: Some("the store does not answer in time"),
            ..Self::default()
        }
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What a store is asked. It is behind a pointer, since a health is not generic.
pub(super) trait Ask: Send + Sync + 'static {
    fn reach<'a>(&'a self, queue: &'a Queue) -> Answer<'a, ()>;
    /// Nothing, where the store cannot count.
    fn counts<'a>(&'a self, queue: &'a Queue) -> Answer<'a, Option<Counts>>;
    fn list<'a>(&'a self, queue: &'a Queue, listing: &'a Listing) -> Answer<'a, Page>;
}

pub(super) struct Counting<S>(pub(super) S);
pub(super) struct Reaching<S>(pub(super) S);

impl<S: Inspect> Ask for Counting<S> {
    fn reach<'a>(&'a self, queue: &'a Queue) -> Answer<'a, ()> {
        Box::pin(async { self.0.find(queue, NO_KEY).await.map(drop) })
    }
    fn counts<'a>(&'a self, queue: &'a Queue) -> Answer<'a, Option<Counts>> {
        Box::pin(async { self.0.counts(queue).await.map(Some) })
    }
    fn list<'a>(&'a self, queue: &'a Queue, listing: &'a Listing) -> Answer<'a, Page> {
        Box::pin(self.0.list(queue, listing))
    }
}

impl<S: Store> Ask for Reaching<S> {
    fn reach<'a>(&'a self, queue: &'a Queue) -> Answer<'a, ()> {
        Box::pin(async { self.0.find(queue, NO_KEY).await.map(drop) })
    }
    fn counts<'a>(&'a self, _: &'a Queue) -> Answer<'a, Option<Counts>> {
        Box::pin(async { Ok(None) })
    }
    fn list<'a>(&'a self, _: &'a Queue, _: &'a Listing) -> Answer<'a, Page> {
        Box::pin(async { Ok(Page::default()) })
    }
}

impl Health {
    /// The next look, after this one.
    pub(super) async fn ask(&self, before: Look) -> Look {
        let mut look = Look {
            problem: self.reach().await,
            ..before
        };
        let is_due = |at: Option<Instant>| at.is_none_or(|at| at <= Instant::now());
        if look.problem.is_none() && is_due(look.next_counts) {
            let begun = Instant::now();
            match self.within(self.count_all()).await {
                Ok(endpoints) => look.endpoints = endpoints,
                // What was counted before is better than nothing, and old by now.
                Err(error) => tracing::warn!(error, "the inbox could not be counted"),
            }
            look.next_counts = Some(after(begun, self.every));
        }
        if look.problem.is_none() && is_due(look.next_unhandled) {
            let begun = Instant::now();
            if let Err(error) = self.within(self.find_unhandled()).await {
                tracing::warn!(
                    error,
                    "events that were not handled could not be looked for"
                );
            }
            look.next_unhandled = Some(after(begun, UNHANDLED_EVERY));
        }
        look
    }

    /// What is wrong with the store. Its own words go to the traces alone: they may name hosts.
    async fn reach(&self) -> Option<&'static str> {
        let queue = self.watched.first().map(|watched| &watched.name);
        let queue = Queue::events(queue.map_or_else(|| Arc::from("health"), Arc::clone));
        let error = self.within(self.store.reach(&queue)).await.err()?;
        tracing::warn!(error, "the store does not answer a probe");
        Some("the store does not answer, or fails")
    }

    /// A call of the store, which is somebody else's code.
    async fn within<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, String> {
        let told = async { call.await.map_err(|error| chain(&error)) };
        match timeout(self.timeout, catch_future(told)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(panicked)) => Err(format!("the store {panicked}")),
            Err(_) => Err(format!("no answer within {:?}", self.timeout)),
        }
    }

    async fn count_all(&self) -> Result<Vec<EndpointReport>, StoreError> {
        let mut endpoints = Vec::with_capacity(self.watched.len());
        for watched in &self.watched {
            let name = &watched.name;
            let mut report = EndpointReport::new(Arc::clone(name));
            for kind in [QueueKind::Events, QueueKind::Tracked, QueueKind::Quarantine] {
                let queue = Queue::new(Arc::clone(name), kind);
                let Some(counts) = self.store.counts(&queue).await? else {
                    return Ok(Vec::new());
                };
                report.add(kind, &counts);
                let kind = kind.as_str();
                count::inbox(name, kind, "pending", counts.pending);
                count::inbox(name, kind, "leased", counts.leased);
                count::inbox(name, kind, "done", counts.done);
                count::inbox(name, kind, "dead", counts.dead);
                count::oldest_pending(name, kind, counts.oldest_due.unwrap_or_default());
            }
            endpoints.push(report);
        }
        Ok(endpoints)
    }

    /// Sets the gauges of the oldest events that are pending or dead. Only for them: nobody asks else.
    async fn find_unhandled(&self) -> Result<(), StoreError> {
        if !cfg!(feature = "metrics") {
            return Ok(());
        }
        for watched in &self.watched {
            let queue = Queue::events(Arc::clone(&watched.name));
            let mut oldest = [Duration::ZERO; 2];
            for state in [State::Dead, State::Pending] {
                let mut listing = Listing::of(state).with_limit(Listing::MAX_LIMIT);
                for _ in 0..PAGES {
                    let page = self.store.list(&queue, &listing).await?;
                    for record in page.records {
                        let of_rank = &mut oldest[usize::from(record.rank.min(1))];
                        *of_rank = (*of_rank).max(record.age.unwrap_or_default());
                    }
                    match page.next {
                        Some(next) => listing = listing.after(next),
                        None => break,
                    }
                }
            }
            for (rank, age) in ["0", "1+"].into_iter().zip(oldest) {
                count::oldest_unhandled(&watched.name, rank, age);
            }
        }
        Ok(())
    }
}

/// When to ask again what has taken so long.
fn after(begun: Instant, every: Duration) -> Instant {
    let took = begun.elapsed();
    begun + every.max(took * SHARE)
}
