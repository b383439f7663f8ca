//! A file in front of a store that may be away.

mod forwarder;
mod options;
mod state;

pub use self::{forwarder::Forwarder, options::SpoolOptions};

use std::{fmt, path::Path, sync::Arc, time::Duration};

use self::state::{State, Way};
use super::{
    AnyInbox, Durability, Inbox, Inserted, NewRecord, OpenError, SqliteStore, StoreError,
    StoreErrorKind,
};
use crate::{
    Clock,
    clock::ManualClock,
    error::chain,
    panic::{Panicked, catch_future},
};

/// An inbox in front of a store that may be away: a local file keeps what comes meanwhile.
///
/// While the store behind answers, records go to it, and the file is empty. When it fails, hangs for
/// longer than the [patience](SpoolOptions::with_patience) or panics, they are kept durably in an
/// SQLite file, and the callback is answered with 200 all the same. A [`Forwarder`], which you run,
/// hands them on when the store is back. Providers give up after minutes; the outage of a
/// database may take longer.
///
/// It is for fronts, and for nobody else. The worker, and with it whoever submits and polls tasks,
/// gets the store itself:
///
/// ```no_run
/// # async fn shutdown() {}
/// # async fn example(secret: &str, engine: tower_callback::SqliteStore) -> Result<(), Box<dyn std::error::Error>> {
/// use tower_callback::{Callbacks, Delivery, HandlerError, MusicVideo, Token, store::Spooled};
///
/// let (inbox, forwarder) = Spooled::new(engine.clone(), "/var/lib/app/spool.db").await?;
/// let callback = Callbacks::<MusicVideo>::new("music-video", Token::query("token", secret))
///     .store(inbox)
///     .build_front()?;
/// let forwarder = tokio::spawn(forwarder.run_until(shutdown()));
///
/// // In this process or in another one, under the same name, on the store behind.
/// let worker = Callbacks::<MusicVideo>::new("music-video", Token::query("token", secret))
///     .store(engine)
///     .handle(|delivery: Delivery<MusicVideo>| async move {
///         println!("{}", delivery.event.task_id);
///         Ok::<(), HandlerError>(())
///     })
///     .build_worker()?;
/// let worker = tokio::spawn(worker.run_until(shutdown()));
/// # Ok(())
/// # }
/// ```
///
/// # Why it is no `Store`
///
/// During an outage it answers [`Fresh`](Inserted::Fresh) for keys that the store behind may know.
/// A front can live with that: its event becomes a duplicate later. Who *acts* on `Fresh` cannot. A
/// submitter that took it for "nobody has ordered this yet" would order, and pay, a second time. So it
/// does not compile:
///
/// ```compile_fail,E0277
/// # use tower_callback::{MusicVideo, Callbacks, Delivery, HandlerError, SqliteStore, Token, store::Spooled};
/// # fn example(inbox: Spooled<SqliteStore>, secret: &str) {
/// let endpoint = Callbacks::<MusicVideo>::new("music-video", Token::query("token", secret))
///     .store(inbox)
///     .handle(|_: Delivery<MusicVideo>| async { Ok::<(), HandlerError>(()) })
///     .build();
/// # }
/// ```
///
/// Clones are the same inbox.
///
/// # What is promised
///
/// - **Acknowledged is kept.** A record is answered when the store behind or the file has it durably,
///   and leaves the file only when the store has answered for it, or as a dead letter stays
///   there. The file is a [`SqliteStore`] with all its care for the disk, and needs a disk that outlives the
///   process: in a container, a volume.
/// - **One record per key.** The store behind decides, as ever. A record keeps its id in the file, so
///   that handing it on can be repeated: also when the store took it in and its answer
///   was lost, and when the process ended between the store's answer and the file's.
/// - **Fresh is told too often.** A spooled record is answered with [`Fresh`](Inserted::Fresh) if the
///   *file* does not know its key: the store behind, which cannot be asked, may know it, and so may
///   the spool of another process. It becomes a duplicate or an upgrade when it is handed on. A
///   [`Duplicate`](Inserted::Duplicate) is always one. While a key waits in the file, all that
///   comes for it goes through the file: repeats are duplicates, and a higher rank replaces
///   what waits.
/// - **Order.** What is in the file is handed on in the order in which it came, and at most one
///   record for each key, the best that came. (When one fails again and again, another is tried, in
///   case it is the record.)
/// - **What comes later may be first.** Once the store is back, new keys go to it at once, and overtake
///   what still waits. They could not wait behind it without an end to the file: as long as records
///   came in as fast as they are handed on, it would never get empty, and a short outage would send
///   everything through one disk for good. Nothing hangs on the order of two *keys*: each is an event
///   of its own, and workers handle several at once. Two records of *one* key keep their order, since
///   all that comes for a key that waits goes through the file. They could pass each other only if both
///   were on their way at the same time, or in the spools of two processes; their rank puts that right
///   wherever they meet, as it does without a spool.
/// - **Delays count from arrival.** The time in the file is subtracted from what is left of
///   [`due_in`](NewRecord::due_in), on the file's clock, which never runs backwards: see [`SqliteStore`].
///
/// # What the store behind answers to what is handed on
///
/// | answer | what becomes of the record |
/// | --- | --- |
/// | fresh, upgraded, duplicate | it leaves the file |
/// | full, busy, unavailable, none in time | it stays, and is offered again; those behind it are offered meanwhile |
/// | rejected | it stays in the file as a dead letter, with the reason. It is traced and [counted](Self::backlog), kept until you delete it, and in nobody's way |
///
/// Open the file as a [`SqliteStore`] to look at dead letters. Made pending again, they are offered
/// again.
///
/// What the store answers *directly* is handed on as it is: [`Full`](Inserted::Full) and
/// [`Busy`](Inserted::Busy) are no outage, and neither is a rejection.
///
/// # Outages
///
/// The first batch that fails waits for the patience. Those that come later go to the file at once, until the
/// forwarder, which tries the store after pauses of up to five seconds, gets an answer within the
/// patience. A store that comes and goes costs one batch's patience each time. The beginning is one
/// warning, the end one line that says how many were handed on.
///
/// When the file is full, or the disk below its reserve, the answer is 503, as without a spool. When the
/// file fails, every batch asks the store itself: what was in the file waits until it can be read
/// again, and all else goes on as soon as the store is back.
///
/// # Many processes
///
/// Each has a file of its own. Two on one file lose nothing, but know less of each other: a
/// repeat may be told as fresh. The file of a machine that is gone is handed on by
/// whoever opens it next. When a process ends, its file keeps what is in it.
///
/// # Limits
///
/// A record that the store took in, whose key was then [disowned](super::Action::Disown) or forgotten before
/// an interrupted forwarder could repeat it, is taken in again. That is the at-least-once of any handler.
pub struct Spooled<S> {
    store: Arc<S>,
    spool: Arc<Spool>,
}

