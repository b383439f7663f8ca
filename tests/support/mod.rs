//! A server on a loopback socket, and a client that says exactly what it is told to.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a module of its own in each test file, which uses its own part"
)]

use std::{collections::HashMap, convert::Infallible, net::SocketAddr, time::Duration};

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tower::Service;
use tower_callback::{BoxError, verify::PeerAddr};

pub const SECRET: &str = "a-secret-of-32-characters-or-so";
pub const PATH: &str = "/music-video-callback";

pub const SUCCESS: &str = r#"{"code":200,"msg":"MP4 generated successfully.","data":{"task_id":"task-1","video_url":"https://example.com/v.mp4"}}"#;
pub const FAILURE: &str = r#"{"code":400,"msg":"Music video generation failed","data":{"task_id":"task-1","video_url":null}}"#;

/// A success of a task.
pub fn success(task: &str) -> String {
    SUCCESS.replace("task-1", task)
}

/// A failure of a task.
pub fn failure(task: &str) -> String {
    FAILURE.replace("task-1", task)
}

/// The path with the right token.
pub fn url() -> String {
    format!("{PATH}?token={SECRET}")
}

/// A server that ends with the test.
pub struct Server {
    pub addr: SocketAddr,
    _tasks: JoinSet<()>,
}

/// Serves an axum app.
pub async fn serve_axum(app: axum::Router) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, app).await.unwrap();
    });
    Server {
        addr,
        _tasks: tasks,
    }
}

/// Serves a tower service by bare hyper, HTTP/1.1 and HTTP/2.
pub async fn serve_hyper<S, R>(service: S) -> Server
where
    S: Service<Request<Incoming>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    R: Body + Send + 'static,
    R::Data: Send,
    R::Error: Into<BoxError>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(WithPeer(service.clone(), peer));
            connections.spawn(async move {
                // A client that hangs up is part of the tests.
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    Server {
        addr,
        _tasks: tasks,
    }
}

/// Puts the peer's address into each request, as an accept loop does.
#[derive(Clone)]
struct WithPeer<S>(S, SocketAddr);

impl<S: Service<Request<B>>, B> Service<Request<B>> for WithPeer<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        request.extensions_mut().insert(PeerAddr(self.1));
        self.0.call(request)
    }
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: String,
}

/// A connection that writes what it is told to.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// Longer than any deadline in these tests.
const PATIENCE: Duration = Duration::from_secs(30);

impl Client {
    pub async fn connect(addr: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(addr).await.unwrap(),
            buffer: Vec::new(),
        }
    }

    /// Writes raw bytes. The server may have hung up already, which its answer will tell.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Says that nothing more will come.
    pub async fn finish(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Reads one answer; `None` when the server hung up without any.
    pub async fn answer(&mut self) -> Option<Answer> {
        tokio::time::timeout(PATIENCE, self.read_answer())
            .await
            .expect("the server answers in time")
    }

    /// Reads the head of an answer that may announce a body and have none, as one to HEAD does.
    pub async fn head(&mut self) -> Answer {
        tokio::time::timeout(PATIENCE, async {
            while !self.buffer.windows(4).any(|w| w == b"\r\n\r\n") {
                self.more().await.expect("the server answers");
            }
        })
        .await
        .expect("the server answers in time");
        let head = String::from_utf8_lossy(&self.buffer).into_owned();
        let (status, headers) = parse_head(&head);
        Answer {
            status,
            headers,
            body: String::new(),
        }
    }

    async fn read_answer(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break end;
            }
            self.more().await?;
        };
        let head = String::from_utf8(self.buffer.drain(..end + 4).collect()).unwrap();
        let (status, headers) = parse_head(&head);
        let length = headers
            .get("content-length")
            .map_or(0, |length| length.parse().unwrap());
        while self.buffer.len() < length {
            self.more().await?;
        }
        let body = String::from_utf8(self.buffer.drain(..length).collect()).unwrap();
        Some(Answer {
            status,
            headers,
            body,
        })
    }

    async fn more(&mut self) -> Option<()> {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk).await {
            Ok(n) if n > 0 => {
                self.buffer.extend_from_slice(&chunk[..n]);
                Some(())
            }
            _ => None,
        }
    }
}

fn parse_head(head: &str) -> (u16, HashMap<String, String>) {
    let mut lines = head.lines();
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    (status, headers)
}

/// One request of any method, with headers, on a connection of its own.
pub async fn request(
    addr: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
) -> Answer {
    let body = body.as_ref();
    let mut head = format!(
        "{method} {target} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut client = Client::connect(addr).await;
    client.write([head.as_bytes(), body].concat()).await;
    client.answer().await.expect("the server answers")
}

/// One POST of JSON.
pub async fn post(addr: SocketAddr, target: &str, body: impl AsRef<[u8]>) -> Answer {
    request(
        addr,
        "POST",
        target,
        &[("content-type", "application/json")],
        body,
    )
    .await
}

/// The answer's status and nothing else.
pub async fn status(addr: SocketAddr, target: &str, body: impl AsRef<[u8]>) -> u16 {
    post(addr, target, body).await.status
}

/// An app of one's own: answers everything with 200 and its own text.
pub async fn inner(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(format!("inner {}", request.uri().path())))
}
