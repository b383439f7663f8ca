//! Leases what is due, and hands it to handlers that are ready for it.

use std::{pin::Pin, sync::Arc, time::Duration};

use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument;

use super::{
    any::{Failure, Job, Seat},
    count,
    held::{BATCH, lossy},
    jobs::About,
    retry::{part_of, random},
    run::Run,
    span,
    trouble::{Failed, Trouble, call},
};
use crate::{
    panic::{Panicked, catch_future},
    store::{Action, Leased, Settlement, Store},
};

/// How many leases are held for each handler that may run: those whose handlers run, and those that
/// wait to be settled.
const HELD_PER_SLOT: usize = 4;

/// Room for one delivery: in our own bound, and at the handler.
struct Place {
    slot: OwnedSemaphorePermit,
    seat: Seat,
}

type Changed<'a> = Pin<Box<dyn Future<Output = Result<(), Panicked>> + Send + 'a>>;

impl Run<'_> {
    /// Leases until the worker is asked to stop. What a lease brings after that is released.
    pub(super) async fn lease(&self) {
        let mut trouble = Trouble::new(Duration::MAX);
        let mut changed = self.changed();
        // What waits in the store is asked for before anybody says that there is something.
        let mut more = true;
        loop {
            let round = async {
                if !more {
                    self.reason_to_look(&mut changed).await;
                }
                self.places().await
            };
            let places = tokio::select! {
                biased;
                () = self.stopping() => return,
                places = round => places,
            };
            let leased = match places {
                Ok(places) => self.lease_for(places).await,
                Err(failed) => Err(failed),
            };
            match leased {
                Ok(full) => {
                    trouble.is_over();
                    more = full;
                }
                Err(failed) => {
                    self.tell(&mut trouble, &failed);
                    tokio::select! {
                        biased;
                        () = self.stopping() => return,
                        () = self.endpoint.clock.sleep(trouble.pause()) => {}
                    }
                    more = true;
                }
            }
        }
    }

    /// A local insert, a change that the store saw, or some time gone by.
    async fn reason_to_look<'a>(&'a self, changed: &mut Changed<'a>) {
        let idle = self.endpoint.settings.idle_poll;
        tokio::select! {
            () = self.endpoint.wake.notified() => {}
            seen = changed.as_mut() => *changed = match seen {
                Ok(()) => self.changed(),
                Err(panicked) => {
                    tracing::warn!(
                        endpoint = self.endpoint.queue.endpoint(),
                        error = %panicked,
                        "the store failed to tell of changes: polling goes on",
                    );
                    Box::pin(std::future::pending())
                }
            },
            () = self.endpoint.clock.sleep(idle + part_of(idle / 10, random())) => {}
        }
    }

    /// Kept from round to round, so that no change is missed in between.
    fn changed(&self) -> Changed<'_> {
        Box::pin(catch_future(
            self.endpoint.store.changed(&self.endpoint.queue),
        ))
    }

    /// Waits for room for one delivery, and takes what more there is at once.
    async fn places(&self) -> Result<Vec<Place>, Failed> {
        let handler = &self.endpoint.handler;
        let most = self
            .endpoint
            .settings
            .concurrency
            .saturating_mul(HELD_PER_SLOT);
        self.held.fewer_than(most).await;
        let room = most.saturating_sub(self.held.count()).min(BATCH);
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
            // Nobody closes this semaphore.
            return Err(Failed::new("no handler may run any more"));
        };
        let seat = handler.seat().await?;
        let mut places = vec![Place { slot, seat }];
        while places.len() < room {
            let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
                break;
            };
            let Some(seat) = handler.try_seat() else {
                break;
            };
            places.push(Place { slot, seat });
        }
        Ok(places)
    }

    /// Leases for these places, gives back those that stay empty, and answers whether there may be
    /// more to lease at once.
    async fn lease_for(&self, mut places: Vec<Place>) -> Result<bool, Failed> {
        let (clock, ttl) = (&self.endpoint.clock, self.endpoint.settings.lease_ttl);
        let max = places.len();
        // What a lease that took longer may have taken has expired by then.
        let lease = self
            .endpoint
            .store
            .lease(&self.endpoint.queue, max, clock.to_store(ttl));
        let batch = call(clock, ttl, lease).await?;
        // A suspect comes alone, whatever else is due.
        let full = batch.len() >= max || batch.iter().any(|leased| leased.expiries > 0);
        for leased in batch {
            let held = self.held.add(&leased);
            let job = Job {
                leased,
                held,
                submission: None,
            };
            match places.pop() {
                Some(place) if !self.is_stopping() => self.start(job, place),
                _ => self.release(job, Duration::ZERO),
            }
        }
        Ok(full)
    }

    fn start(&self, job: Job, place: Place) {
        let settings = &self.endpoint.settings;
        let expiries = job.leased.expiries;
        if expiries >= settings.suspect_limit {
            return self.give_up_suspect(&job.leased);
        }
        let suspect = match (expiries > 0).then(|| Arc::clone(&self.suspects).try_acquire_owned()) {
            None => None,
            Some(Ok(alone)) => Some(alone),
            // It steps aside, so that new work flows past it.
            Some(Err(_)) => return self.release(job, settings.idle_poll),
        };
        let about = About::of(&job.leased);
        let span = span::of_delivery(&self.endpoint.queue, &about);
        let clock = self.endpoint.clock.clone();
        let limit = settings.handler_timeout;
        let Place { slot, seat } = place;
        let queue = self.endpoint.queue.clone();
        let task = async move {
            let begun = clock.stopwatch();
            let handled = catch_future(seat.take(job));
            let handled = match limit {
                None => Some(handled.await),
                Some(limit) => clock.timeout(limit, handled).await,
            };
            // Held until here, also when the task is aborted.
            drop((slot, suspect));
            let (result, word) = match handled {
                Some(Ok(Err(failure))) if !failure.is_ruling() => (Err(failure), "failed"),
                Some(Ok(result)) => (result, span::HANDLED),
                Some(Err(panicked)) => {
                    let failure = Failure::retry(format!("the handler {panicked}"));
                    (Err(failure), "panicked")
                }
                None => {
                    let failure = Failure::retry(format!(
                        "the handler was not done within its timeout of {:?}",
                        limit.unwrap_or_default(),
                    ));
                    (Err(failure), "timed_out")
                }
            };
            count::handler(&queue, word, clock.elapsed(&begun));
            span::ended(word);
            result
        };
        self.jobs.spawn(about, task.instrument(span));
    }

    fn release(&self, job: Job, after: Duration) {
        let after = self.endpoint.clock.to_store(after);
        self.outbox
            .push(Settlement::new(job.leased.lease, Action::Release { after }));
    }

    fn give_up_suspect(&self, leased: &Leased) {
        let reason = format!(
            "{} leases of this event expired before it was settled, and each time its handler may be \
             what ended the process: it is not tried again",
            leased.expiries,
        );
        tracing::error!(
            endpoint = self.endpoint.queue.endpoint(),
            key = lossy(&leased.key),
            attempt = leased.attempt,
            reason,
            "an event is given up as a dead letter",
        );
        count::ended(&self.endpoint.queue, &About::of(leased), "dead");
        self.outbox.push(Settlement::new(
            leased.lease.clone(),
            Action::Dead { reason },
        ));
    }

    fn tell(&self, trouble: &mut Trouble, failed: &Failed) {
        if let Some(untold) = trouble.tell() {
            tracing::warn!(
                endpoint = self.endpoint.queue.endpoint(),
                error = %failed,
                untold,
                "nothing could be leased, which is tried again",
            );
        }
    }
}
