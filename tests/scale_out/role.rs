//! What a process of the fleet is told when it is started, and how it begins and ends.

use std::{io::Write, path::PathBuf, process::ExitCode, thread, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tower_callback::BoxError;

use crate::{front, worker};

pub(crate) const ENDPOINT: &str = "music-video";
pub(crate) const PATH: &str = "/music-video-callback";

const VARIABLE: &str = "TOWER_CALLBACK_TEST_SCALE_OUT";

/// What a process is told when it is started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) engine: Engine,
    /// Another one in each test, so that no test's callbacks get through at another's.
    pub(crate) secret: String,
    /// Where workers write down what they do.
    pub(crate) journal: PathBuf,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Role {
    Front {
        port: u16,
        ack_deadline: Duration,
        /// Where to keep records while the engine is away.
        spool: Option<PathBuf>,
    },
    Worker {
        lease_ttl: Duration,
        /// The longest that a handler takes.
        handler: Duration,
        /// How many of a hundred attempts fail.
        failing: u32,
        /// Handlers go on when this file is there.
        hold: Option<PathBuf>,
        /// Whether a task of this name ends the process, which is given up after so many leases have
        /// expired.
        poison: Option<(String, u32)>,
    },
}

/// Where the engine is, as this process sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Engine {
    Postgres { url: String },
    Redis { url: String },
}

impl Setup {
    pub(crate) fn given() -> Option<Self> {
        let json = std::env::var(VARIABLE).ok()?;
        Some(serde_json::from_str(&json).unwrap())
    }

    /// For the environment of a process that is to play the role.
    pub(crate) fn variable(&self) -> (&'static str, String) {
        (VARIABLE, serde_json::to_string(self).unwrap())
    }
}

/// Plays a role until it is terminated, or killed.
pub(crate) fn run(setup: &Setup) -> ExitCode {
    end_with_parent();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let played = runtime.block_on(async {
        let stop = terminated()?;
        match &setup.role {
            Role::Front { .. } => front::run(setup, stop).await,
            Role::Worker { .. } => worker::run(setup, stop).await,
        }
    });
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{} ends: {error:?}", setup.name);
            ExitCode::FAILURE
        }
    }
}

/// A test that is interrupted leaves nobody behind: its end of our standard input is closed then.
#[allow(clippy::exit, reason = "as abrupt as the kill that did not come")]
fn end_with_parent() {
    thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(1);
    });
}

/// Becomes true when the process is asked to end in order.
fn terminated() -> Result<watch::Receiver<bool>, BoxError> {
    let mut signal = signal(SignalKind::terminate())?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        signal.recv().await;
        stop.send_replace(true);
        stop.closed().await;
    });
    Ok(stopped)
}

pub(crate) async fn until(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Tells the test that the role is being played.
pub(crate) fn tell_serving() -> Result<(), BoxError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "serving")?;
    Ok(out.flush()?)
}

/// Repeats it until it succeeds: an engine may be away while a process starts.
pub(crate) async fn at_last<T, E, F: Future<Output = Result<T, E>>>(
    mut call: impl FnMut() -> F,
) -> T {
    loop {
        if let Ok(answer) = call().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
