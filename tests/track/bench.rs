//! An endpoint with everything, on a clock that is turned by hand.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::Response;
use tokio::{sync::oneshot, task::JoinHandle};
use tower::ServiceExt;
use tower_callback::{
    CallbackService, Callbacks, Clock, MemoryStore, MusicVideo, RetryPolicy, SignedUrl, Token,
    TraceContext,
    clock::ManualClock,
    event::Source,
    front::ReplyBody,
    music_video::{Client, GenerateRequest, Polling, Submission, SubmitError, Submitter},
    store::{Found, Inspect, Queue, State, Store, inspect::Listing},
    testing::{Recording, callback},
};

use crate::provider::{Answer, Provider};

pub const NAME: &str = "music-video";
pub const KEY: &str = "a-key-of-32-random-bytes-nov-26.";
pub const TOKEN: &str = "a-secret-of-32-characters-or-so";
pub const SECOND: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(60 * 60);

/// What the handler was given.
#[derive(Clone, Debug)]
pub struct Handled {
    pub event: MusicVideo,
    pub source: Source,
    pub correlation: Option<String>,
    /// Of the submission.
    pub trace: Option<TraceContext>,
}

pub struct Bench {
    pub hands: ManualClock,
    pub store: Recording<MemoryStore>,
    pub provider: Provider,
    pub handled: Arc<Mutex<Vec<Handled>>>,
}

