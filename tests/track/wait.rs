//! Waiting for a submission's event.

use std::sync::{Arc, Mutex};

use tower_callback::{
    MemoryStore,
    music_video::{Submitter, WaitErrorKind},
    store::{
        Durability, Found, Inbox, Inserted, Leased, NewRecord, Purged, Queue, Retention, Settled,
        Settlement, State, Store, StoreError,
    },
};

use crate::{
    bench::{Bench, HOUR, MINUTE, NAME, SECOND, client, request, success},
    provider::Answer,
};

#[tokio::test]
async fn a_wait_can_be_dropped_and_begun_again_at_any_time() {
    let bench = Bench::new();
    let running = bench.poll();
    let submission = bench
        .submitter()
        .submit(&request(), "order-1")
        .await
        .unwrap();
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..100 {
        let mut waiting = Box::pin(submission.wait());
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
    }
    running
        .call(&bench.provider.callback_url(0), &success("task-1"))
        .await;
    let waits = [submission.clone(), submission.clone(), submission];
    for submission in waits {
        let event = bench.turn_while(SECOND, submission.wait()).await;
        assert_eq!(event.unwrap(), success("task-1"));
    }
}

#[tokio::test]
async fn nobody_waits_for_what_is_not_there() {
    let bench = Bench::new();
    let submitter = bench.submitter();
    assert!(submitter.find("order-1").await.unwrap().is_none());
    // Somebody waits for a submission that is refused after all.
    bench
        .provider
        .answer([Answer::AcceptAndHold, Answer::Code(402)]);
    let _running = bench.poll();
    let mut acts = bench.provider.acts();
    let first = tokio::spawn({
        let submitter = submitter.clone();
        async move { submitter.submit(&request(), "held").await }
    });
    acts.changed().await.unwrap();
    let other = submitter.submit(&request(), "held").await.unwrap();
    assert_eq!(other.task_id(), None);
    assert_eq!(bench.provider.submitted().len(), 1);
    bench.provider.release();
    first.await.unwrap().unwrap();

    let error = submitter.submit(&request(), "order-1").await.unwrap_err();
    assert_eq!(
        error.kind(),
        tower_callback::music_video::SubmitErrorKind::Refused
    );
    bench
        .turn_until(SECOND, async || bench.tracked("c:order-1").await.is_none())
        .await;
    assert!(submitter.find("order-1").await.unwrap().is_none());
}

#[tokio::test]
async fn a_submission_that_vanishes_while_somebody_waits_is_gone() {
    let bench = Bench::new();
    let submitter = bench.submitter();
    submitter.submit(&request(), "order-1").await.unwrap();
    let submission = submitter.find("order-1").await.unwrap().unwrap();
    let queue = Queue::tracked(NAME);
    let leased = bench.store.lease(&queue, 1, MINUTE).await.unwrap();
    let disown = tower_callback::store::Action::Disown;
    let settlement = Settlement::new(leased[0].lease.clone(), disown);
    bench.store.settle(&[settlement]).await.unwrap();
    let error = submission.wait().await.unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::Gone);
    assert_eq!(error.to_string(), "there is no such submission");
}

#[tokio::test]
async fn an_event_whose_content_is_kept_no_longer_is_an_error_that_says_so() {
    let bench = Bench::new();
    let running = bench.poll();
    let submission = bench
        .submitter()
        .submit(&request(), "order-1")
        .await
        .unwrap();
    running
        .call(&bench.provider.callback_url(0), &success("task-1"))
        .await;
    bench.until_tracked(SECOND, "c:order-1", State::Done).await;
    bench.hands.advance(8 * 24 * HOUR);
    let retention = Retention::default();
    bench.store.purge(&retention).await.unwrap();
    let error = submission.wait().await.unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::NotKept);
    let again = bench.submitter().submit(&request(), "order-1").await;
    assert_eq!(
        again.unwrap().wait().await.unwrap_err().kind(),
        WaitErrorKind::NotKept
    );
    assert_eq!(bench.provider.submitted().len(), 1);
}

type Failure = fn() -> StoreError;

