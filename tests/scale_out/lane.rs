//! One line of the provider: callback after callback, each until it was answered with 200.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::calls::{Shared, Way};

/// As long as the real provider waits.
const PATIENCE: Duration = Duration::from_secs(15);

/// What came of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Status(u16),
    /// Nobody was there.
    Refused,
    /// The connection ended, or nothing came in time.
    Broken,
}

type Connection = Option<SendRequest<Full<Bytes>>>;

/// A connection that is kept, and how often the front had been taken out when it was made.
type Kept = (Connection, usize);

/// Calls until there is nothing more to call about.
pub(crate) async fn call(shared: Arc<Shared>, keeps: bool) {
    let mut connections: Vec<Kept> = shared.ways.iter().map(|_| (None, 0)).collect();
    while let Some(callback) = shared.next().await {
        let body = Bytes::from(callback.body());
        let mut failures = 0;
        loop {
            let front = fastrand::usize(0..shared.ways.len());
            let way = &shared.ways[front];
            let Some(outs) = way.turn.begin() else {
                continue;
            };
            let (connection, made) = &mut connections[front];
            if *made != outs {
                (*connection, *made) = (None, outs);
            }
            let before = way.away.load(Ordering::SeqCst);
            let answer = attempt(way, connection, &body).await;
            let after = way.away.load(Ordering::SeqCst);
            way.turn.end();
            if !keeps || !matches!(answer, Answer::Status(_)) {
                *connection = None;
            }
            shared.note(callback, answer, before || after);
            if answer == Answer::Status(200) {
                break;
            }
            failures += 1;
            assert!(
                failures < 10_000,
                "a callback that is never answered with 200"
            );
            sleep(Duration::from_millis(fastrand::u64(5..50))).await;
        }
        sleep(shared.pace).await;
    }
}

async fn attempt(way: &Way, connection: &mut Connection, body: &Bytes) -> Answer {
    timeout(PATIENCE, send(way, connection, body))
        .await
        .unwrap_or(Answer::Broken)
}

async fn send(way: &Way, connection: &mut Connection, body: &Bytes) -> Answer {
    let kept = connection.as_mut().filter(|kept| !kept.is_closed());
    let sender = match kept {
        Some(kept) => kept,
        None => {
            let Ok(stream) = TcpStream::connect(way.address).await else {
                return Answer::Refused;
            };
            let Ok((sender, driver)) = handshake(TokioIo::new(stream)).await else {
                return Answer::Broken;
            };
            tokio::spawn(driver);
            connection.insert(sender)
        }
    };
    let request = Request::post(&way.target)
        .header(header::HOST, way.address.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body.clone()))
        .unwrap();
    if sender.ready().await.is_err() {
        return Answer::Broken;
    }
    let Ok(response) = sender.send_request(request).await else {
        return Answer::Broken;
    };
    let status = response.status().as_u16();
    match response.into_body().collect().await {
        Ok(_) => Answer::Status(status),
        Err(_) => Answer::Broken,
    }
}
