//! The provider that the example talks to, what came of its orders, and whether that is right.

use std::{fs, path::PathBuf, sync::Mutex, time::Duration};

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tower_callback::{
    BoxError, Clock, Delivery, MusicVideo, SqliteStore,
    download::Video,
    event::Source,
    music_video::Outcome,
    store::{Inspect, Queue},
    testing::provider::{
        SimulatedProvider, SimulationReport, TaskFault, TaskPlan, TaskReport, Truth,
    },
};

/// How much faster than ours the provider's time runs: its minute is two seconds.
const SPEED: u32 = 30;

/// One that is called back as a success, one that fails, and one whose callbacks never come.
pub(crate) const TRACKS: [&str; 3] = ["ready", "failed", "quiet"];

pub(crate) struct Demonstration {
    provider: SimulatedProvider,
    clock: Clock,
    directory: PathBuf,
    /// Removed at the end, if this is for once.
    temporary: Option<TempDir>,
    handled: mpsc::UnboundedSender<Handled>,
    events: Mutex<mpsc::UnboundedReceiver<Handled>>,
}

/// What the handler was given.
#[derive(Debug)]
pub(crate) struct Handled {
    pub(crate) order: Option<String>,
    pub(crate) task: String,
    pub(crate) source: Source,
}

/// What came of an order.
pub(crate) struct Ended {
    pub(crate) order: String,
    pub(crate) event: MusicVideo,
    pub(crate) video: Option<Video>,
}

impl Handled {
    pub(crate) fn of(delivery: &Delivery<MusicVideo>) -> Self {
        Self {
            order: delivery.correlation().map(str::to_owned),
            task: delivery.event.task_id.clone(),
            source: delivery.source(),
        }
    }
}

