//! The same over a file: what one process submitted, another one waits for.

use std::time::Duration;

use tokio::sync::oneshot;
use tower_callback::{
    CallbackService, Callbacks, Clock, MusicVideo, SignedUrl, SqliteStore,
    music_video::{Client, Polling, SubmitErrorKind, Submitter, WaitErrorKind},
    store::{Queue, Store},
};

use crate::{
    bench::{HOUR, KEY, MINUTE, NAME, SECOND, client, request, send, success},
    provider::{Answer, PENDING, Provider, SUCCESS},
};

/// One process: everything of it ends with its runtime.
struct Process {
    store: SqliteStore,
    submitter: Submitter,
    service: CallbackService,
    client: Client,
    signed: SignedUrl,
    _stop: oneshot::Sender<()>,
}

impl Process {
    async fn start(
        dir: &std::path::Path,
        provider: &Provider,
        clock: &Clock,
        deadline: Duration,
    ) -> Self {
        let store = SqliteStore::open(dir.join("callbacks.db")).await.unwrap();
        let client = client(provider, clock.clone());
        let signed = SignedUrl::query(NAME, "https://example.com/callback", "cap", KEY);
        let polling = Polling::new(client.clone())
            .with_first(10 * SECOND)
            .with_every(5 * SECOND)
            .with_deadline(deadline);
        let (service, worker) = Callbacks::<MusicVideo>::new(NAME, signed.clone())
            .store(store.clone())
            .clock(clock.clone())
            .poll_with(polling)
            .handle(async |_| Ok(()))
            .build()
            .unwrap();
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(worker.run_until(async {
            let _ = stopped.await;
        }));
        let submitter =
            Submitter::new(NAME, store.clone(), client.clone(), signed.clone()).unwrap();
        Self {
            store,
            submitter,
            service,
            client,
            signed,
            _stop: stop,
        }
    }

    async fn call(&self, url: &str, event: &MusicVideo) -> u16 {
        let url: http::Uri = url.parse().unwrap();
        send(&self.service, url.path_and_query().unwrap().as_str(), event).await
    }
}

/// With a deadline that no machine is too busy for.
fn in_a_process<T>(
    dir: &std::path::Path,
    provider: &Provider,
    clock: &Clock,
    run: impl AsyncFnOnce(Process) -> T,
) -> T {
    in_a_process_until(HOUR, dir, provider, clock, run)
}

fn in_a_process_until<T>(
    deadline: Duration,
    dir: &std::path::Path,
    provider: &Provider,
    clock: &Clock,
    run: impl AsyncFnOnce(Process) -> T,
) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let output = runtime.block_on(async {
        let process = Process::start(dir, provider, clock, deadline).await;
        run(process).await
    });
    runtime.shutdown_background();
    output
}

#[test]
fn a_submission_outlives_its_process_and_ends_in_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let (provider, clock) = (Provider::start(), Clock::scaled(20));
    provider.show_all(PENDING);
    in_a_process(dir.path(), &provider, &clock, async |process| {
        for id in ["by-callback", "by-poll"] {
            process.submitter.submit(&request(), id).await.unwrap();
        }
    });
    in_a_process(dir.path(), &provider, &clock, async |process| {
        let again = process.submitter.submit(&request(), "by-callback").await;
        assert_eq!(again.unwrap().task_id(), Some("task-1"));
        let url = provider.callback_url(0);
        assert_eq!(process.call(&url, &success("task-1")).await, 200);
        let found = process.submitter.find("by-callback").await.unwrap();
        let event = found.unwrap().wait().await.unwrap();
        assert_eq!(event, success("task-1"));
    });
    provider.show("task-2", SUCCESS);
    in_a_process(dir.path(), &provider, &clock, async |process| {
        for (id, task) in [("by-callback", "task-1"), ("by-poll", "task-2")] {
            let found = process.submitter.find(id).await.unwrap().unwrap();
            assert_eq!(found.wait().await.unwrap(), success(task));
        }
    });
    assert_eq!(provider.submitted().len(), 2);
}

#[test]
fn a_crash_before_the_answer_leaves_an_intent_that_is_not_submitted_again() {
    let dir = tempfile::tempdir().unwrap();
    let (provider, clock) = (Provider::start(), Clock::scaled(20));
    let deadline = 5 * MINUTE;
    provider.answer([Answer::AcceptAndHold, Answer::AcceptAndCut]);
    let mut acts = provider.acts();
    in_a_process_until(deadline, dir.path(), &provider, &clock, async |process| {
        let submitter = process.submitter.clone();
        tokio::spawn(async move { submitter.submit(&request(), "called").await });
        acts.changed().await.unwrap();
        let error = process.submitter.submit(&request(), "silent").await;
        assert_eq!(error.unwrap_err().kind(), SubmitErrorKind::Unknown);
    });
    provider.release();
    in_a_process_until(deadline, dir.path(), &provider, &clock, async |process| {
        let called = process
            .submitter
            .submit(&request(), "called")
            .await
            .unwrap();
        process
            .call(&provider.callback_url(0), &success("task-1"))
            .await;
        assert_eq!(called.wait().await.unwrap(), success("task-1"));
        let silent = process
            .submitter
            .submit(&request(), "silent")
            .await
            .unwrap();
        let error = silent.wait().await.unwrap_err();
        assert_eq!(error.kind(), WaitErrorKind::Dead);
    });
    assert_eq!(provider.submitted().len(), 2);
}

#[test]
fn a_refused_submission_frees_its_id_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (provider, clock) = (Provider::start(), Clock::scaled(20));
    provider.answer([Answer::Code(400)]);
    in_a_process(dir.path(), &provider, &clock, async |process| {
        let error = process.submitter.submit(&request(), "order-1").await;
        assert_eq!(error.unwrap_err().kind(), SubmitErrorKind::Refused);
    });
    in_a_process(dir.path(), &provider, &clock, async |process| {
        let queue = Queue::tracked(NAME);
        while process
            .store
            .find(&queue, b"c:order-1")
            .await
            .unwrap()
            .is_some()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let again = process.submitter.submit(&request(), "order-1").await;
        assert_eq!(again.unwrap().task_id(), Some("task-2"));
    });
}

#[test]
fn of_submitters_in_two_processes_one_reaches_the_provider() {
    let dir = tempfile::tempdir().unwrap();
    let (provider, clock) = (Provider::start(), Clock::scaled(20));
    in_a_process(dir.path(), &provider, &clock, async |process| {
        let other = SqliteStore::open(dir.path().join("callbacks.db"))
            .await
            .unwrap();
        let other =
            Submitter::new(NAME, other, process.client.clone(), process.signed.clone()).unwrap();
        for n in 0..10 {
            let id = format!("order-{n}");
            let request = request();
            let (a, b, c) = tokio::join!(
                process.submitter.submit(&request, &id),
                other.submit(&request, &id),
                other.submit(&request, &id),
            );
            assert!(a.is_ok() && b.is_ok() && c.is_ok(), "{a:?} {b:?} {c:?}");
            assert_eq!(provider.submitted().len(), n + 1);
        }
        let queue = Queue::tracked(NAME);
        let found = process
            .store
            .find(&queue, b"c:order-0")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.rank, 1, "it is the task that came of it");
    });
}
