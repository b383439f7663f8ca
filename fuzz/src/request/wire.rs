//! The front behind a connection in memory, which carries one request after the other.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
};

use http::{HeaderValue, Request, StatusCode, header};
use hyper::{body::Incoming, client, server, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinSet;
use tower::Service;
use tower_callback::{CallbackService, Disposition, verify::PeerAddr};

use super::{
    Reply,
    case::{Case, Mount, Step, Transport},
    world::Script,
};

/// Whether a request comes over a connection: where the other end sees it as it was written.
pub(super) fn carries(case: &Case) -> bool {
    let hop_by_hop = [
        "connection",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let lengths = case.headers.get_all(header::CONTENT_LENGTH);
    let length = case.whole_body().len().to_string();
    let size: usize = case
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 32)
        .sum();
    case.transport != Transport::Call
        && case.mount == Mount::Leaf
        && case.method != "CONNECT"
        && case.method != "HEAD"
        && case.uri.authority().is_none()
        && case.uri.path().starts_with('/')
        && !hop_by_hop
            .iter()
            .any(|name| case.headers.contains_key(*name))
        && lengths.iter().count() <= 1
        && lengths
            .iter()
            .all(|given| given.as_bytes() == length.as_bytes())
        && case.headers.len() < 64
        && size + case.uri.path().len() < 8 * 1024
        && !case
            .body
            .iter()
            .any(|step| matches!(step, Step::Trailers | Step::Error))
}

pub(super) struct Wire {
    sender: Sender,
    /// What the service said became of the request: that does not travel.
    told: Arc<Mutex<Option<Disposition>>>,
    _ends: JoinSet<()>,
}

enum Sender {
    Http1(client::conn::http1::SendRequest<Script>),
    Http2(client::conn::http2::SendRequest<Script>),
}

impl Wire {
    pub(super) async fn open(case: &Case, service: CallbackService) -> Self {
        let told = Arc::<Mutex<Option<Disposition>>>::default();
        let answer = service_fn({
            let (told, peer) = (Arc::clone(&told), case.peer);
            move |mut request: Request<Incoming>| {
                if let Some(peer) = peer {
                    request.extensions_mut().insert(PeerAddr((peer, 1).into()));
                }
                let call = service.clone().call(request);
                let told = Arc::clone(&told);
                async move {
                    let response = call.await?;
                    *told.lock().expect("no panic while it is held") =
                        response.extensions().get().copied();
                    Ok::<_, Infallible>(response)
                }
            }
        });
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (near, far) = (TokioIo::new(near), TokioIo::new(far));
        let mut ends = JoinSet::new();
        let sender = if case.transport == Transport::Http2 {
            let server = server::conn::http2::Builder::new(TokioExecutor::new());
            let server = server.serve_connection(far, answer);
            ends.spawn(async move { drop(server.await) });
            let opened = client::conn::http2::handshake(TokioExecutor::new(), near).await;
            let (sender, connection) = opened.expect("a connection in memory");
            ends.spawn(async move { drop(connection.await) });
            Sender::Http2(sender)
        } else {
            let server = server::conn::http1::Builder::new().serve_connection(far, answer);
            ends.spawn(async move { drop(server.await) });
            let opened = client::conn::http1::handshake(near).await;
            let (sender, connection) = opened.expect("a connection in memory");
            ends.spawn(async move { drop(connection.await) });
            Sender::Http1(sender)
        };
        Self {
            sender,
            told,
            _ends: ends,
        }
    }

    /// Whether one more request can be sent.
    pub(super) fn is_ready(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_ready(),
            Sender::Http2(sender) => sender.is_ready(),
        }
    }

    pub(super) fn send<'a>(&'a mut self, case: &Case) -> Pin<Box<dyn Future<Output = Reply> + 'a>> {
        let mut request = Request::new(Script {
            steps: case.body.clone().into(),
            polls: Arc::default(),
        });
        *request.method_mut() = case.method.clone();
        *request.headers_mut() = case.headers.clone();
        let target = case
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let target = match &self.sender {
            Sender::Http1(_) => {
                let host = HeaderValue::from_static("localhost");
                request.headers_mut().insert(header::HOST, host);
                target.to_owned()
            }
            Sender::Http2(_) => format!("http://localhost{target}"),
        };
        *request.uri_mut() = target.parse().expect("it was part of a URI");
        Box::pin(async move {
            let sent = match &mut self.sender {
                Sender::Http1(sender) => sender.send_request(request).await,
                Sender::Http2(sender) => sender.send_request(request).await,
            };
            let mut response = sent.expect("there is exactly one reply");
            for name in [header::CONNECTION, header::CONTENT_LENGTH, header::DATE] {
                response.headers_mut().remove(name);
            }
            let told = self.told.lock().expect("no panic while it is held").take();
            if let Some(told) = told {
                response.extensions_mut().insert(told);
            }
            Reply::of(response).await
        })
    }

    /// A request that was read to its end leaves the connection to the next one; over HTTP/2, every
    /// request does.
    pub(super) async fn assert_usable(&self, case: &Case, status: StatusCode) {
        for _ in 0..64 {
            tokio::task::yield_now().await;
        }
        if case.transport == Transport::Http2 || status == StatusCode::OK {
            assert!(self.is_ready(), "the connection is gone after {status}");
        }
    }
}
