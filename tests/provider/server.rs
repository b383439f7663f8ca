//! A server that notes every byte and answers as a script says.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// One request, as far as it has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) announced: usize,
    /// The caller closed the connection.
    pub(crate) closed: bool,
}

impl Seen {
    pub(crate) fn is_whole(&self) -> bool {
        !self.head.is_empty() && self.body.len() == self.announced
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or("no text")
    }

    /// The first line and the body: what differs between two requests to one server.
    pub(crate) fn essence(&self) -> (String, Vec<u8>) {
        let line = self.head.lines().next().unwrap().to_owned();
        (line, self.body.clone())
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    Status(u16),
    /// As soon as so many requests have come whole.
    WhenSeen(usize, u16),
    /// Never, with the connection open.
    Hang,
    /// The connection is closed instead.
    HangUp,
}

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    seen: Arc<Notes>,
    _tasks: JoinSet<()>,
}

struct Notes {
    seen: Mutex<Vec<Seen>>,
    changed: watch::Sender<()>,
}

impl Notes {
    fn note(&self, change: impl FnOnce(&mut Vec<Seen>)) {
        change(&mut self.seen.lock().unwrap());
        self.changed.send_replace(());
    }
}

impl Server {
    /// Answers request number `n`, counted from 0, as `script` says once it has come whole.
    pub(crate) async fn start(
        script: impl Fn(usize, &Seen) -> Reply + Clone + Send + Sync + 'static,
    ) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), script).await
    }

    pub(crate) async fn start_at(
        addr: SocketAddr,
        script: impl Fn(usize, &Seen) -> Reply + Clone + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Notes {
            seen: Mutex::default(),
            changed: watch::Sender::new(()),
        });
        let mut tasks = JoinSet::new();
        let notes = Arc::clone(&seen);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, Arc::clone(&notes), script.clone()));
            }
        });
        Self {
            addr,
            seen,
            _tasks: tasks,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/callback?token=secret", self.addr)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.seen.lock().unwrap().clone()
    }

    /// Waits until what was seen is so, and gives it.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let mut changed = self.seen.changed.subscribe();
        let wait = async {
            loop {
                let seen = self.seen();
                if is_so(&seen) {
                    return seen;
                }
                changed.changed().await.unwrap();
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(seen) => seen,
            Err(_) => panic!("the server never saw {what}, but {:#?}", self.seen()),
        }
    }
}

async fn serve(mut stream: TcpStream, notes: Arc<Notes>, script: impl Fn(usize, &Seen) -> Reply) {
    let mut number: Option<usize> = None;
    let mut buffer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk).await.unwrap_or(0);
        if read == 0 {
            if let Some(number) = number {
                notes.note(|seen| seen[number].closed = true);
            }
            return;
        }
        buffer.extend_from_slice(&chunk[..read]);
        if number.is_none() {
            let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") else {
                continue;
            };
            let head = String::from_utf8(buffer.drain(..end + 4).collect()).unwrap();
            let announced = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            notes.note(|seen| {
                number = Some(seen.len());
                seen.push(Seen {
                    head,
                    announced,
                    ..Seen::default()
                });
            });
        }
        let number = number.unwrap();
        notes.note(|seen| seen[number].body.append(&mut buffer));
        let seen = notes.seen.lock().unwrap()[number].clone();
        if !seen.is_whole() {
            continue;
        }
        match script(number, &seen) {
            Reply::Status(status) => answer(&mut stream, status).await,
            Reply::WhenSeen(count, status) => {
                let mut changed = notes.changed.subscribe();
                while notes
                    .seen
                    .lock()
                    .unwrap()
                    .iter()
                    .filter(|it| it.is_whole())
                    .count()
                    < count
                {
                    changed.changed().await.unwrap();
                }
                answer(&mut stream, status).await;
            }
            Reply::Hang => {}
            Reply::HangUp => return,
        }
    }
}

async fn answer(stream: &mut TcpStream, status: u16) {
    let answer = format!("HTTP/1.1 {status} Some Reason\r\ncontent-length: 0\r\n\r\n");
    // The caller may be gone: that is part of the tests.
    let _ = stream.write_all(answer.as_bytes()).await;
}
