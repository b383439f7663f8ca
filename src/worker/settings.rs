//! The numbers of a worker.

use std::time::Duration;

use super::RetryPolicy;
use crate::{BuildError, store::Retention};

/// What the builder sets. Durations are on the clock of the endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkerSettings {
    /// Handlers that run at once.
    pub(crate) concurrency: usize,
    /// How long a handler may take.
    pub(crate) handler_timeout: Option<Duration>,
    /// How long a lease holds without being extended.
    pub(crate) lease_ttl: Duration,
    /// How often an idle worker looks into the store.
    pub(crate) idle_poll: Duration,
    /// How long a shutdown waits for handlers.
    pub(crate) shutdown_grace: Duration,
    /// After how many expired leases a record is given up.
    pub(crate) suspect_limit: u32,
    /// When a failed attempt is tried again.
    pub(crate) retry: RetryPolicy,
    /// How long the store keeps what is settled.
    pub(crate) retention: Retention,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            concurrency: 16,
            handler_timeout: None,
            lease_ttl: Duration::from_secs(60),
            idle_poll: Duration::from_secs(1),
            shutdown_grace: Duration::from_secs(30),
            suspect_limit: 5,
            retry: RetryPolicy::default(),
            retention: Retention::default(),
        }
    }
}

impl WorkerSettings {
    /// More than this many handlers at once is a slip of the pen.
    const MAX_CONCURRENCY: usize = 1_000_000;
    /// An extension every third of a shorter one would be late whenever the machine is busy.
    const MIN_LEASE_TTL: Duration = Duration::from_millis(100);
    /// A timer cannot wait longer than about two years.
    const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    pub(crate) fn validate(&self) -> Result<(), BuildError> {
        let wrong = |setting, problem: &str| Err(BuildError::new(setting, problem));
        if self.concurrency == 0 {
            return wrong(
                "concurrency",
                "with no handler at a time nothing is ever handled; give at least 1",
            );
        }
        if self.concurrency > Self::MAX_CONCURRENCY {
            return wrong("concurrency", "give at most 1000000 handlers at a time");
        }
        if self.handler_timeout.is_some_and(|limit| limit.is_zero()) {
            return wrong(
                "handler_timeout",
                "without any time every attempt fails; give a handler more, or set no timeout",
            );
        }
        if self.lease_ttl < Self::MIN_LEASE_TTL {
            return wrong(
                "lease_ttl",
                "such a lease would be lost before it is extended; give at least 100 ms, better seconds",
            );
        }
        if self.idle_poll < Duration::from_millis(1) {
            return wrong(
                "idle_poll",
                "an idle worker would ask the store without a pause; give at least 1 ms",
            );
        }
        if self.suspect_limit == 0 {
            return wrong(
                "suspect_limit",
                "with 0 every event would be given up unseen after one crash; give at least 1",
            );
        }
        for (setting, duration) in [
            ("handler_timeout", self.handler_timeout.unwrap_or_default()),
            ("lease_ttl", self.lease_ttl),
            ("idle_poll", self.idle_poll),
            ("shutdown_grace", self.shutdown_grace),
        ] {
            if duration > Self::MAX_DURATION {
                return wrong(setting, "give at most 365 days");
            }
        }
        self.retry.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_setting_is_refused_by_its_name() {
        type Break = fn(&mut WorkerSettings);
        let table: [(&str, Break); 8] = [
            ("concurrency", |s| s.concurrency = 0),
            ("concurrency", |s| s.concurrency = usize::MAX),
            ("handler_timeout", |s| {
                s.handler_timeout = Some(Duration::ZERO);
            }),
            ("lease_ttl", |s| s.lease_ttl = Duration::from_millis(99)),
            ("idle_poll", |s| s.idle_poll = Duration::ZERO),
            ("shutdown_grace", |s| s.shutdown_grace = Duration::MAX),
            ("suspect_limit", |s| s.suspect_limit = 0),
            ("retry", |s| {
                s.retry = s.retry.with_first_delay(Duration::ZERO);
            }),
        ];
        for (setting, spoil) in table {
            let mut settings = WorkerSettings::default();
            spoil(&mut settings);
            assert_eq!(settings.validate().unwrap_err().setting(), setting);
        }
        assert_eq!(WorkerSettings::default().validate(), Ok(()));
    }

    #[test]
    fn what_is_just_within_the_limits_is_good() {
        let year = Duration::from_secs(31_536_000);
        let mut least = WorkerSettings {
            concurrency: 1,
            lease_ttl: Duration::from_millis(100),
            idle_poll: Duration::from_millis(1),
            suspect_limit: 1,
            ..WorkerSettings::default()
        };
        assert_eq!(least.validate(), Ok(()));
        least.concurrency = 1_000_000;
        least.shutdown_grace = year;
        assert_eq!(least.validate(), Ok(()));
        least.concurrency += 1;
        assert_eq!(least.validate().unwrap_err().setting(), "concurrency");
        least.concurrency = 1;
        least.shutdown_grace += Duration::from_nanos(1);
        assert_eq!(least.validate().unwrap_err().setting(), "shutdown_grace");
    }
}
