//! Hands on what is in the file.

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Refused, Spool, ask};
use crate::{
    Clock,
    error::chain,
    store::{
        AnyInbox, Inserted, NewRecord,
        sqlite::{Fate, Outcome, Waiting},
    },
};

/// How many records are handed on at once, at most.
const MOST: usize = 512;
/// What a group commit takes at once, too.
const MOST_BYTES: u64 = 4 * 1024 * 1024;
/// Nobody waits for an answer here. A store that answers too slowly for callers is still emptied into.
const PATIENCES: u32 = 5;
/// How often an idle forwarder looks into the file, for what somebody made pending again there.
const LOOK_EVERY: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// What an outage is longer by: little beside what ends one.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often one record is tried before another one is, in case it is the record.
const TRIES: u32 = 5;
/// How often it is told that something does not get better.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Hands on what a [`Spooled`](super::Spooled) inbox keeps in its file: made together with it, and to
/// be run.
///
/// Dropped before it was run, it warns: what is spooled stays where it is then, on disk, until a
/// forwarder of the same file runs.
///
/// ```no_run
/// # async fn example(forwarder: tower_callback::store::Forwarder) {
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let forwarder = tokio::spawn(forwarder.run_until(async {
///     let _ = stopped.await;
/// }));
/// // … serve …
/// let _ = stop.send(());
/// let _ = forwarder.await;
/// # }
/// ```
#[must_use = "what is spooled stays in the file until the forwarder is run: spawn `forwarder.run_until(shutdown)`"]
pub struct Forwarder {
    store: AnyInbox,
    spool: Arc<Spool>,
    ran: bool,
}

impl Forwarder {
    pub(super) fn new(store: AnyInbox, spool: Arc<Spool>) -> Self {
        Self {
            store,
            spool,
            ran: false,
        }
    }

    /// Hands on for ever.
    pub async fn run(self) {
        self.run_until(std::future::pending()).await;
    }

    /// Hands on until `shutdown` resolves. What is in the file then stays there for the next
    /// process, and what was just being handed on may be handed on again, which changes nothing.
    ///
    /// Let it run for as long as the endpoint serves. Dropping this future is as good an end as any.
    pub async fn run_until(mut self, shutdown: impl Future<Output = ()> + Send) {
        self.ran = true;
        let _forwarding = self.spool.state.forward();
        let run = Run {
            store: &self.store,
            spool: &self.spool,
            pace: Pace::default(),
            failed: HashMap::new(),
            elsewhere: 0,
            forwarded: 0,
            dead: 0,
        };
        tokio::select! {
            never = run.run() => match never {},
            () = shutdown => {}
        }
        if self.spool.state.holds() {
            tracing::info!(
                "the forwarder ends: what is in the spool is handed on after the next start"
            );
        }
    }
}

impl fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder")
            .field("file", &self.spool.file)
            .finish_non_exhaustive()
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        if !self.ran {
            tracing::warn!(
                "the forwarder was dropped without being run: what is spooled is not handed on"
            );
        }
    }
}

struct Run<'a> {
    store: &'a AnyInbox,
    spool: &'a Spool,
    pace: Pace,
    /// Which records failed alone, by their place, and how often the store had answered before.
    failed: HashMap<i64, u64>,
    /// Where another record is looked for, in case it is the oldest one's fault.
    elsewhere: i64,
    /// Since the spool was empty.
    forwarded: u64,
    dead: u64,
}

/// What one pass through the file came to.
enum Passed {
    /// The file is empty.
    Empty,
    /// Something stays, and is offered again later.
    Kept,
}

