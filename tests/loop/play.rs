//! One seed, from the first order to the last record.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::sleep;
use tower_callback::{
    Clock,
    music_video::GenerateRequest,
    store::{Counts, Inspect, Queue},
    testing::provider::{
        Fault, Faults, Schedule, SimulatedProvider, TaskFault, TaskFaults, TaskPlan, TimeFormat,
    },
};

use crate::{
    books::Books,
    files,
    forger::{Forged, Forger},
    journal::Line,
    receiver::{ENDPOINT, PATH, Place, Receiver, open},
    service,
    setup::{Mode, ORDERS, SPEED, Setup, order_of},
    tally::Tally,
    verdict::Verdict,
};

/// Tasks that are submitted elsewhere, and called back to nobody.
const ELSEWHERE: usize = 2;

/// What happened, and what should not have.
pub(crate) async fn play(seed: u64, mode: Mode) -> (Tally, Vec<String>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let clock = Clock::scaled(SPEED);
    let provider = Arc::new(provider(seed, mode, clock.clone()).await);
    let place = Place::new();
    let setup = Setup {
        mode,
        database: place.database(),
        journal: place.note("journal"),
        phase: place.note("phase"),
        videos: place.file("videos"),
        provider: provider.base_url().to_owned(),
        api_key: provider.api_key().to_owned(),
        callback_url: format!("http://{}{PATH}", place.address()),
        elsewhere: submit_elsewhere(&provider, clock).await,
    };
    let mut forger = Forger {
        provider: Arc::clone(&provider),
        to: place.address(),
        mode,
        random: random.fork(),
        told: HashMap::new(),
        forged: Forged::default(),
    };
    let mut books = Books::new(&setup);
    let mut tally = Tally::default();

    for _ in 0..random.u32(3..=6) {
        let process = start(&place, &setup);
        // One of five may be killed while it starts.
        if random.u8(0..5) > 0 {
            serving(&process).await;
            forger.lie().await;
        }
        sleep(Duration::from_millis(random.u64(0..700))).await;
        process.kill();
        tally.kills += 1;
        books.look(&place).await;
        if mode.downloads() {
            books
                .wrongs
                .extend(files::not_whole(&setup.videos, &provider.report()));
        }
    }

    let process = start(&place, &setup);
    serving(&process).await;
    let ended = end(&setup, &provider, &mut forger).await;
    process.kill();
    books.look(&place).await;
    if mode.downloads() {
        let report = provider.report();
        books.wrongs.extend(files::missing(&setup, &report).await);
        books
            .wrongs
            .extend(files::not_whole(&setup.videos, &report));
    }
    let store = open(&place.database()).await;
    let report = provider.report();
    let verdict = Verdict::new(&setup, &report, &store, books);
    let mut wrongs = verdict.wrongs(&mut tally).await;
    if let Err(never) = ended {
        wrongs.push(never);
    }
    tally.hints += forger.forged.hints;
    tally.refused += forger.forged.refused;
    wrongs.append(&mut forger.forged.wrongs);
    (tally, wrongs)
}

fn start(place: &Place, setup: &Setup) -> Receiver {
    place.spawn(&[], setup.variable(), setup.phase.clone())
}

async fn serving(process: &Receiver) {
    while process.phase().pid == 0 {
        sleep(Duration::from_millis(5)).await;
    }
}

/// Whatever goes wrong passes in the end, so that whoever goes on asking learns the truth.
async fn provider(seed: u64, mode: Mode, clock: Clock) -> SimulatedProvider {
    let mut task_faults = TaskFaults::all(0.2)
        .with(TaskFault::CallbackException, 0.1)
        .with(TaskFault::Fails, 0.3);
    if mode.confirms() {
        // Then a hint is all that there is, for a while.
        task_faults = task_faults
            .with(TaskFault::AnswerCut, 0.4)
            .with(TaskFault::DetailsUnseen, 0.5);
    }
    if mode.downloads() {
        let videos = [
            TaskFault::VideoCut,
            TaskFault::VideoSlow,
            TaskFault::VideoTooLong,
            TaskFault::UrlExpires,
        ];
        for fault in videos {
            task_faults = task_faults.with(fault, 0.5);
        }
        task_faults = task_faults.with(TaskFault::Fails, 0.0);
    }
    let minutes = [0.5, 2.0, 5.0].map(|minutes| Duration::from_secs_f64(minutes * 60.0));
    let mut builder = SimulatedProvider::builder()
        .clock(clock)
        .seed(seed)
        .schedule(Schedule::new(Duration::from_secs(120), minutes))
        .faults(Faults::all(0.25).with(Fault::Duplicate, 0.4))
        .task_faults(task_faults)
        .times(TimeFormat::Mixed)
        .plan_with(|submitted| plan(submitted.audio_id));
    if !mode.resubmits() {
        // Whatever is submitted twice is paid twice.
        builder = builder.accept_repeats();
    }
    builder.start().await.unwrap()
}

/// What does not go by the seed alone.
fn plan(track: &str) -> Option<TaskPlan> {
    match order_of(track) {
        // Nothing to pay with, at first: its id is free again then.
        Some("order-0" | "order-4") => Some(TaskPlan::new().refused(402, 1)),
        Some(_) => None,
        None => Some(
            TaskPlan::new()
                .with(TaskFault::Silent)
                .with(TaskFault::DetailsUnseen),
        ),
    }
}

/// Submits as somebody would who has nothing of ours but the client, and gives the tasks.
async fn submit_elsewhere(provider: &SimulatedProvider, clock: Clock) -> Vec<String> {
    let client = service::client(provider.base_url(), provider.api_key(), clock).unwrap();
    let mut tasks = Vec::new();
    for number in 0..ELSEWHERE {
        let track = format!("elsewhere-{number}");
        let request = GenerateRequest::new("music-1", &*track);
        loop {
            // Whatever the answer is: the provider's own books say what it did.
            let _ = client.generate(&request, "http://127.0.0.1:9/").await;
            let report = provider.report();
            let there = report.tasks().iter().find(|task| task.audio_id == track);
            if let Some(task) = there {
                tasks.push(task.task_id.to_string());
                break;
            }
        }
    }
    tasks
}

/// Waits until nothing is left to be done by anybody.
async fn end(
    setup: &Setup,
    provider: &SimulatedProvider,
    forger: &mut Forger,
) -> Result<(), String> {
    let store = open(&setup.database).await;
    let patience = tokio::time::Instant::now() + Duration::from_secs(60);
    let mut quiet = 0;
    while quiet < 3 {
        forger.lie().await;
        let lines = Line::read(&setup.journal);
        let last = lines.iter().rposition(|line| *line == Line::Start);
        let waited = lines[last.unwrap_or(0)..].iter();
        let waited =
            waited.filter(|line| matches!(line, Line::Waited { .. } | Line::GivenUp { .. }));
        let mut open = 0;
        for queue in [Queue::events(ENDPOINT), Queue::tracked(ENDPOINT)] {
            let Counts {
                pending, leased, ..
            } = store.counts(&queue).await.unwrap();
            open += pending + leased;
        }
        let idle = tokio::time::timeout(Duration::ZERO, provider.until_idle());
        let is_quiet = waited.count() == ORDERS && open == 0 && idle.await.is_ok();
        quiet = if is_quiet { quiet + 1 } else { 0 };
        if tokio::time::Instant::now() > patience {
            return Err(format!(
                "it goes on after a minute: {open} records are open"
            ));
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