/// What a spooled store and its forwarder share.
struct Spool {
    file: SqliteStore,
    patience: Duration,
    state: State,
}

/// What is in the file of a spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backlog {
    /// Records that are to be handed on.
    pub waiting: u64,
    /// Records that the store behind rejected.
    pub dead: u64,
}

impl<S: Inbox> Spooled<S> {
    /// Puts a spool in front of a store: opens the file, or creates it. Its directory must exist. The
    /// [`Forwarder`] is to be run.
    ///
    /// # Errors
    ///
    /// As [`SpoolOptions::open`].
    pub async fn new(store: S, path: impl AsRef<Path>) -> Result<(Self, Forwarder), OpenError> {
        SpoolOptions::default().open(store, path).await
    }

    fn new_pair(
        store: S,
        file: SqliteStore,
        waiting: u64,
        patience: Duration,
    ) -> (Self, Forwarder) {
        let state = State::default();
        if waiting > 0 {
            state.found();
            state.tell();
            tracing::info!(
                waiting,
                "the spool holds records from before, which are handed on when the store answers",
            );
        }
        let store = Arc::new(store);
        let spool = Arc::new(Spool {
            file,
            patience,
            state,
        });
        let forwarder = Forwarder::new(AnyInbox::new(Arc::clone(&store)), Arc::clone(&spool));
        (Self { store, spool }, forwarder)
    }

    /// To the store, and to the spool when the store is away.
    async fn direct(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        let reason = match ask(&*self.store, records, self.spool.patience).await {
            Ok(answers) => {
                self.spool.state.answer(true);
                return Ok(answers);
            }
            Err(Refused::Rejected(error)) => return Err(error),
            Err(Refused::Away(reason)) => reason,
        };
        self.spool.state.fail();
        let answers = self.spool.insert(records).await.map_err(|error| {
            if error.kind() == StoreErrorKind::Rejected {
                return error;
            }
            let both = format!("{reason}; and the spool in front of it: {}", chain(&error));
            StoreError::unavailable(both)
        })?;
        if self.spool.state.tell() {
            tracing::warn!(
                error = reason,
                "the store is away: what comes is kept in the spool",
            );
        }
        Ok(answers)
    }

