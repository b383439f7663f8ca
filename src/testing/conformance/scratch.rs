//! The suite on somebody's own database, beside what is there.

use std::{
    env,
    error::Error as _,
    fmt, io,
    process::Command,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use super::{Fixture, Process, serve};
use crate::store::{AnyInspect, OpenError, RecordId, StoreUrl};

/// A [`Fixture`] on the user's own database: stores of their own beside those that are there, which are
/// not touched, and are gone after [`remove`](Self::remove).
///
/// | store | a scratch store is |
/// | --- | --- |
/// | SQLite | a file of its own in the same directory, `callbacks.db-tower-callback-check-…` |
/// | PostgreSQL | a schema of its own, `tower_callback_check_…`: the role must be allowed to make one |
/// | Redis | a name of its own, `tower-callback-check-…` |
///
/// ```no_run
/// use tower_callback::testing::conformance::{Scratch, check};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let scratch = Scratch::on("postgres://localhost/app".parse()?);
/// for (clause, outcome) in check(&scratch).await {
///     println!("{clause}: {outcome:?}");
/// }
/// scratch.remove().await?;
/// # Ok(())
/// # }
/// ```
///
/// A clause that is broken panics, as always: whoever wants to remove what was made all the same catches that,
/// by running it in a task.
pub struct Scratch {
    database: StoreUrl,
    mark: String,
    made: AtomicU32,
    last: Mutex<Option<StoreUrl>>,
    program: Option<Program>,
}

type Program = Box<dyn Fn() -> io::Result<Command> + Send + Sync>;

/// Where [`serve_scratch`] finds what it was started for.
const VARIABLE: &str = "TOWER_CALLBACK_SCRATCH_STORE";

impl Scratch {
    /// Beside the store of this URL.
    pub fn on(database: StoreUrl) -> Self {
        let id = RecordId::random().to_string();
        Self {
            database,
            mark: format!("tower-callback-check-{}", &id[..8]),
            made: AtomicU32::new(0),
            last: Mutex::default(),
            program: None,
        }
    }

    /// With a program that calls [`serve_scratch`], for the clauses that kill processes.
    #[must_use]
    pub fn with_processes(
        mut self,
        program: impl Fn() -> io::Result<Command> + Send + Sync + 'static,
    ) -> Self {
        self.program = Some(Box::new(program));
        self
    }

    /// How many stores were made so far.
    pub fn made(&self) -> u32 {
        self.made.load(Ordering::Relaxed)
    }

    /// Removes all that was made. It can be repeated.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached, or does not let go.
    pub async fn remove(&self) -> Result<(), OpenError> {
        for number in 0..self.made() {
            self.store(number).remove().await?;
        }
        Ok(())
    }

    fn store(&self, number: u32) -> StoreUrl {
        self.database.beside(&format!("{}-{number}", self.mark))
    }

    async fn make(&self, capacity: Option<u64>) -> AnyInspect {
        let url = self.store(self.made.fetch_add(1, Ordering::Relaxed));
        let store = opened(url.make(capacity).await);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(url);
        store
    }

    async fn open_last(&self) -> Option<AnyInspect> {
        let url = self.last()?;
        Some(opened(url.make(None).await))
    }

    fn last(&self) -> Option<StoreUrl> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone()
    }
}

/// A fixture has no other way to say that there is no store.
fn opened(store: Result<AnyInspect, OpenError>) -> AnyInspect {
    store.unwrap_or_else(|error| match error.source() {
        Some(source) => panic!("a scratch store cannot be made: {error}: {source}"),
        None => panic!("a scratch store cannot be made: {error}"),
    })
}

impl Fixture for Scratch {
    type Store = AnyInspect;

    async fn open(&self) -> AnyInspect {
        self.make(None).await
    }

    async fn open_bounded(&self, records: usize) -> Option<AnyInspect> {
        Some(self.make(Some(records as u64)).await)
    }

    async fn reopen(&self, store: AnyInspect) -> Option<AnyInspect> {
        drop(store);
        self.open_last().await
    }

    async fn open_again(&self, _: &AnyInspect) -> Option<AnyInspect> {
        self.open_last().await
    }

    async fn process(&self, _: &AnyInspect, days_off: i64) -> Option<Process> {
        let program = self.program.as_ref().filter(|_| days_off == 0)?;
        let words = self.last()?.to_words();
        let started = program().and_then(|mut command| {
            command.env(VARIABLE, words);
            Process::start(command)
        });
        match started {
            Ok(process) => Some(process),
            Err(error) => panic!("a process cannot be started: {error}"),
        }
    }
}

/// The other end of [`Scratch::with_processes`]: serves the store that this process was started for, until
/// whoever did so is gone.
///
/// # Errors
///
/// When it was not started for one, or the store cannot be opened.
pub async fn serve_scratch() -> Result<(), OpenError> {
    let words = env::var(VARIABLE).unwrap_or_default();
    let store = StoreUrl::from_words(&words)?.make(None).await?;
    serve(store).await;
    Ok(())
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch")
            .field("database", &self.database)
            .field("mark", &self.mark)
            .field("made", &self.made)
            .finish_non_exhaustive()
    }
}