impl Demonstration {
    /// Does what the command line says, and starts the provider.
    pub(crate) async fn from_arguments() -> Result<Self, BoxError> {
        let mut directory = PathBuf::from("full_loop");
        let mut temporary = None;
        for argument in std::env::args().skip(1) {
            if argument == "--once" {
                let made = tempfile::tempdir()?;
                directory = made.path().to_owned();
                temporary = Some(made);
            } else if argument.starts_with('-') {
                return Err(format!("{argument}: give --once, or a path, or nothing").into());
            } else {
                directory = argument.into();
            }
        }
        fs::create_dir_all(&directory)?;
        let clock = Clock::scaled(SPEED);
        let seconds = Duration::from_secs;
        let provider = SimulatedProvider::builder()
            .clock(clock.clone())
            .plan_with(move |submitted| {
                Some(match submitted.audio_id {
                    // Its first downloads break off, and are taken up where they were.
                    "ready" => TaskPlan::new()
                        .after(seconds(30))
                        .video_bytes(4 << 20)
                        .with(TaskFault::VideoCut),
                    "failed" => TaskPlan::failing(451, "no audio").after(seconds(45)),
                    _ => TaskPlan::new()
                        .after(seconds(20))
                        .video_bytes(2 << 20)
                        .with(TaskFault::Silent),
                })
            })
            .start()
            .await?;
        let (handled, events) = mpsc::unbounded_channel();
        Ok(Self {
            provider,
            clock,
            directory,
            temporary,
            handled,
            events: Mutex::new(events),
        })
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    pub(crate) fn base_url(&self) -> &str {
        self.provider.base_url()
    }

    pub(crate) fn api_key(&self) -> &str {
        self.provider.api_key()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.directory.join("full_loop.db")
    }

    pub(crate) fn videos(&self) -> PathBuf {
        self.directory.join("videos")
    }

    /// Where the handler tells what it was given.
    pub(crate) fn handled(&self) -> mpsc::UnboundedSender<Handled> {
        self.handled.clone()
    }

    /// Waits until every event is handled, and no task is tracked any more.
    pub(crate) async fn settled(&self, store: &SqliteStore) -> Result<(), BoxError> {
        let settled = async {
            loop {
                let events = store.counts(&Queue::events("music-video")).await?;
                let tracked = store.counts(&Queue::tracked("music-video")).await?;
                if events.pending + events.leased + tracked.pending + tracked.leased == 0 {
                    return Ok(());
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(20), settled).await?
    }

    /// Prints what came of the orders, and compares it with what the provider knows if this is for once.
    pub(crate) async fn finish(
        self,
        mut ended: Vec<Ended>,
        store: &SqliteStore,
    ) -> Result<(), BoxError> {
        let videos = self.videos();
        let report = self.provider.stop().await;
        let mut events = self.events.into_inner()?;
        events.close();
        let mut handled = Vec::new();
        while let Some(event) = events.recv().await {
            handled.push(event);
        }
        ended.sort_by(|a, b| b.order.cmp(&a.order));
        println!();
        for order in &ended {
            println!("{}", summary(order, &handled));
        }
        if self.temporary.is_none() {
            println!("\nthe videos are in {}", videos.display());
            return Ok(());
        }
        println!("\n{report}\n");

        let done = store.counts(&Queue::events("music-video")).await?;
        let files = fs::read_dir(&videos)?.count();
        let sources = [
            ("ready", Source::Callback),
            ("failed", Source::Callback),
            ("quiet", Source::Poll),
        ];
        let checks = [
            ("events done", done.done == 3 && done.dead == 0),
            ("calls of the handler", handled.len() == 3),
            (
                "sources",
                (sources.iter()).all(|(track, source)| {
                    let is_its = |it: &&Handled| it.order == Some(format!("order-{track}"));
                    handled
                        .iter()
                        .filter(is_its)
                        .map(|it| it.source)
                        .eq([*source])
                }),
            ),
            ("orders", ended.len() == 3 && report.tasks().len() == 3),
            ("ends", ended.iter().all(|order| is_right(order, &report))),
            ("videos", files == 2),
            ("paid twice", report.paid_twice().count() == 0),
            ("calls of generate", report.calls().generate == 3),
        ];
        match checks.into_iter().find(|(_, is_right)| !is_right) {
            Some((what, _)) => Err(format!("{what}: not as it should be: {handled:?}").into()),
            None => {
                println!("handled 3, by callback 2, by polling 1, videos 2: the counts are right");
                Ok(())
            }
        }
    }
}

/// `order-quiet   succeeded, told by poll       2097152 bytes  SHA-256 …`
fn summary(order: &Ended, handled: &[Handled]) -> String {
    let outcome = match &order.event.outcome {
        Outcome::Succeeded { .. } => "succeeded",
        Outcome::Failed(_) => "failed",
    };
    let task = &order.event.task_id;
    let source = match handled
        .iter()
        .find(|it| it.task == *task)
        .map(|it| it.source)
    {
        Some(Source::Poll) => "by polling",
        Some(_) => "by callback",
        None => "in an earlier run",
    };
    let video = match &order.video {
        Some(Video {
            length,
            sha256: Some(digest),
            ..
        }) => format!("{length} bytes, SHA-256 {digest}"),
        Some(Video { length, .. }) => format!("{length} bytes, there already"),
        None => order.event.msg.clone(),
    };
    format!("{:<13} {outcome:<10} {source:<18} {video}", order.order)
}

/// Whether an order ended as the provider says, with the very file that it serves.
fn is_right(order: &Ended, report: &SimulationReport) -> bool {
    let Some(task) = report.task(&order.event.task_id) else {
        return false;
    };
    let is_its = order.order == format!("order-{}", task.audio_id);
    is_its
        && match (&order.event.outcome, task.truth) {
            (Outcome::Succeeded { .. }, Truth::Succeeded) => is_whole(order, task),
            (Outcome::Failed(_), Truth::Failed { code }) => order.event.code == code,
            _ => false,
        }
}

fn is_whole(order: &Ended, task: &TaskReport) -> bool {
    let (Some(fetched), Some(served)) = (&order.video, &task.video) else {
        return false;
    };
    let Some(Ok(bytes)) = fetched.file.as_ref().map(fs::read) else {
        return false;
    };
    let on_disk: [u8; 32] = Sha256::digest(&bytes).into();
    let told = fetched.sha256.as_ref().map(|digest| *digest.as_bytes());
    fetched.length == served.length() && on_disk == served.sha256() && told == Some(on_disk)
}
