//! What can be set, and why each default is what it is.

use std::time::Duration;

use super::Callbacks;
use crate::{Clock, event::Event, store::Retention, worker::RetryPolicy};

/// Settings of the front.
impl<E: Event, S, H> Callbacks<E, S, H> {
    /// The largest body of a caller who proved himself by his head, in bytes: 2 MiB by default, a
    /// thousand times what the provider sends.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.plan.front.body_limit = bytes;
        self
    }

    /// The largest body that is read before proof, in bytes: 256 KiB by default, or the
    /// [`body_limit`](Self::body_limit) if that is smaller. Only proofs that cover the body need any.
    pub fn unproven_body_limit(mut self, bytes: usize) -> Self {
        self.plan.front.unproven_body_limit = Some(bytes);
        self
    }

    /// How many bodies are read before proof at once: 64 by default, so that strangers can make us
    /// hold at most 16 MiB. Others wait, and are answered with 503 when no place gets free.
    pub fn unproven_bodies(mut self, bodies: usize) -> Self {
        self.plan.front.unproven_bodies = bodies;
        self
    }

    /// How long a body may take to arrive: 5 s by default, half of the ack deadline's
    /// default. A shorter [`ack_deadline`](Self::ack_deadline) ends the request first.
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.plan.front.body_timeout = Some(timeout);
        self
    }

    /// When the answer is due, counted from the request's head: 10 s by default, since the provider
    /// waits for 15 s and the network takes its share.
    pub fn ack_deadline(mut self, deadline: Duration) -> Self {
        self.plan.front.ack_deadline = deadline;
        self
    }

    /// What `Retry-After` says with a 503: 60 s by default, when the provider's first retry comes anyway.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.plan.front.retry_after = after;
        self
    }

    /// Answers 415 to content types that are not JSON. By default the type is ignored if the bytes
    /// can be read: whatever is not answered with 200 may cost the result.
    pub fn strict_content_type(mut self) -> Self {
        self.plan.front.strict_content_type = true;
        self
    }

    /// Answers every request without proof with one and the same 404, so that nobody learns that
    /// there is an endpoint.
    pub fn conceal(mut self) -> Self {
        self.plan.front.conceal = true;
        self
    }

    /// Runs the endpoint on another clock than real time. See [`Clock`].
    pub fn clock(mut self, clock: Clock) -> Self {
        self.plan.clock = clock;
        self
    }
}

/// Settings of the worker.
impl<E: Event, S, H> Callbacks<E, S, H> {
    /// How many events are handled at once: 16 by default, what most databases and disks like.
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.plan.worker.concurrency = concurrency;
        self
    }

    /// How long one attempt may take. None by default: a lease is extended as long as the handler
    /// runs, and only you know how long it should.
    pub fn handler_timeout(mut self, timeout: Duration) -> Self {
        self.plan.worker.handler_timeout = Some(timeout);
        self
    }

    /// How long a lease lasts when nobody extends it: 60 s by default. It is extended every third of
    /// that, so a store may be away for 40 s before a lease is lost; what a dead process held is
    /// handled elsewhere after that, and a minute more is little beside what a render takes.
    pub fn lease_ttl(mut self, ttl: Duration) -> Self {
        self.plan.worker.lease_ttl = ttl;
        self
    }

    /// When a failed attempt is repeated: after 1 s, doubling to 10 min, with full jitter, for 48 h in
    /// all by default, a weekend's outage.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.plan.worker.retry = policy;
        self
    }

    /// How often an idle worker looks into the store: every second by default, since an empty lease
    /// costs a store next to nothing and a person hardly sees a second. What arrives in this process
    /// wakes it at once.
    pub fn idle_poll(mut self, interval: Duration) -> Self {
        self.plan.worker.idle_poll = interval;
        self
    }

    /// How long handlers may go on after shutdown: 30 s by default, what orchestrators give. What is
    /// unfinished then is released.
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.plan.worker.shutdown_grace = grace;
        self
    }

    /// After how many expired leases an event is given up, because its handler seems to end the
    /// process: 5 by default, since deployments and machines that fail end a lease once or twice
    /// without the event's doing, and each more may cost the process once more.
    pub fn suspect_limit(mut self, expiries: u32) -> Self {
        self.plan.worker.suspect_limit = expiries;
        self
    }

    /// How long the store keeps what is settled, for all endpoints that share it: give them the same.
    /// See [`Retention`] for the defaults.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.plan.worker.retention = retention;
        self
    }
}
