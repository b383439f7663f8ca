//! A store in a process of its own, told what to do line by line.

use std::{
    collections::HashMap,
    fmt, io,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::sync::{mpsc, oneshot, watch};

use super::wire::{Answer, Call};
use crate::store::{
    AnyStore, Durability, Found, Inbox, Inserted, Leased, NewRecord, Purged, Queue, Retention,
    Settled, Settlement, Store, StoreError,
};

/// In front of every answer, so that it is told from what a test harness prints.
const MARK: &str = "tower-callback-store: ";

/// A store in another process, which can be killed. What it is asked is asked there.
///
/// The other end is [`serve`]: usually the same test's program, which knows by its environment that
/// it was started for that.
pub struct Process(Kind);

enum Kind {
    Real {
        child: Mutex<Child>,
        stdin: Mutex<ChildStdin>,
        open: Arc<Open>,
        next: AtomicU64,
    },
    Pretended {
        store: Mutex<Option<AnyStore>>,
        killed: watch::Sender<bool>,
    },
}

/// The calls that wait for their answers; `None` when no more will come.
type Open = Mutex<Option<HashMap<u64, oneshot::Sender<Answer>>>>;

impl Process {
    /// Starts a program that [serves](serve) a store on its standard input and output.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start(mut command: Command) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("a process without pipes"));
        };
        let open: Arc<Open> = Arc::new(Mutex::new(Some(HashMap::new())));
        let waiting = Arc::clone(&open);
        // Ends with the process, whose pipe it reads.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { break };
                let Some((_, json)) = line.split_once(MARK) else {
                    continue;
                };
                let Ok((number, answer)) = serde_json::from_str::<(u64, Answer)>(json) else {
                    break;
                };
                let waiter = lock(&waiting).as_mut().and_then(|w| w.remove(&number));
                if let Some(waiter) = waiter {
                    // Whoever asked may have stopped waiting.
                    let _ = waiter.send(answer);
                }
            }
            // Whoever still waits learns that there will be no answer.
            lock(&waiting).take();
        });
        Ok(Self(Kind::Real {
            child: Mutex::new(child),
            stdin: Mutex::new(stdin),
            open,
            next: AtomicU64::new(0),
        }))
    }

    /// Another store in this process that is dropped where a process would be killed: for trying
    /// the suite itself.
    pub fn pretend(store: impl Store) -> Self {
        Self(Kind::Pretended {
            store: Mutex::new(Some(AnyStore::new(store))),
            killed: watch::Sender::new(false),
        })
    }

    /// Kills it, wherever it is, and waits until it is gone. The calls that it was at fail.
    pub fn kill(&self) {
        match &self.0 {
            Kind::Real { child, .. } => {
                let mut child = lock(child);
                // It may be gone already.
                let _ = child.kill();
                let _ = child.wait();
            }
            Kind::Pretended { store, killed } => {
                drop(lock(store).take());
                killed.send_replace(true);
            }
        }
    }

    async fn ask(&self, call: Call) -> Result<Answer, StoreError> {
        let (stdin, open, next) = match &self.0 {
            Kind::Real {
                stdin, open, next, ..
            } => (stdin, open, next),
            Kind::Pretended { store, killed } => {
                let mut killed = killed.subscribe();
                let store = lock(store).clone().ok_or_else(gone)?;
                return tokio::select! {
                    biased;
                    _ = killed.wait_for(|killed| *killed) => Err(gone()),
                    answer = call.carry_out(&store) => answer.check(),
                };
            }
        };
        let number = next.fetch_add(1, Ordering::Relaxed);
        let (waiter, answer) = oneshot::channel();
        lock(open).as_mut().ok_or_else(gone)?.insert(number, waiter);
        let mut line = serde_json::to_vec(&(number, call)).map_err(StoreError::rejected)?;
        line.push(b'\n');
        lock(stdin)
            .write_all(&line)
            .map_err(StoreError::unavailable)?;
        answer.await.map_err(|_| gone())?.check()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").finish_non_exhaustive()
    }
}

fn gone() -> StoreError {
    StoreError::unavailable("the process is gone")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inbox for Process {
    /// What the place is, the fixture's store has said.
    fn durability(&self) -> Durability {
        Durability::Durable
    }

    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        self.ask(Call::insert(records)).await?.inserted()
    }
}

impl Store for Process {
    async fn lease(
        &self,
        queue: &Queue,
        max: usize,
        ttl: Duration,
    ) -> Result<Vec<Leased>, StoreError> {
        self.ask(Call::lease(queue, max, ttl)).await?.leased(queue)
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Settled>, StoreError> {
        self.ask(Call::settle(settlements)).await?.settled()
    }

    async fn find(&self, queue: &Queue, key: &[u8]) -> Result<Option<Found>, StoreError> {
        self.ask(Call::find(queue, key)).await?.found()
    }

    async fn purge(&self, retention: &Retention) -> Result<Purged, StoreError> {
        self.ask(Call::purge(retention)).await?.purged()
    }
}

/// Does with a store what the process that started this one asks for, until that one is gone: the other
/// end of [`Process::start`].
///
/// # Panics
///
/// When what is asked cannot be read.
pub async fn serve(store: impl Store) {
    let store = AnyStore::new(store);
    let (asked, mut calls) = mpsc::unbounded_channel::<String>();
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if asked.send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = calls.recv().await {
        let (number, call): (u64, Call) =
            serde_json::from_str(&line).expect("the suite asks in its own words");
        let store = store.clone();
        tokio::spawn(async move {
            let answer = call.carry_out(&store).await;
            let json = serde_json::to_string(&(number, answer)).expect("strings and numbers");
            let mut out = io::stdout().lock();
            // Nobody is left to be told.
            let _ = writeln!(out, "{MARK}{json}").and_then(|()| out.flush());
        });
    }
}
