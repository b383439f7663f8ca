//! Fronts and workers in processes of their own, each behind a proxy of its own.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use crate::{
    calls::Way,
    engine::Server,
    journal,
    role::{Role, Setup},
    servers::{free_port, loopback, proxy::Proxy},
};

/// What is never reached if all goes right.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) const FRONTS: usize = 3;
pub(crate) const WORKERS: usize = 2;

/// How the processes of a fleet are.
pub(crate) struct Style {
    pub(crate) lease_ttl: Duration,
    pub(crate) handler: Duration,
    pub(crate) failing: u32,
    pub(crate) ack_deadline: Duration,
    pub(crate) spooled: bool,
}

/// Fronts first, and then workers.
pub(crate) struct Fleet {
    pub(crate) members: Vec<Member>,
    pub(crate) ways: Vec<Way>,
    notes: TempDir,
}

impl Fleet {
    /// Starts everybody, and waits until they serve.
    pub(crate) async fn start(server: &Server, style: &Style) -> Self {
        let notes = tempfile::tempdir().unwrap();
        let secret = format!("{:032x}", fastrand::u128(..));
        let mut members = Vec::new();
        let mut ways = Vec::new();
        for number in 0..FRONTS {
            let name = format!("front-{number}");
            let port = free_port();
            ways.push(Way::to(loopback(port), &secret));
            let spool = style
                .spooled
                .then(|| notes.path().join(format!("{name}.db")));
            members.push((
                name,
                Role::Front {
                    port,
                    ack_deadline: style.ack_deadline,
                    spool,
                },
            ));
        }
        for number in 0..WORKERS {
            let role = Role::Worker {
                lease_ttl: style.lease_ttl,
                handler: style.handler,
                failing: style.failing,
                hold: None,
                poison: None,
            };
            members.push((format!("worker-{number}"), role));
        }
        let journal = notes.path().join("journal");
        let mut members: Vec<_> = members
            .into_iter()
            .map(|(name, role)| Member::new(server, name, role, &secret, &journal))
            .collect();
        for member in &mut members {
            member.start();
        }
        for member in &mut members {
            member.serving().await;
        }
        Self {
            members,
            ways,
            notes,
        }
    }

    pub(crate) fn journal(&self) -> Vec<journal::Line> {
        journal::read(&self.notes.path().join("journal"))
    }

    /// Lets everything through again, and waits until everybody serves.
    pub(crate) async fn heal(&mut self) {
        for member in &mut self.members {
            member.proxy.pass();
            member.serving().await;
        }
    }

    /// Ends everybody in order.
    pub(crate) async fn stop(&mut self) {
        for member in &mut self.members {
            member.terminate().await;
        }
    }
}

/// A process, and the proxy that it reaches the engine through.
pub(crate) struct Member {
    setup: Setup,
    pub(crate) proxy: std::sync::Arc<Proxy>,
    child: Option<Child>,
    /// Where a process that was started says that it serves.
    says: Option<Lines<BufReader<ChildStdout>>>,
}

impl Member {
    pub(crate) fn new(
        server: &Server,
        name: String,
        role: Role,
        secret: &str,
        journal: &Path,
    ) -> Self {
        let proxy = Proxy::to(server.address());
        let setup = Setup {
            name,
            role,
            engine: server.at(proxy.address()),
            secret: secret.to_owned(),
            journal: PathBuf::from(journal),
        };
        Self {
            setup,
            proxy: std::sync::Arc::new(proxy),
            child: None,
            says: None,
        }
    }

    pub(crate) fn start(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let (name, value) = self.setup.variable();
        let mut child = Command::new(env::current_exe().unwrap())
            .env(name, value)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        self.says = Some(BufReader::new(child.stdout.take().unwrap()).lines());
        self.child = Some(child);
    }

    /// Waits until it plays its role.
    pub(crate) async fn serving(&mut self) {
        let Some(mut says) = self.says.take() else {
            return;
        };
        let line = timeout(PATIENCE, says.next_line()).await;
        let line = line.expect("it never serves").unwrap();
        assert_eq!(line.as_deref(), Some("serving"), "{}", self.setup.name);
    }

    /// Kills it, at whatever it is.
    pub(crate) async fn kill(&mut self) {
        self.says = None;
        self.child.take().unwrap().kill().await.unwrap();
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        let child = self.child.as_mut().unwrap();
        let ended = child.try_wait().unwrap().is_some();
        if ended {
            self.child = None;
        }
        ended
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn terminate(&mut self) {
        self.says = None;
        self.signal(Signal::TERM);
        let mut child = self.child.take().unwrap();
        // Kept open: a process whose parent is gone ends at once.
        let _stdin = child.stdin.take();
        let ended = timeout(PATIENCE, child.wait()).await;
        let status = ended.expect("it never ends").unwrap();
        assert!(status.success(), "{}: {status}", self.setup.name);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().unwrap().id().unwrap();
        let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}
