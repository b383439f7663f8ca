//! The back: what was received is leased, handled, and settled.
//!
//! A [`Worker`] comes out of the builder together with the service, or alone. It does nothing until it
//! is run, and it starts nothing that outlives the future of its run:
//!
//! - It **leases** due records in batches, as many as there is room for, woken by local inserts, by
//!   the store where it can tell, and by a poll.
//! - The **handler** runs in a task per [`Delivery`], at most `concurrency` at a time. Another task
//!   extends the leases until they are settled.
//! - What ended is **settled** in batches: done, to be retried, or dead.
//!
//! Handling is *at least once*: a process that is killed between the handler's `Ok` and the settlement
//! hands the event out again. See [`Handler`] for the contract, [`RetryPolicy`] for what becomes of a
//! failed attempt, and [`HandlerError`] for what a handler can say about it.

mod any;
mod count;
mod delivery;
mod error;
mod handler;
mod heartbeat;
mod held;
mod jobs;
mod join;
mod leasing;
mod purge;
#[cfg_attr(
    not(feature = "client"),
    allow(
        dead_code,
        reason = "the rooms that have records of their own are behind features"
    )
)]
mod records;
mod retry;
mod run;
mod settings;
mod settling;
mod span;
mod trouble;
#[expect(clippy::module_inception, reason = "named for what it holds")]
mod worker;

#[cfg(test)]
mod tests;

#[cfg(any(feature = "client", feature = "download"))]
pub(crate) use self::retry::random;
pub(crate) use self::{any::AnyHandler, records::Step, settings::WorkerSettings};
pub use self::{
    delivery::Delivery,
    error::{GiveUp, HandlerError, RetryAfter},
    handler::Handler,
    retry::RetryPolicy,
    worker::Worker,
};
#[cfg(feature = "client")]
pub(crate) use self::{
    records::{Records, Ruling},
    retry::part_of,
    trouble::Trouble,
};