    /// What the spool has the key of goes there, the rest to the store.
    async fn divided(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        // A file that cannot be read stops nobody: the store behind decides what is a repeat.
        let spooled = self.spool.file.has_waiting(records).await;
        let spooled = spooled.unwrap_or_else(|_| vec![false; records.len()]);
        if !spooled.contains(&true) {
            return self.direct(records).await;
        }
        let part = |of: bool| -> Vec<NewRecord> {
            let both = records.iter().zip(&spooled);
            let part = both.filter(|(_, spooled)| **spooled == of);
            part.map(|(record, _)| record.clone()).collect()
        };
        let mut from_spool = match self.spool.insert(&part(true)).await {
            // The store behind decides, when it is told of what waits.
            Err(error) if error.kind() == StoreErrorKind::Unavailable => {
                return self.direct(records).await;
            }
            kept => kept?.into_iter(),
        };
        let others = part(false);
        let from_store = match others.is_empty() {
            true => Vec::new(),
            false => self.direct(&others).await?,
        };
        let mut from_store = from_store.into_iter();
        let merged = spooled.iter().map(|spooled| match spooled {
            true => from_spool.next(),
            false => from_store.next(),
        });
        // Both answer for as many as they were asked for; if not, the caller counts.
        Ok(merged.flatten().collect())
    }
}

impl<S> Spooled<S> {
    /// The store behind.
    pub fn get_ref(&self) -> &S {
        &self.store
    }

    /// How many records are in the file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub async fn backlog(&self) -> Result<Backlog, StoreError> {
        let (waiting, dead) = self.spool.file.count_waiting().await?;
        Ok(Backlog { waiting, dead })
    }
}

impl Spool {
    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        let _writing = self.state.write();
        self.file.insert(records).await
    }
}

/// Why the store behind did not take records.
enum Refused {
    /// It never will.
    Rejected(StoreError),
    /// It is away, for this reason.
    Away(String),
}

/// One call of the store behind, which is somebody else's code.
async fn ask(
    store: &impl Inbox,
    records: &[NewRecord],
    patience: Duration,
) -> Result<Vec<Inserted>, Refused> {
    // The text of an error is somebody's code too.
    let told = async {
        let answer = store.insert(records).await;
        answer.map_err(|error| match error.kind() {
            StoreErrorKind::Rejected => Refused::Rejected(error),
            StoreErrorKind::Unavailable => Refused::Away(chain(&error)),
        })
    };
    match Clock::system().timeout(patience, catch_future(told)).await {
        Some(Ok(Ok(answers))) if answers.len() != records.len() => Err(Refused::Away(
            "the store answered for another number of records than it was given".to_owned(),
        )),
        Some(Ok(answer)) => answer,
        Some(Err(panicked)) => Err(panicked.into()),
        None => Err(Refused::Away(format!(
            "the store did not answer within {patience:?}"
        ))),
    }
}

impl From<Panicked> for Refused {
    fn from(panicked: Panicked) -> Self {
        Self::Away(format!("the store {panicked}"))
    }
}

impl<S: Inbox> Inbox for Spooled<S> {
    fn durability(&self) -> Durability {
        // The file always is.
        self.store.durability()
    }

    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        match self.spool.state.way() {
            Way::Direct => self.direct(records).await,
            Way::Divided => self.divided(records).await,
            Way::Spool => match self.spool.insert(records).await {
                // Nobody else may find out that the store is back: the forwarder has the same file.
                Err(error) if error.kind() == StoreErrorKind::Unavailable => {
                    self.direct(records).await
                }
                kept => kept,
            },
        }
    }

    fn commits_at_once(&self) -> usize {
        self.store.commits_at_once()
    }

    fn manual_clock(&self) -> Option<&ManualClock> {
        self.store.manual_clock()
    }
}

impl<S> Clone for Spooled<S> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            spool: Arc::clone(&self.spool),
        }
    }
}

impl<S> fmt::Debug for Spooled<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spooled")
            .field("file", &self.spool.file)
            .finish_non_exhaustive()
    }
}
