//! What a worker does.

use std::{path::Path, str::FromStr, time::Duration};

use rustix::process::{Signal, kill_process};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
    query,
};
use tokio::{sync::watch, time::sleep};
use tower_callback::{
    BoxError, Callbacks, Delivery, HandlerError, MusicVideo, RedisStore, RetryPolicy, Token,
    store::{Action, AnyStore, CompleteErrorKind, PostgresStore, Settled, Settlement, Store},
};

use crate::{
    journal::{Journal, What},
    role::{ENDPOINT, Engine, Role, Setup, at_last, tell_serving, until},
    watched::Watched,
};

/// A store on a pool of ours, whose connections are as patient as the tests' faults ask for.
pub(crate) async fn postgres(url: &str) -> (PostgresStore, PgPool) {
    let pool = PgPoolOptions::new()
        .max_connections(20)
        .acquire_timeout(Duration::from_secs(2))
        .connect_lazy_with(PgConnectOptions::from_str(url).unwrap());
    let options = PostgresStore::options().with_call_timeout(Duration::from_secs(3));
    let store = at_last(|| options.clone().with_pool(pool.clone())).await;
    (store, pool)
}

pub(crate) async fn run(setup: &Setup, stop: watch::Receiver<bool>) -> Result<(), BoxError> {
    let Role::Worker {
        lease_ttl,
        handler,
        failing,
        hold,
        poison,
    } = &setup.role
    else {
        return Err("this is no worker".into());
    };
    let (store, finishes) = match &setup.engine {
        Engine::Postgres { url } => {
            let (store, pool) = postgres(url).await;
            (AnyStore::new(store.clone()), Some((store, pool)))
        }
        Engine::Redis { url } => {
            let store = at_last(|| RedisStore::connect(url)).await;
            (AnyStore::new(store), None)
        }
    };
    let journal = Journal::open(&setup.journal, &setup.name);
    let works = Works {
        store: store.clone(),
        finishes,
        journal: journal.clone(),
        time: *handler,
        failing: *failing,
        hold: hold.as_deref().map(Into::into),
        poison: poison.as_ref().map(|(task, _)| task.as_str().into()),
    };
    let worker = Callbacks::<MusicVideo>::new(ENDPOINT, Token::query("token", &*setup.secret))
        .store(Watched::new(store, journal))
        .handle(move |delivery| works.clone().handle(delivery))
        .lease_ttl(*lease_ttl)
        .idle_poll(Duration::from_millis(100))
        // Other kills are not the events' fault.
        .suspect_limit(poison.as_ref().map_or(u32::MAX, |(_, limit)| *limit))
        .retry(
            RetryPolicy::default()
                .with_first_delay(Duration::from_millis(10))
                .with_max_delay(Duration::from_millis(200)),
        )
        .build_worker()?;
    tell_serving()?;
    worker.run_until(until(stop)).await;
    Ok(())
}

#[derive(Clone)]
struct Works {
    store: AnyStore,
    /// On Postgres, where an effect and its completion are one transaction.
    finishes: Option<(PostgresStore, PgPool)>,
    journal: Journal,
    time: Duration,
    failing: u32,
    hold: Option<Box<Path>>,
    poison: Option<Box<str>>,
}

impl Works {
    async fn handle(self, delivery: Delivery<MusicVideo>) -> Result<(), HandlerError> {
        self.tell(What::Begins, &delivery);
        if self.poison.as_deref() == Some(delivery.key()) {
            kill_process(rustix::process::getpid(), Signal::KILL)?;
        }
        sleep(self.time.mul_f32(fastrand::f32())).await;
        if let Some(file) = &self.hold {
            self.hold(file, &delivery).await?;
        }
        if let Some((store, pool)) = &self.finishes {
            return self.finish(store, pool, &delivery).await;
        }
        if self.fails() {
            return Err("an attempt that fails".into());
        }
        self.tell(What::Handled, &delivery);
        Ok(())
    }

    /// Applies the event's effect together with its completion, or fails before or after.
    async fn finish(
        &self,
        store: &PostgresStore,
        pool: &PgPool,
        delivery: &Delivery<MusicVideo>,
    ) -> Result<(), HandlerError> {
        let mut transaction = pool.begin().await?;
        query("INSERT INTO effect (task, rank, worker) VALUES ($1, $2, $3)")
            .bind(&delivery.event.task_id)
            .bind(i32::from(delivery.rank()))
            .bind(self.journal.name())
            .execute(&mut *transaction)
            .await?;
        match store.complete(&mut transaction, delivery.lease()).await {
            Ok(()) => {}
            Err(error) if error.kind() == CompleteErrorKind::Completed => return Ok(()),
            Err(error) => {
                if error.kind() == CompleteErrorKind::Lost {
                    self.tell(What::CompletesNothing, delivery);
                }
                return Err(error.into());
            }
        }
        if self.fails() {
            return Err("a transaction that is rolled back".into());
        }
        transaction.commit().await?;
        self.tell(What::Handled, delivery);
        self.tell(What::Done, delivery);
        if self.fails() {
            return Err("an error after the commit, which changes nothing".into());
        }
        Ok(())
    }

    /// Waits for the file, and tries then to settle behind the worker's back: a worker that knows that
    /// the lease is lost does not even ask.
    async fn hold(&self, file: &Path, delivery: &Delivery<MusicVideo>) -> Result<(), HandlerError> {
        while !file.exists() {
            sleep(Duration::from_millis(5)).await;
        }
        let settlement = Settlement::new(delivery.lease().clone(), Action::Done);
        let answers = at_last(|| self.store.settle(std::slice::from_ref(&settlement))).await;
        let what = match answers[0] {
            Settled::Applied => What::Done,
            Settled::Stale => What::SettlesNothing,
            Settled::Busy => return Err("the record is held".into()),
        };
        self.tell(what, delivery);
        Ok(())
    }

    fn fails(&self) -> bool {
        fastrand::u32(0..100) < self.failing
    }

    fn tell(&self, what: What, delivery: &Delivery<MusicVideo>) {
        let token = delivery.lease().token;
        self.journal
            .write(what, delivery.key(), delivery.rank(), token);
    }
}
