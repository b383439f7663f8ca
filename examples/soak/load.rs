//! Providers that call as fast as they are answered, and strangers between them.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tower_callback::{BoxError, MusicVideo};

use super::{
    ledger::Ledger,
    service::{PATH, SECRET},
};

const LANES: usize = 8;
/// Nobody calls while more events than this wait for their handlers: the load is as full as it can be for ever.
const BACKLOG: usize = 500;

/// What all lanes share.
pub(super) struct Load {
    pub(super) ledger: Ledger,
    /// Where the service is: it may be started again, elsewhere.
    pub(super) service: watch::Sender<SocketAddr>,
    pub(super) stop: AtomicBool,
    next: AtomicU64,
}

impl Load {
    pub(super) fn begin(service: SocketAddr) -> (Arc<Self>, JoinSet<()>) {
        let load = Arc::new(Self {
            ledger: Ledger::default(),
            service: watch::Sender::new(service),
            stop: AtomicBool::new(false),
            next: AtomicU64::new(0),
        });
        let mut lanes = JoinSet::new();
        for _ in 0..LANES {
            lanes.spawn(lane(Arc::clone(&load)));
        }
        (load, lanes)
    }
}

async fn lane(load: Arc<Load>) {
    let mut line = Line(None);
    while !load.stop.load(Ordering::Relaxed) {
        if load.ledger.waiting() > BACKLOG {
            sleep(Duration::from_millis(10)).await;
            continue;
        }
        // Now and then on a new connection.
        if fastrand::u32(0..100) == 0 {
            line = Line(None);
        }
        match fastrand::u32(0..100) {
            0..5 => {
                stranger(
                    &load,
                    &mut line,
                    "a-secret-that-somebody-guessed",
                    "{}",
                    &[401],
                )
                .await
            }
            5..8 => stranger(&load, &mut line, SECRET, "{\"code\":", &[400, 422]).await,
            _ => event(&load, &mut line).await,
        }
    }
}

/// A new event, until it is acknowledged; and three of ten again.
async fn event(load: &Load, line: &mut Line) {
    let number = load.next.fetch_add(1, Ordering::Relaxed);
    let task = number.to_string();
    let video = format!("https://example.com/{task}.mp4");
    let body = MusicVideo::succeeded(task, video).encode();
    let body = String::from_utf8_lossy(&body).into_owned();
    let took = until_acknowledged(load, line, &body).await;
    load.ledger.acknowledged(number, took);
    if fastrand::u32(0..10) < 3 {
        until_acknowledged(load, line, &body).await;
        load.ledger.repeated();
    }
}

/// Calls again until it is answered with 200, and tells how long that answer took.
async fn until_acknowledged(load: &Load, line: &mut Line, body: &str) -> Duration {
    loop {
        let start = Instant::now();
        match call(load, line, SECRET, body).await {
            Some(StatusCode::OK) => return start.elapsed(),
            Some(StatusCode::SERVICE_UNAVAILABLE) | None => {}
            Some(other) => load
                .ledger
                .wrong(format!("an event was answered with {other}")),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// What must never be answered with 200.
async fn stranger(load: &Load, line: &mut Line, secret: &str, body: &str, right: &[u16]) {
    let answer = call(load, line, secret, body).await;
    if let Some(status) = answer
        && status != StatusCode::SERVICE_UNAVAILABLE
        && !right.contains(&status.as_u16())
    {
        load.ledger
            .wrong(format!("a stranger was answered with {status}"));
    }
}

async fn call(load: &Load, line: &mut Line, secret: &str, body: &str) -> Option<StatusCode> {
    let service = *load.service.borrow();
    let answer = timeout(Duration::from_secs(15), line.send(service, secret, body)).await;
    let what = match &answer {
        Ok(Ok(status)) => format!("answers {status}"),
        Ok(Err(_)) => "calls without an answer".to_owned(),
        Err(_) => "calls without an answer in time".to_owned(),
    };
    load.ledger.answered(what);
    if let Ok(Ok(status)) = answer {
        return Some(status);
    }
    *line = Line(None);
    None
}

/// A connection that is kept, as providers keep them.
struct Line(Option<(SendRequest<String>, JoinSet<()>)>);

impl Line {
    async fn send(
        &mut self,
        to: SocketAddr,
        secret: &str,
        body: &str,
    ) -> Result<StatusCode, BoxError> {
        let (sender, _) = match &mut self.0 {
            Some(line) => line,
            none => {
                let stream = TokioIo::new(TcpStream::connect(to).await?);
                let (sender, connection) = http1::handshake(stream).await?;
                let mut driver = JoinSet::new();
                driver.spawn(async move {
                    // What is wrong with it, the call learns.
                    let _ = connection.await;
                });
                none.insert((sender, driver))
            }
        };
        sender.ready().await?;
        let request = Request::post(format!("{PATH}?token={secret}"))
            .header(header::HOST, to.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.to_owned())?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        response.into_body().collect().await?;
        Ok(status)
    }
}
