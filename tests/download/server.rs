//! A file server that does exactly what it is told to, however wrong.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

pub(crate) const HOST: &str = "video.test";
pub(crate) const SIGNATURE: &str = "a-signature-that-nobody-may-see";

/// What is done in answer to one request, before the connection is closed.
pub(crate) type Script = Vec<Step>;

pub(crate) enum Step {
    Send(Vec<u8>),
    /// The same bytes again and again.
    Endless(Vec<u8>, Duration),
    /// Nothing, until the client goes away.
    Hang,
    /// Until the server is told to go on.
    Gate(Arc<tokio::sync::Semaphore>),
}

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Counted from 0.
    pub(crate) number: usize,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The first byte that is asked for.
    pub(crate) fn from(&self) -> Option<usize> {
        let range = self.header("range")?;
        let from = range.strip_prefix("bytes=")?.strip_suffix('-')?;
        Some(from.parse().unwrap())
    }
}

type Behaviour = Arc<dyn Fn(&Request) -> Script + Send + Sync>;

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Request>>,
    open: AtomicUsize,
    most: AtomicUsize,
}

/// Ends when it is dropped.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(behave: impl Fn(&Request) -> Script + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1", behave).await
    }

    pub(crate) async fn start_at(
        address: &str,
        behave: impl Fn(&Request) -> Script + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        let behave: Behaviour = Arc::new(behave);
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let seen = Arc::clone(&seen);
            async move {
                let mut connections = JoinSet::new();
                loop {
                    let (socket, _) = listener.accept().await.unwrap();
                    connections.spawn(serve(socket, Arc::clone(&behave), Arc::clone(&seen)));
                    while connections.try_join_next().is_some() {}
                }
            }
        });
        Self {
            addr,
            seen,
            _tasks: tasks,
        }
    }

    pub(crate) fn url(&self) -> String {
        self.url_at(HOST)
    }

    pub(crate) fn url_at(&self, host: &str) -> String {
        format!("http://{host}:{}/v.mp4?sig={SIGNATURE}", self.addr.port())
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// How many were answered at once, at most.
    pub(crate) fn most(&self) -> usize {
        self.seen.most.load(Ordering::SeqCst)
    }

    /// How many are being answered, and do not have their last bytes yet.
    pub(crate) fn open(&self) -> usize {
        self.seen.open.load(Ordering::SeqCst)
    }
}

async fn serve(mut socket: TcpStream, behave: Behaviour, seen: Arc<Seen>) {
    let Some(request) = read(&mut socket, &seen).await else {
        return;
    };
    let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
    seen.most.fetch_max(open, Ordering::SeqCst);
    let mut script = behave(&request);
    // Whoever has the last bytes may come again before anything is counted here.
    let last = script.pop_if(|step| matches!(step, Step::Send(_)));
    let played = play(&mut socket, script).await;
    seen.open.fetch_sub(1, Ordering::SeqCst);
    // The client may be gone already.
    if played.is_ok() {
        let _ = play(&mut socket, last.into_iter().collect()).await;
    }
    // Closed in order, so that what was sent arrives.
    let _ = socket.shutdown().await;
    let _ = socket.read_to_end(&mut Vec::new()).await;
}

async fn play(socket: &mut TcpStream, script: Script) -> std::io::Result<()> {
    for step in script {
        match step {
            Step::Send(bytes) => socket.write_all(&bytes).await?,
            Step::Endless(bytes, pause) => loop {
                socket.write_all(&bytes).await?;
                tokio::time::sleep(pause).await;
            },
            Step::Hang => {
                socket.read_to_end(&mut Vec::new()).await?;
            }
            Step::Gate(gate) => gate.acquire().await.unwrap().forget(),
        }
    }
    Ok(())
}

async fn read(socket: &mut TcpStream, seen: &Seen) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let target = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let mut requests = seen.requests.lock().unwrap();
    let request = Request {
        number: requests.len(),
        target,
        headers: lines.filter_map(header).collect(),
    };
    requests.push(request.clone());
    Some(request)
}

/// A head, and whatever body.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Step {
    let mut bytes = format!("HTTP/1.1 {status} Whatever\r\nconnection: close\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    Step::Send(bytes)
}

/// An honest server's answer, cut after so many bytes of its body.
pub(crate) fn honest(request: &Request, file: &[u8], etag: &str, cut: usize) -> Script {
    let unchanged = request.header("if-range").is_none_or(|asked| asked == etag);
    let from = request.from().filter(|_| unchanged);
    let body = &file[from.unwrap_or_default()..];
    let length = body.len().to_string();
    let mut headers = vec![("content-length", length.as_str()), ("etag", etag)];
    let range = from.map(|from| format!("bytes {from}-{}/{}", file.len() - 1, file.len()));
    if let Some(range) = &range {
        headers.push(("content-range", range));
    }
    let status = if from.is_some() { 206 } else { 200 };
    vec![answer(status, &headers, &body[..cut.min(body.len())])]
}

pub(crate) fn redirect(to: &str) -> Script {
    vec![answer(
        302,
        &[("location", to), ("content-length", "0")],
        b"",
    )]
}

/// A file that begins as a video does, and repeats itself nowhere.
pub(crate) fn video(length: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut file = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41".to_vec();
    let head = file.len().min(length);
    file.resize(length, 0);
    random.fill(&mut file[head..]);
    file
}

/// What names mean in these tests.
pub(crate) fn resolve(name: &str) -> Vec<IpAddr> {
    let addresses: &[&str] = match name {
        HOST | "other.test" => &["127.0.0.1"],
        "private.test" => &["127.0.0.2"],
        "metadata.test" => &["169.254.169.254"],
        "lan.test" => &["10.0.0.1", "192.168.1.1", "fd00::1"],
        "mapped.test" => &["::ffff:127.0.0.1", "::ffff:127.0.0.2"],
        "mixed.test" => &["127.0.0.2", "::1", "127.0.0.1"],
        _ => &[],
    };
    addresses
        .iter()
        .map(|address| address.parse().unwrap())
        .collect()
}
