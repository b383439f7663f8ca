//! Whole receivers over real sockets, each in a process of its own on one core, with the load on
//! another: fresh for each kind of traffic, and all of them in each round.

mod chart;
mod contestants;
mod load;
mod node;
mod report;
mod server;
mod traffic;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tower_callback::BoxError;

use self::{
    contestants::{ALL, Contestant, Place, Program},
    load::{End, Load},
    report::{Report, Sample},
    server::{Server, ourselves},
    traffic::Traffic,
};
use crate::{
    cores::Cores,
    databases::{self, postgres::Postgres, redis::Redis},
    docs::Docs,
    machine,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often everything is measured
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds for each measurement
    #[arg(long, default_value_t = 1.5)]
    seconds: f64,
    /// One round of a tenth of a second each: to see that everything works, not how fast
    #[arg(long)]
    quick: bool,
    /// Only servers whose name has this in it, beside bare hyper
    #[arg(long, default_value = "")]
    only: String,
    /// The directory for the figures (JSON) and the chart (SVG)
    #[arg(long, default_value = "target/benches")]
    out: PathBuf,
}

const CONNECTIONS: usize = 64;
const MANY: u64 = 1_700_000;
const MANY_PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn run(options: &Options, docs: &Docs) -> Result<(), BoxError> {
    // Before this process is kept on one of the cores.
    let machine = machine::describe();
    let harness = Harness::new(options)?;
    let rounds = if options.quick { 1 } else { options.rounds };
    let mut samples = Vec::new();
    for round in 1..=rounds {
        for traffic in Traffic::ALL {
            // It takes long, and its latencies say the same every time.
            if traffic == Traffic::Many && (options.quick || round > 1) {
                continue;
            }
            for contestant in &harness.contestants {
                if contestant.traffic.contains(&traffic) {
                    samples.push(harness.measure(contestant, traffic, round)?);
                }
            }
        }
    }
    let report = Report {
        samples: &samples,
        contestants: &harness.contestants,
    };
    docs.section("machine", &machine)?;
    docs.section("e2e", &report.markdown())?;
    save(&options.out, docs.picture(), &report)
}

fn save(directory: &Path, picture: Option<PathBuf>, report: &Report<'_>) -> Result<(), BoxError> {
    fs::create_dir_all(directory)?;
    let figures = directory.join("e2e.json");
    fs::write(
        &figures,
        serde_json::to_string_pretty(report.samples)? + "\n",
    )?;
    let bars: Vec<(&str, f64)> = report
        .contestants
        .iter()
        .filter_map(|contestant| {
            let per_second = report.per_second(contestant.name, Traffic::Unique)?;
            Some((contestant.name, per_second))
        })
        .collect();
    let picture = picture.unwrap_or_else(|| directory.join("e2e.svg"));
    chart::draw(
        &picture,
        "Callbacks a second on one core, unique ids",
        &bars,
    )?;
    println!(
        "Figures: {}, chart: {}",
        figures.display(),
        picture.display()
    );
    Ok(())
}

struct Harness {
    cores: Cores,
    contestants: Vec<Contestant>,
    warm_up: Duration,
    time: Duration,
    postgres: Option<Postgres>,
    redis: Option<Redis>,
    runtime: Runtime,
}

impl Harness {
    fn new(options: &Options) -> Result<Self, BoxError> {
        let cores = Cores::of_this_process()?;
        cores.leave_to_server()?;
        let wanted = |contestant: &&Contestant| {
            contestant.name == "bare hyper" || contestant.name.contains(&options.only)
        };
        let mut contestants: Vec<Contestant> = ALL.iter().filter(wanted).copied().collect();
        let has_node = contestants.iter().any(is_node) && node::is_there();
        let needs = |place| {
            contestants
                .iter()
                .any(|contestant| contestant.place == place)
        };
        let postgres = needs(Place::Postgres).then(databases::postgres).flatten();
        let redis = needs(Place::Redis).then(databases::redis).flatten();
        contestants.retain(|contestant| match contestant.place {
            Place::Nowhere => has_node || !is_node(contestant),
            Place::File => true,
            Place::Postgres => postgres.is_some(),
            Place::Redis => redis.is_some(),
        });
        let (warm_up, time) = if options.quick {
            (0.05, 0.1)
        } else {
            (0.3, options.seconds)
        };
        Ok(Self {
            cores,
            contestants,
            warm_up: Duration::from_secs_f64(warm_up),
            time: Duration::from_secs_f64(time),
            postgres,
            redis,
            runtime: Builder::new_current_thread().enable_all().build()?,
        })
    }

    fn measure(
        &self,
        contestant: &Contestant,
        traffic: Traffic,
        round: u32,
    ) -> Result<Sample, BoxError> {
        eprintln!("round {round}, {}: {}", traffic.title(), contestant.name);
        let (command, _place) = self.command(contestant)?;
        let server = Server::start(command, self.cores)?;
        let load = Load {
            connections: CONNECTIONS,
            warm_up: self.warm_up,
            end: match traffic {
                Traffic::Many => End::Answers(MANY, MANY_PATIENCE),
                _ => End::After(self.time),
            },
            expected: traffic.expected(contestant.refuses),
        };
        let mut before = 0.0;
        let begin = || before = server.processor_time();
        let measured = load
            .run(server.address(), traffic.source(), begin)
            .map_err(|error| format!("{}, {}: {error}", contestant.name, traffic.title()))?;
        let busy = server.processor_time() - before;
        let quantile = |quantile| measured.latencies.value_at_quantile(quantile) as f64 / 1000.0;
        Ok(Sample {
            round,
            server: contestant.name,
            traffic,
            answers: measured.answers,
            per_second: measured.per_second(),
            p50: quantile(0.5),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: measured.latencies.max() as f64 / 1000.0,
            microseconds: busy / measured.answers as f64,
            peak_mib: server.peak_memory() as f64 / 1024.0,
        })
    }

    /// How a receiver is started, with a place of its own, which goes when the second part does.
    fn command(&self, contestant: &Contestant) -> Result<(Command, Option<TempDir>), BoxError> {
        let receiver = match contestant.program {
            Program::Node(script) => return Ok((node::command(script), None)),
            Program::Ours(receiver) => receiver,
        };
        let mut command = ourselves()?;
        let value = clap::ValueEnum::to_possible_value(&receiver).ok_or("it has no name")?;
        command.args(["serve", value.get_name()]);
        match (contestant.place, &self.postgres, &self.redis) {
            (Place::File, ..) => {
                let directory = tempfile::tempdir()?;
                command.arg("--at").arg(directory.path().join("callbacks"));
                return Ok((command, Some(directory)));
            }
            (Place::Postgres, Some(postgres), _) => {
                let database = self.runtime.block_on(postgres.database());
                command.args(["--at", &postgres.url(&database)]);
            }
            (Place::Redis, _, Some(redis)) => {
                command.args(["--at", &redis.url(), "--name", &redis.name()]);
            }
            _ => (),
        }
        Ok((command, None))
    }
}

fn is_node(contestant: &Contestant) -> bool {
    matches!(contestant.program, Program::Node(_))
}
