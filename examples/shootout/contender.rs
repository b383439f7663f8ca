//! Starts a receiver as a process of its own.

use std::{env, io, net::SocketAddr, path::PathBuf, process::Stdio, time::Duration};

use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep},
};
use tower_callback::BoxError;

use super::Work;

/// The longest that a receiver may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) enum Contender {
    /// With the path of its script.
    Express(PathBuf),
    Naive,
    Ours,
}

impl Contender {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Express(_) => "Express, as documented",
            Self::Naive => "axum and a `HashSet`",
            Self::Ours => "`tower-callback`, SQLite",
        }
    }

    fn command(&self) -> io::Result<Command> {
        let (program, role) = match self {
            Self::Express(script) => ("node".into(), script.as_os_str()),
            Self::Naive => (env::current_exe()?, "naive".as_ref()),
            Self::Ours => (env::current_exe()?, "ours".as_ref()),
        };
        let mut command = Command::new(program);
        command.arg(role);
        Ok(command)
    }

    /// Starts it, and waits until it listens. It is killed when the process is dropped.
    pub(super) async fn start(&self, address: SocketAddr, work: &Work) -> Result<Child, BoxError> {
        let mut process = self
            .command()?
            .arg(address.to_string())
            .arg(work.journal())
            .arg(work.speed().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // Express writes a stack trace for each body that is no JSON.
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address).await.is_err() {
            if process.try_wait()?.is_some() || Instant::now() > end {
                return Err(format!("{} did not start", self.name()).into());
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(process)
    }
}