/// A store whose `find` fails, and which tells of changes by hand.
#[derive(Clone)]
struct Telling {
    store: MemoryStore,
    failure: Arc<Mutex<Option<Failure>>>,
    changes: Arc<tokio::sync::Notify>,
}

impl Inbox for Telling {
    fn durability(&self) -> Durability {
        self.store.durability()
    }
    async fn insert(&self, records: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> {
        self.store.insert(records).await
    }
    fn manual_clock(&self) -> Option<&tower_callback::clock::ManualClock> {
        self.store.manual_clock()
    }
}

impl Store for Telling {
    async fn lease(
        &self,
        queue: &Queue,
        max: usize,
        ttl: std::time::Duration,
    ) -> Result<Vec<Leased>, StoreError> {
        self.store.lease(queue, max, ttl).await
    }
    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Settled>, StoreError> {
        self.store.settle(settlements).await
    }
    async fn find(&self, queue: &Queue, key: &[u8]) -> Result<Option<Found>, StoreError> {
        if let Some(failure) = *self.failure.lock().unwrap() {
            return Err(failure());
        }
        self.store.find(queue, key).await
    }
    async fn purge(&self, retention: &Retention) -> Result<Purged, StoreError> {
        self.store.purge(retention).await
    }
    async fn changed(&self, _: &Queue) {
        self.changes.notified().await;
    }
}

#[tokio::test]
async fn a_wait_outlives_a_store_that_is_away_for_a_moment_and_hears_of_changes_at_once() {
    let bench = Bench::new();
    let telling = Telling {
        store: bench.store.store().clone(),
        failure: Arc::default(),
        changes: Arc::default(),
    };
    let client = client(&bench.provider, bench.hands.clock());
    let submitter = Submitter::new(NAME, telling.clone(), client, bench.signed()).unwrap();
    let submission = submitter.submit(&request(), "order-1").await.unwrap();
    let fail = |failure| *telling.failure.lock().unwrap() = failure;
    let unavailable = || StoreError::unavailable("told to fail");
    fail(Some(unavailable));
    let waiting = tokio::spawn({
        let submission = submission.clone();
        async move { submission.wait().await }
    });
    bench.turn(50 * SECOND, 50).await;
    assert!(!waiting.is_finished());
    fail(None);
    bench.turn(10 * SECOND, 20).await;
    // Now the clock stands nearly still, and only a change can wake it.
    let running = bench.poll();
    running
        .call(&bench.provider.callback_url(0), &success("task-1"))
        .await;
    while bench.tracked("c:order-1").await.unwrap().rank < 2 {
        tokio::task::yield_now().await;
    }
    telling.changes.notify_one();
    bench.turn(SECOND / 5, 2).await;
    assert_eq!(waiting.await.unwrap().unwrap(), success("task-1"));

    fail(Some(unavailable));
    let error = bench.turn_while(SECOND, submission.wait()).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::Store);
    assert!(
        std::error::Error::source(&error)
            .unwrap()
            .is::<StoreError>()
    );
    // What never gets better is not waited for.
    fail(Some(|| StoreError::rejected("told to fail")));
    let error = submission.wait().await.unwrap_err();
    assert_eq!(error.kind(), WaitErrorKind::Store);
}

#[tokio::test]
async fn a_wait_ends_with_the_poll_however_busy_the_handlers_are() {
    let bench = Bench::new();
    let builder = bench.builder().poll_with(bench.polling()).concurrency(1);
    let (service, worker) = builder
        .handle(async |_| std::future::pending().await)
        .build()
        .unwrap();
    let _worker = tokio::spawn(worker.run());
    let submitter = bench.submitter();
    let first = submitter.submit(&request(), "first").await.unwrap();
    let second = submitter.submit(&request(), "second").await.unwrap();
    let url: http::Uri = bench.provider.callback_url(0).parse().unwrap();
    let path = url.path_and_query().unwrap().as_str();
    crate::bench::send(&service, path, &success("task-1")).await;
    let event = bench.turn_while(SECOND, first.wait()).await;
    assert_eq!(event.unwrap(), success("task-1"));
    bench.provider.show("task-2", crate::provider::SUCCESS);
    let event = bench.turn_while(SECOND, second.wait()).await;
    assert_eq!(event.unwrap(), success("task-2"));
}