impl Run<'_> {
    async fn run(mut self) -> Infallible {
        let wake = &self.spool.state.wake;
        loop {
            match self.pass().await {
                Passed::Kept => self.pace.pause().await,
                Passed::Empty => {
                    // Whichever comes first.
                    let _ = Clock::system().timeout(LOOK_EVERY, wake.notified()).await;
                }
            }
        }
    }

    /// Offers everything once, oldest first.
    ///
    /// Begins with one record, and offers more at once while that goes well. One that fails alone is
    /// tried again, and stepped over when the store has answered for others meanwhile: none that it
    /// cannot bear holds up the others. Where nothing else is asked of the store, another record is
    /// tried in its place now and then; if that goes well, the oldest is the next.
    async fn pass(&mut self) -> Passed {
        let (mut after, mut limit) = (0, 1);
        let (mut kept, mut ahead) = (false, false);
        loop {
            let written = self.spool.state.written();
            let waiting = match self.spool.file.waiting(after, limit, MOST_BYTES).await {
                Ok(waiting) => waiting,
                Err(error) => {
                    // With nothing to offer, the inserts have to find out that the store is back.
                    self.spool.state.sees(false);
                    self.pace
                        .trouble("the spool cannot be read", &chain(&error));
                    return Passed::Kept;
                }
            };
            self.spool.state.sees(true);
            let Some(last) = waiting.last() else {
                self.elsewhere = 0;
                if kept {
                    return Passed::Kept;
                }
                if after == 0 {
                    return self.at_the_end(written);
                }
                // What came meanwhile may have taken a place that was free.
                after = 0;
                continue;
            };
            self.spool.state.found();
            let last = last.seq;
            match self.offer(&waiting).await {
                Offered::Answered { stay } => {
                    kept |= stay;
                    after = last;
                    limit = (limit * 4).min(MOST);
                    if ahead {
                        (after, kept, ahead) = (0, false, false);
                    }
                    for item in &waiting {
                        self.failed.remove(&item.seq);
                    }
                }
                Offered::Failed if waiting.len() > 1 => {
                    limit = 1;
                    self.pace.pause().await;
                }
                Offered::Failed => {
                    let answered = self.spool.state.answered();
                    let its_fault = *self.failed.entry(last).or_insert(answered) != answered;
                    if its_fault {
                        (after, kept) = (last, true);
                    } else if ahead {
                        // Another one the next time.
                        self.elsewhere = last;
                        (after, kept, ahead) = (0, false, false);
                    } else if self.pace.is_stuck() {
                        (after, kept, ahead) = (last.max(self.elsewhere), true, true);
                    }
                    self.pace.pause().await;
                }
                // To be halved until the culprit is alone.
                Offered::Rejected => limit = (waiting.len() / 2).max(1),
            }
        }
    }

    fn at_the_end(&mut self, written: u64) -> Passed {
        if !self.spool.state.emptied(written) {
            // An insert is under way, and wakes this when it ends.
            return Passed::Empty;
        }
        if self.forwarded + self.dead > 0 {
            tracing::info!(
                forwarded = self.forwarded,
                dead = self.dead,
                "the spool is empty: what comes goes to the store again",
            );
        }
        (self.forwarded, self.dead) = (0, 0);
        self.failed.clear();
        self.pace = Pace::default();
        Passed::Empty
    }

    async fn offer(&mut self, waiting: &[Waiting]) -> Offered {
        let records: Vec<NewRecord> = waiting.iter().map(|item| item.record.clone()).collect();
        let start = Instant::now();
        let patience = self.spool.patience;
        let outcomes = match ask(self.store, &records, patience.saturating_mul(PATIENCES)).await {
            Ok(answers) => {
                let both = waiting.iter().zip(answers);
                let gone = both.filter(|(_, answer)| is_known(*answer));
                gone.map(|(item, _)| item.ends(Fate::Gone)).collect()
            }
            Err(Refused::Rejected(_)) if waiting.len() > 1 => {
                self.spool.state.answer(start.elapsed() <= patience);
                return Offered::Rejected;
            }
            Err(Refused::Rejected(error)) => {
                let reason = chain(&error);
                let refused = &waiting[0];
                self.pace.rejected(&refused.record, &reason);
                vec![refused.ends(Fate::Dead(reason))]
            }
            Err(Refused::Away(reason)) => {
                self.pace.trouble("the store is still away", &reason);
                return Offered::Failed;
            }
        };
        // Slower, it would be too slow for those who wait for it.
        self.spool.state.answer(start.elapsed() <= patience);
        if let Err(error) = self.spool.file.take_out(&outcomes).await {
            // All of it is offered again.
            self.pace
                .trouble("the spool cannot be written", &chain(&error));
            return Offered::Failed;
        }
        if !outcomes.is_empty() {
            self.pace.goes_on();
        }
        let dead = outcomes.iter().filter(|o| matches!(o.fate, Fate::Dead(_)));
        let dead = dead.count() as u64;
        self.dead += dead;
        self.forwarded += outcomes.len() as u64 - dead;
        Offered::Answered {
            stay: outcomes.len() < waiting.len(),
        }
    }
}

/// What an offer came to.
enum Offered {
    Answered {
        /// Some of it was not taken.
        stay: bool,
    },
    Rejected,
    Failed,
}

/// Whether the store answers for the key from here on.
fn is_known(answer: Inserted) -> bool {
    match answer {
        Inserted::Fresh | Inserted::Upgraded | Inserted::Duplicate { .. } => true,
        Inserted::Full | Inserted::Busy => false,
    }
}

impl Waiting {
    fn ends(&self, fate: Fate) -> Outcome {
        Outcome {
            seq: self.seq,
            id: self.record.id,
            fate,
        }
    }
}

/// How long to wait after failures, and how often to tell of them.
#[derive(Default)]
struct Pace {
    failures: u32,
    /// When the last of each was told, and how many were not.
    trouble: Told,
    rejected: Told,
}

impl Pace {
    /// Longer each time, with jitter: the forwarders of a fleet must not come in step.
    async fn pause(&mut self) {
        let factor = 2_u32.saturating_pow(self.failures);
        self.failures = self.failures.saturating_add(1);
        let pause = FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE);
        // Without randomness none, which is late rather than wrong.
        let jitter = getrandom::u32().map_or(0, |random| random % 512);
        tokio::time::sleep(pause - pause / 1024 * jitter).await;
    }

    /// Whether it is time to try something else.
    fn is_stuck(&self) -> bool {
        self.failures % TRIES == TRIES - 1
    }

    fn goes_on(&mut self) {
        self.failures = 0;
    }

    /// The beginning was told by the insert that failed. This tells when it lasts.
    fn trouble(&mut self, what: &'static str, error: &str) {
        tracing::debug!(error, "{what}");
        self.trouble.last.get_or_insert_with(Instant::now);
        if let Some(untold) = self.trouble.tell(TELL_EVERY) {
            tracing::warn!(error, untold, "{what}: the spool cannot be emptied");
        }
    }

    fn rejected(&mut self, record: &NewRecord, reason: &str) {
        if let Some(untold) = self.rejected.tell(Duration::from_secs(1)) {
            tracing::warn!(
                endpoint = record.queue.endpoint(),
                kind = record.queue.kind().as_str(),
                id = %record.id,
                reason,
                untold,
                "the store rejects a spooled record, which stays in the spool as a dead letter",
            );
        }
    }
}

#[derive(Default)]
struct Told {
    last: Option<Instant>,
    untold: u64,
}

impl Told {
    fn tell(&mut self, every: Duration) -> Option<u64> {
        if self.last.is_some_and(|last| last.elapsed() < every) {
            self.untold += 1;
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.untold))
    }
}
