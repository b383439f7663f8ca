//! What is killed: a service that submits orders, receives callbacks, polls and handles.

use std::{
    net::TcpListener,
    os::fd::AsFd,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::Router;
use tower_callback::{
    BoxError, Callbacks, Clock, Delivery, HandlerError, MusicVideo, RetryPolicy, SignedUrl,
    SqliteStore,
    download::Downloader,
    event::Source,
    music_video::{
        Client, Code429, GenerateRequest, Outcome, Polling, Submission, SubmitErrorKind, Submitter,
        WaitErrorKind,
    },
};

use crate::{
    journal::{Given, Journal, Line},
    receiver::{ENDPOINT, PATH, Teller, end_with_parent, open},
    setup::{KEY, ORDERS, SPEED, Setup, order, track},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// How long a lease lasts when nobody extends it.
pub(crate) const LEASE: Duration = Duration::from_secs(200);
/// When nobody waits for a task any longer. The provider tells the truth about each within 13 minutes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20 * 60);

/// Serves until the process is killed.
pub(crate) fn serve(setup: &Setup) -> ExitCode {
    end_with_parent();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let journal = Journal::open(&setup.journal);
    let Err(error) = runtime.block_on(run(setup, &journal)) else {
        return ExitCode::SUCCESS;
    };
    journal.write(&Line::Surprise(format!("the service ends: {error:?}")));
    ExitCode::FAILURE
}

async fn run(setup: &Setup, journal: &Journal) -> Result<(), BoxError> {
    journal.write(&Line::Start);
    let clock = Clock::scaled(SPEED);
    let store = open(&setup.database).await;
    let signed = signed(&setup.callback_url, KEY, clock.clone());
    let client = client(&setup.provider, &setup.api_key, clock.clone())?;
    let submitter = Submitter::new(ENDPOINT, store.clone(), client.clone(), signed.clone())?;
    let submitter = submitter.conflict_is_idempotent();
    let mut polling = Polling::new(client.clone())
        .with_first(MINUTE)
        .with_deadline(DEADLINE);
    if setup.mode.resubmits() {
        polling = polling.resubmitting(submitter.clone());
    }
    let builder = endpoint(signed, store, clock.clone());
    let builder = match setup.mode.confirms() {
        true => builder.confirm_with(polling),
        false => builder.poll_with(polling),
    };
    let handler = Handler {
        journal: journal.clone(),
        downloader: setup.mode.downloads().then(|| downloader(setup, client)),
    };
    let (callback, worker) = builder
        .handle(move |delivery| handler.clone().handle(delivery))
        .build()?;
    for number in 0..ORDERS {
        let order = Order {
            number,
            submitter: submitter.clone(),
            clock: clock.clone(),
            journal: journal.clone(),
        };
        tokio::spawn(order.see_through());
    }
    for task in untracked(setup) {
        let (submitter, clock, journal) = (submitter.clone(), clock.clone(), journal.clone());
        tokio::spawn(async move {
            while submitter.track(&task).await.is_err() {
                clock.sleep(SECOND).await;
            }
            journal.write(&Line::Tracked(task));
        });
    }
    let app = Router::new().route_service(PATH, callback);
    // On the socket that the test holds, and gave as the standard input.
    let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
    let listener = tokio::net::TcpListener::from_std(TcpListener::from(socket))?;
    Teller::new(&setup.phase).serving();
    let server = async { axum::serve(listener, app).await };
    Ok(tokio::join!(worker.run(), server).1?)
}

/// What was submitted elsewhere, and is not known to be tracked: that is said once.
fn untracked(setup: &Setup) -> Vec<String> {
    let lines = Line::read(&setup.journal);
    let tracked = |task: &String| lines.contains(&Line::Tracked(task.clone()));
    let tasks = setup.elsewhere.iter();
    tasks.filter(|task| !tracked(task)).cloned().collect()
}

pub(crate) fn signed(url: &str, key: &str, clock: Clock) -> SignedUrl {
    SignedUrl::query(ENDPOINT, url, "cap", key)
        .with_clock(clock)
        .dangerous()
        .plain_http()
}

pub(crate) fn client(base: &str, key: &str, clock: Clock) -> Result<Client, BoxError> {
    Ok(Client::builder(base, key)
        .with_clock(clock)
        .with_timeout(100 * SECOND)
        .with_code_429(Code429::RateLimited)
        .dangerous()
        .allow_http()
        .build()?)
}

/// With times that a busy machine can keep on a clock that is so fast.
fn endpoint(
    signed: SignedUrl,
    store: SqliteStore,
    clock: Clock,
) -> Callbacks<MusicVideo, SqliteStore> {
    let retry = RetryPolicy::default()
        .with_first_delay(SECOND)
        .with_max_delay(20 * SECOND);
    Callbacks::new(ENDPOINT, signed)
        .store(store)
        .clock(clock)
        .ack_deadline(100 * SECOND)
        .body_timeout(MINUTE)
        .lease_ttl(LEASE)
        .idle_poll(10 * SECOND)
        .retry(retry)
        // The kills are not the events' fault.
        .suspect_limit(u32::MAX)
}

fn downloader(setup: &Setup, client: Client) -> Downloader {
    let retry = RetryPolicy::default()
        .with_first_delay(Duration::from_millis(20))
        .with_max_delay(Duration::from_millis(100));
    Downloader::in_directory(&setup.videos)
        .with_reserve(0)
        .with_retry(retry)
        .with_idle_timeout(2 * SECOND)
        .with_min_rate(0)
        .refresh_with(client)
        .dangerous()
        .allow_http()
        .dangerous()
        .allow_networks(["127.0.0.1"])
        .build()
        .unwrap()
}

#[derive(Clone)]
struct Handler {
    journal: Journal,
    downloader: Option<Downloader>,
}

impl Handler {
    async fn handle(self, delivery: Delivery<MusicVideo>) -> Result<(), HandlerError> {
        let (task, rank) = (delivery.event.task_id.clone(), delivery.rank());
        let url = match &delivery.event.outcome {
            Outcome::Succeeded { video_url } => Some(video_url.clone()),
            Outcome::Failed(_) => None,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        self.journal.write(&Line::Begin(Given {
            task: task.clone(),
            rank,
            attempt: delivery.attempt(),
            at: u64::try_from(now.as_millis()).unwrap(),
            code: delivery.event.code,
            url: url.clone(),
            correlation: delivery.correlation().map(str::to_owned),
            polled: delivery.source() == Source::Poll,
        }));
        let worked = self.work(&task, url).await;
        self.journal.write(&match worked {
            Ok(()) => Line::End { task, rank },
            Err(_) => Line::Failed { task, rank },
        });
        worked
    }

    async fn work(&self, task: &str, url: Option<String>) -> Result<(), HandlerError> {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..50))).await;
        if fastrand::u8(0..10) == 0 {
            return Err("an attempt that fails".into());
        }
        if let (Some(downloader), Some(url)) = (&self.downloader, url) {
            downloader.fetch(task, url).await?;
        }
        Ok(())
    }
}