pub struct Running {
    pub service: CallbackService,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Bench {
    pub fn new() -> Self {
        let hands = Clock::manual();
        Self {
            store: Recording::new(MemoryStore::with_clock(&hands)),
            hands,
            provider: Provider::start(),
            handled: Arc::default(),
        }
    }

    /// Without retries of its own, and so patient that the turned clock never ends a call.
    pub fn client(&self) -> Client {
        client(&self.provider, self.hands.clock())
    }

    pub fn polling(&self) -> Polling {
        Polling::new(self.client())
    }

    pub fn submitter(&self) -> Submitter {
        Submitter::new(NAME, self.store.clone(), self.client(), self.signed()).unwrap()
    }

    pub fn signed(&self) -> SignedUrl {
        SignedUrl::query(NAME, "https://example.com/callback", "cap", KEY)
            .with_clock(self.hands.clock())
    }

    pub fn builder(&self) -> Callbacks<MusicVideo, Recording<MemoryStore>> {
        Callbacks::new(NAME, self.signed())
            .store(self.store.clone())
            .clock(self.hands.clock())
    }

    /// An endpoint whose callbacks prove themselves by a token alone.
    pub fn with_token(&self) -> Callbacks<MusicVideo, Recording<MemoryStore>> {
        Callbacks::new(NAME, Token::query("token", TOKEN))
            .store(self.store.clone())
            .clock(self.hands.clock())
    }

    /// Runs an endpoint that polls at the default times.
    pub fn poll(&self) -> Running {
        self.run(self.builder().poll_with(self.polling()))
    }

    pub fn run(&self, builder: Callbacks<MusicVideo, Recording<MemoryStore>>) -> Running {
        let handled = Arc::clone(&self.handled);
        let (service, worker) = builder
            .handle(move |delivery| {
                let (source, correlation) = (delivery.source(), delivery.correlation());
                let correlation = correlation.map(str::to_owned);
                let trace = delivery.submission_trace_context().cloned();
                let event = delivery.event;
                handled.lock().unwrap().push(Handled {
                    event,
                    source,
                    correlation,
                    trace,
                });
                async { Ok(()) }
            })
            .build()
            .unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(worker.run_until(async {
            let _ = stopped.await;
        }));
        Running {
            service,
            stop,
            task,
        }
    }

    /// Turns the clock, step by step, until this is so. Fails after a minute of real time.
    pub async fn turn_until(&self, step: Duration, mut done: impl AsyncFnMut() -> bool) {
        let begun = std::time::Instant::now();
        while !done().await {
            assert!(begun.elapsed() < MINUTE, "it never comes");
            self.hands.advance(step);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Turns the clock by this much, in so many steps.
    pub async fn turn(&self, by: Duration, steps: u32) {
        for _ in 0..steps {
            self.hands.advance(by / steps);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub async fn turn_while<T>(&self, step: Duration, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        loop {
            tokio::select! {
                biased;
                output = &mut future => return output,
                () = tokio::time::sleep(Duration::from_millis(2)) => self.hands.advance(step),
            }
        }
    }

    /// Submits. The provider has got it by now, and its answer waits until it is
    /// [released](Provider::release).
    pub async fn submit_held(
        &self,
        submitter: Submitter,
        order: &'static str,
    ) -> JoinHandle<Result<Submission, SubmitError>> {
        self.provider.answer([Answer::AcceptAndHold]);
        let mut acts = self.provider.acts();
        let submitting = tokio::spawn(async move { submitter.submit(&request(), order).await });
        acts.changed().await.unwrap();
        submitting
    }

    pub async fn until_handled(&self, count: usize) -> Vec<Handled> {
        self.turn_until(SECOND, async || self.handled().len() >= count)
            .await;
        self.handled()
    }

    pub fn handled(&self) -> Vec<Handled> {
        self.handled.lock().unwrap().clone()
    }

    /// A record among the tracked ones.
    pub async fn tracked(&self, key: &str) -> Option<Found> {
        let queue = Queue::tracked(NAME);
        self.store.find(&queue, key.as_bytes()).await.unwrap()
    }

    /// When a tracked record is due that was looked at so often: from now, and from its beginning.
    pub async fn put_off(&self, key: &str, attempts: u32, step: Duration) -> (Duration, Duration) {
        let mut due = None;
        self.turn_until(step, async || {
            let queue = Queue::tracked(NAME);
            let page = self.store.list(&queue, &Listing::all()).await.unwrap();
            let mut records = page.records.into_iter();
            let record = records.find(|it| it.key.as_deref() == Some(key.as_bytes()));
            let record = record.unwrap();
            if (record.state, record.attempts) == (State::Pending, attempts) {
                let (due_in, age) = (record.due_in.unwrap(), record.age.unwrap());
                due = Some((due_in, age + due_in));
            }
            due.is_some()
        })
        .await;
        due.unwrap()
    }

    pub async fn until_tracked(&self, step: Duration, key: &str, state: State) -> Found {
        self.turn_until(step, async || {
            (self.tracked(key).await).is_some_and(|found| found.state == state)
        })
        .await;
        self.tracked(key).await.unwrap()
    }
}

impl Running {
    pub async fn stop(self, bench: &Bench) {
        let _ = self.stop.send(());
        bench.turn_while(SECOND, self.task).await.unwrap();
    }

    /// As if the process had ended.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// A callback to the URL that was minted for a submission.
    pub async fn call(&self, url: &str, event: &MusicVideo) -> u16 {
        let url: http::Uri = url.parse().unwrap();
        let path = url.path_and_query().unwrap().as_str();
        send(&self.service, path, event).await
    }

    /// A callback to the minted URL that says it is compressed, and is not: nobody reads it.
    pub async fn call_unread(&self, url: &str, event: &MusicVideo) -> u16 {
        let url: http::Uri = url.parse().unwrap();
        let path = url.path_and_query().unwrap().as_str();
        let unread = callback("-")
            .event(event)
            .header("content-encoding", "gzip");
        let request = unread.request(path).unwrap();
        let response = self.service.clone().oneshot(request).await.unwrap();
        response.status().as_u16()
    }

    /// A callback with the token.
    pub async fn call_by_token(&self, event: &MusicVideo) -> u16 {
        send(&self.service, &format!("/callback?token={TOKEN}"), event).await
    }
}

pub async fn send(service: &CallbackService, path: &str, event: &MusicVideo) -> u16 {
    let request = callback("-").event(event).request(path).unwrap();
    let response: Response<ReplyBody> = service.clone().oneshot(request).await.unwrap();
    response.status().as_u16()
}

pub fn client(provider: &Provider, clock: Clock) -> Client {
    Client::builder(provider.url(), "an-api-key")
        .with_clock(clock)
        .with_timeout(100 * HOUR)
        .with_retries(RetryPolicy::default().with_total(Duration::ZERO))
        .with_rate_limit(1000, SECOND)
        .dangerous()
        .allow_http()
        .build()
        .unwrap()
}

pub fn request() -> GenerateRequest {
    GenerateRequest::new("music-1", "audio-1")
}

pub fn success(task: &str) -> MusicVideo {
    MusicVideo::succeeded(task, "https://example.com/v.mp4")
}
