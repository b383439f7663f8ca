//! What a receiver does.

use std::{
    net::TcpListener,
    os::{fd::AsFd, unix::process::parent_id},
    process::ExitCode,
    thread,
    time::Duration,
};

use axum::Router;
use rustix::process::{Signal, kill_process};
use sqlx::{SqlitePool, query};
use tower_callback::{
    BoxError, Callbacks, Delivery, HandlerError, MemoryStore, MusicVideo, RetryPolicy, Token,
    store::{CompleteErrorKind, Inbox, SpoolOptions, SqliteStore, Store},
};

use super::{
    ENDPOINT, Line, Mode, PATH, POISON, Part, SECRET, Setup,
    journal::Journal,
    phase::Teller,
    stores::{Away, Careless, Early, Watched, pool, pool_without_sync},
};

/// Receives until the process is killed.
pub fn serve(setup: &Setup) -> ExitCode {
    end_with_parent();
    // Where only parents may trace their children; an error says that anybody may.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_ptracer(rustix::process::PTracer::Any);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    match runtime.block_on(receive(setup)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the receiver ends: {error:?}");
            ExitCode::FAILURE
        }
    }
}

/// A test that is interrupted leaves nobody behind.
#[allow(clippy::exit, reason = "as abrupt as the kill that did not come")]
pub fn end_with_parent() {
    let parent = parent_id();
    thread::spawn(move || {
        while parent_id() == parent {
            thread::sleep(Duration::from_millis(200));
        }
        std::process::exit(1);
    });
}

async fn receive(setup: &Setup) -> Result<(), BoxError> {
    let doing = Doing {
        setup: setup.clone(),
        journal: Journal::open(&setup.journal()),
        teller: Teller::new(&setup.phase()),
    };
    let options = SqliteStore::options()
        .with_reserve(setup.reserve)
        .with_busy_timeout(Duration::from_millis(setup.busy_timeout_ms));
    let database = setup.database.clone();
    match setup.mode {
        Mode::Own => {
            let store = options.open(database).await?;
            doing.run(store, None).await
        }
        Mode::ExactlyOnce => {
            let pool = pool(&database).await?;
            query(
                "CREATE TABLE IF NOT EXISTS effect (
                    id INTEGER PRIMARY KEY, task TEXT NOT NULL, rank INTEGER NOT NULL)",
            )
            .execute(&pool)
            .await?;
            let store = options.with_pool(pool.clone()).await?;
            doing.run(store, Some(pool)).await
        }
        Mode::PoolWithoutSync => {
            let pool = pool_without_sync(&database).await?;
            doing.run(options.with_pool(pool).await?, None).await
        }
        Mode::Memory => doing.run(MemoryStore::new(), None).await,
        Mode::Spooled => doing.spooled().await,
        Mode::Careless => doing.front(Careless::open(&database).await?).await,
        Mode::Early => doing.front(Early(options.open(database).await?)).await,
    }
}

#[derive(Clone)]
struct Doing {
    setup: Setup,
    journal: Journal,
    teller: Teller,
}

impl Doing {
    async fn run(self, store: impl Store, pool: Option<SqlitePool>) -> Result<(), BoxError> {
        if !self.setup.worker {
            return self.front(store).await;
        }
        let (handler, store) = (self.clone(), self.watched(store));
        let (callback, worker) = self
            .works()
            .store(store)
            .handle(move |delivery| handler.clone().handle(delivery, pool.clone()))
            .build()?;
        let app = Router::new().route_service(PATH, callback);
        tokio::join!(worker.run(), self.listen(app)).1
    }

    /// The file is the spool's, and the store behind it is one on a disk that is well.
    async fn spooled(self) -> Result<(), BoxError> {
        let options = SqliteStore::options().with_reserve(0);
        let engine = options.open(self.setup.engine()).await?;
        let away = Away::while_there(engine.clone(), self.setup.away());
        let (spooled, forwarder) = SpoolOptions::default()
            .with_reserve(self.setup.reserve)
            .with_busy_timeout(Duration::from_millis(self.setup.busy_timeout_ms))
            .open(away, &self.setup.database)
            .await?;
        let (handler, store) = (self.clone(), self.watched(engine));
        let worker = self
            .works()
            .store(store)
            .handle(move |delivery| handler.clone().handle(delivery, None))
            .build_worker()?;
        tokio::join!(worker.run(), forwarder.run(), self.front(spooled)).2
    }

    fn watched<S: Store>(&self, store: S) -> Watched<S> {
        Watched::new(store, &self.journal, &self.teller)
    }

    /// An endpoint that is to have a worker.
    fn works(&self) -> Callbacks<MusicVideo> {
        self.endpoint()
            .lease_ttl(Duration::from_millis(self.setup.lease_ttl_ms))
            .idle_poll(Duration::from_millis(50))
            .suspect_limit(self.setup.suspect_limit)
            .retry(
                RetryPolicy::default()
                    .with_first_delay(Duration::from_millis(10))
                    .with_max_delay(Duration::from_millis(100)),
            )
    }

    async fn front(&self, inbox: impl Inbox) -> Result<(), BoxError> {
        let callback = self.endpoint().store(inbox).build_front()?;
        self.listen(Router::new().route_service(PATH, callback))
            .await
    }

    fn endpoint(&self) -> Callbacks<MusicVideo> {
        Callbacks::new(ENDPOINT, Token::query("token", SECRET))
            .ack_deadline(Duration::from_millis(self.setup.ack_deadline_ms))
    }

    /// On the socket that the test holds, and gave as the standard input.
    async fn listen(&self, app: Router) -> Result<(), BoxError> {
        let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
        let listener = tokio::net::TcpListener::from_std(TcpListener::from(socket))?;
        self.teller.serving();
        Ok(axum::serve(listener, app).await?)
    }

    async fn handle(
        self,
        delivery: Delivery<MusicVideo>,
        pool: Option<SqlitePool>,
    ) -> Result<(), HandlerError> {
        let _within = self.teller.enter(Part::Handler);
        let (task, rank) = (delivery.event.task_id.clone(), delivery.rank());
        self.journal.write(&Line::Begin(task.clone(), rank));
        if task == POISON {
            kill_process(rustix::process::getpid(), Signal::KILL)?;
        }
        let time = fastrand::u64(0..=self.setup.handler_ms);
        tokio::time::sleep(Duration::from_millis(time)).await;
        let failing = || fastrand::u32(0..100) < self.setup.failing;
        if let Some(pool) = pool {
            let finished = finish(&pool, &delivery, failing(), failing()).await;
            // A kill at this point applies an effect twice where it is committed alone.
            tokio::time::sleep(Duration::from_millis(time)).await;
            return finished;
        }
        if failing() {
            return Err("an attempt that fails".into());
        }
        self.journal.write(&Line::End(task, rank));
        Ok(())
    }
}

/// Applies the event's effect together with its completion, or fails before or after.
async fn finish(
    pool: &SqlitePool,
    delivery: &Delivery<MusicVideo>,
    fails_before: bool,
    fails_after: bool,
) -> Result<(), HandlerError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    query("INSERT INTO effect (task, rank) VALUES (?, ?)")
        .bind(&delivery.event.task_id)
        .bind(delivery.rank())
        .execute(&mut *transaction)
        .await?;
    match SqliteStore::complete(&mut transaction, delivery.lease()).await {
        Ok(()) => {}
        Err(error) if error.kind() == CompleteErrorKind::Completed => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    if fails_before {
        return Err("a transaction that is rolled back".into());
    }
    transaction.commit().await?;
    if fails_after {
        return Err("an error after the commit, which changes nothing".into());
    }
    Ok(())
}