/// Somebody who ordered a video, and asks for it again after each restart.
struct Order {
    number: usize,
    submitter: Submitter,
    clock: Clock,
    journal: Journal,
}

impl Order {
    async fn see_through(self) {
        self.clock
            .sleep(Duration::from_millis(fastrand::u64(0..60_000)))
            .await;
        loop {
            let submission = self.submit().await;
            match submission.wait().await {
                Ok(event) => {
                    return self.journal.write(&Line::Waited {
                        order: order(self.number),
                        task: event.task_id,
                    });
                }
                Err(error) => match error.kind() {
                    WaitErrorKind::Dead => {
                        return self.journal.write(&Line::GivenUp {
                            order: order(self.number),
                            reason: error.reason().unwrap_or_default().to_owned(),
                        });
                    }
                    // The provider has refused it, or the store is busy.
                    WaitErrorKind::Gone | WaitErrorKind::Store => {}
                    _ => self.surprise(&error),
                },
            }
        }
    }

    async fn submit(&self) -> Submission {
        let request = GenerateRequest::new("music-1", track(self.number));
        loop {
            match self.submitter.submit(&request, order(self.number)).await {
                Ok(submission) => return submission,
                Err(error) => match error.kind() {
                    SubmitErrorKind::Invalid | SubmitErrorKind::AnotherRequest => {
                        self.surprise(&error);
                    }
                    // Not submitted, or perhaps: under the same id it can be asked for again.
                    _ => {}
                },
            }
            self.clock.sleep(5 * SECOND).await;
        }
    }

    fn surprise(&self, error: &impl std::fmt::Debug) {
        let what = format!("{}: {error:?}", order(self.number));
        self.journal.write(&Line::Surprise(what));
    }
}
