//! A provider that answers as it is told, and counts.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
    task::JoinSet,
};

/// One request, as it arrived.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What becomes of a request.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    parts: VecDeque<Bytes>,
    end: End,
    /// What there is was written before the end comes.
    flushed: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    Complete,
    /// The connection closes.
    Cut,
    /// Nothing more comes.
    Silence,
    /// The last part comes again and again.
    Endless,
    /// The connection closes without an answer.
    Unanswered,
    /// No answer comes.
    Mute,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            parts: [body.into()].into(),
            end: End::Complete,
            flushed: false,
        }
    }

    pub(crate) fn ok(body: impl Into<Bytes>) -> Self {
        Self::new(200, body)
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn ending(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    pub(crate) fn cut(self) -> Self {
        self.ending(End::Cut)
    }

    pub(crate) fn silent(self) -> Self {
        self.ending(End::Silence)
    }

    pub(crate) fn endless(self) -> Self {
        self.ending(End::Endless)
    }

    pub(crate) fn unanswered() -> Self {
        Self::ok("").ending(End::Unanswered)
    }

    pub(crate) fn mute() -> Self {
        Self::ok("").ending(End::Mute)
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.parts.is_empty() && self.end == End::Cut && !self.flushed {
            self.flushed = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let part = match self.end {
            End::Endless => self.parts.front().cloned(),
            _ => self.parts.pop_front(),
        };
        match (part, self.end) {
            (Some(part), _) => Poll::Ready(Some(Ok(Frame::data(part)))),
            (None, End::Cut) => Poll::Ready(Some(Err(io::Error::other("cut")))),
            (None, End::Silence) => Poll::Pending,
            (None, _) => Poll::Ready(None),
        }
    }
}

pub(crate) struct Server {
    pub(crate) base: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    count: watch::Receiver<usize>,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Answers the `n`-th request, from 0, as the script says.
    pub(crate) async fn start(
        script: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (counter, count) = watch::channel(0);
        let script = Arc::new(script);
        let mut tasks = JoinSet::new();
        let (log, opened) = (Arc::clone(&seen), Arc::clone(&connections));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                opened.fetch_add(1, Ordering::SeqCst);
                let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                let counter = counter.clone();
                let service = service_fn(move |request| {
                    let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                    let counter = counter.clone();
                    answer(request, log, counter, script)
                });
                connections.spawn(async move {
                    // A connection that ends badly is part of the tests.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            base,
            seen,
            count,
            connections,
            _tasks: tasks,
        }
    }

    /// The same answer to everything.
    pub(crate) async fn always(status: u16, body: &'static str) -> Self {
        Self::start(move |_, _| Reply::new(status, body)).await
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until so many requests have arrived.
    pub(crate) async fn has_seen(&self, requests: usize) {
        let mut count = self.count.clone();
        count.wait_for(|count| *count >= requests).await.unwrap();
    }
}

async fn answer(
    request: Request<Incoming>,
    log: Arc<Mutex<Vec<Seen>>>,
    counter: watch::Sender<usize>,
    script: Arc<impl Fn(usize, &Seen) -> Reply>,
) -> io::Result<Response<Reply>> {
    let (head, body) = request.into_parts();
    let seen = Seen {
        method: head.method,
        target: head.uri.to_string(),
        headers: head.headers,
        body: body.collect().await.map_err(io::Error::other)?.to_bytes(),
    };
    let reply = {
        let mut log = log.lock().unwrap();
        let reply = script(log.len(), &seen);
        log.push(seen);
        counter.send_modify(|count| *count += 1);
        reply
    };
    match reply.end {
        End::Unanswered => return Err(io::Error::other("unanswered")),
        End::Mute => std::future::pending().await,
        _ => {}
    }
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    Ok(response.body(reply).unwrap())
}

/// A server that reads something, writes these bytes and closes, for each connection anew.
pub(crate) async fn raw(bytes: Vec<u8>) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
    });
    (base, tasks)
}
