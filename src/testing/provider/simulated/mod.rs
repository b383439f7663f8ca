//! The provider as a service: it is submitted to, asked, and calls back.

mod answer;
mod builder;
mod connection;
mod details;
mod fate;
mod file_body;
mod files;
mod generate;
mod limit;
mod range;
mod render;
mod report;
mod submitted;
mod task_fault;
mod task_plan;
mod times;
mod video;
mod world;

use std::{fmt, io, net::Ipv4Addr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};

use self::world::World;
pub use self::{
    builder::SimulatedProviderBuilder,
    report::{Calls, SimulationReport, TaskReport, TrackReport, Truth},
    submitted::Submitted,
    task_fault::{TaskFault, TaskFaults},
    task_plan::TaskPlan,
    times::TimeFormat,
    video::Video,
};

/// A provider to submit to, on 127.0.0.1: it renders tasks, calls back, tells of them, and serves
/// the videos.
///
/// ```no_run
/// use tower_callback::{Clock, testing::provider::{SimulatedProvider, TaskFault, TaskPlan}};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let provider = SimulatedProvider::builder()
///     .clock(Clock::scaled(60))
///     .seed(7)
///     .task(TaskPlan::new())
///     .task(TaskPlan::failing(451, "no audio"))
///     .task(TaskPlan::new().with(TaskFault::Silent))
///     .start()
///     .await?;
/// println!("submit to {} with the key {}", provider.base_url(), provider.api_key());
///
/// // … submit three tasks …
///
/// provider.until_idle().await;
/// let report = provider.stop().await;
/// println!("{report}");
/// assert_eq!(report.paid_twice().count(), 0);
/// # Ok(())
/// # }
/// ```
///
/// # What it serves
///
/// - `POST /api/v1/mp4/generate` and `GET /api/v1/mp4/record-info?taskId=…`, with the API key as a
///   bearer token. The HTTP status is always 200, and the code in the body is the result.
/// - `/videos/….mp4`, under the URLs that callbacks and details bring: `GET` and `HEAD`, with `Range`,
///   `If-Range` and `ETag`.
///
/// Callbacks go to the `callBackUrl` of each submission, which must be plain `http://`.
///
/// # What a seed decides
///
/// What becomes of a submission follows from the seed, its music task and its track, and not from
/// when it comes or what comes beside it. Two exceptions are made by choice: the plans given with
/// [`task`](SimulatedProviderBuilder::task) go by the order of submissions, and the clock decides
/// what is seen of a task that has not ended.
///
/// # Stopping
///
/// All its tasks end when it is stopped or dropped, with all their connections.
#[must_use = "a provider stops when it is dropped"]
pub struct SimulatedProvider {
    world: Arc<World>,
    tasks: JoinSet<()>,
}

impl SimulatedProvider {
    /// A provider on real time where nothing goes wrong, to be changed before it starts.
    pub fn builder() -> SimulatedProviderBuilder {
        SimulatedProviderBuilder::new()
    }

    async fn start(builder: SimulatedProviderBuilder) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, builder.port)).await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let (renders, submitted) = mpsc::unbounded_channel();
        let world = Arc::new(World::new(builder, base_url, renders));
        let mut tasks = JoinSet::new();
        tasks.spawn(run(Arc::clone(&world), listener, submitted));
        Ok(Self { world, tasks })
    }

    /// Where the API is: `http://127.0.0.1:…`.
    pub fn base_url(&self) -> &str {
        &self.world.base_url
    }

    /// The key that callers must present.
    pub fn api_key(&self) -> &str {
        &self.world.api_key
    }

    /// From now on, no task that ends is called back about: what a broken callback URL looks like. What
    /// is under way goes on.
    pub fn stop_callbacks(&self) {
        self.world.state().silent = true;
    }

    /// Calls back again about tasks that end from now on.
    pub fn resume_callbacks(&self) {
        self.world.state().silent = false;
    }

    /// What has happened so far.
    pub fn report(&self) -> SimulationReport {
        SimulationReport::of(&self.world)
    }

    /// Waits until every task that was submitted has ended, and each callback was received or given up.
    /// With the provider's own schedule, giving up takes 22 minutes of its clock.
    pub async fn until_idle(&self) {
        let mut busy = self.world.busy.subscribe();
        // An error would mean that the sender is gone, and `self` holds it.
        let _ = busy.wait_for(|busy| *busy == 0).await;
    }

    /// Closes all connections, and says what has happened.
    pub async fn stop(mut self) -> SimulationReport {
        self.tasks.shutdown().await;
        self.report()
    }
}

/// Before the next connection is accepted when one could not be.
const PAUSE: Duration = Duration::from_millis(10);

/// Serves until it is dropped, and takes everything along that it has started.
async fn run(
    world: Arc<World>,
    listener: TcpListener,
    mut submitted: mpsc::UnboundedReceiver<usize>,
) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Small answers are not worth waiting for more; a failure costs only time.
                    let _ = stream.set_nodelay(true);
                    tasks.spawn(connection::serve(Arc::clone(&world), stream));
                }
                // The caller is gone, or this process has too many files open, which passes.
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
            Some(number) = submitted.recv() => {
                tasks.spawn(render::render(Arc::clone(&world), number));
            }
            Some(_) = tasks.join_next() => {}
        }
    }
}

impl fmt::Debug for SimulatedProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedProvider")
            .field("base_url", &self.world.base_url)
            .finish_non_exhaustive()
    }
}
