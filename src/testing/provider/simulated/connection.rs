//! One connection: which request goes where, and how it is cut.

use std::{
    fmt, io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use http::{HeaderMap, Method, Request, Response, header::AUTHORIZATION};
use http_body_util::{BodyExt, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{
    answer::{Body, refusal},
    details::details,
    files::file,
    generate::generate,
    world::World,
};

/// The connection is closed instead of an answer.
#[derive(Debug)]
pub(super) struct HangUp;

impl fmt::Display for HangUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulated provider hangs up")
    }
}

impl std::error::Error for HangUp {}

/// The most of a request's body that is read.
const REQUEST_LIMIT: usize = 64 * 1024;

pub(super) async fn serve(world: Arc<World>, stream: TcpStream) {
    let cutter = Cutter::default();
    let stream = Cuttable {
        stream,
        cutter: cutter.clone(),
    };
    let service = service_fn(move |request| {
        let (world, cutter) = (Arc::clone(&world), cutter.clone());
        async move { answer(&world, request, &cutter).await }
    });
    // A connection that fails is its caller's affair, or was meant to.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    world: &World,
    request: Request<Incoming>,
    cutter: &Cutter,
) -> Result<Response<Body>, HangUp> {
    let is_generate = match (request.method(), request.uri().path()) {
        (_, path) if path.starts_with("/videos/") => return Ok(file(world, &request, cutter)),
        (&Method::POST, "/api/v1/mp4/generate") => true,
        (&Method::GET, "/api/v1/mp4/record-info") => false,
        _ => return Ok(refusal(404)),
    };
    {
        let mut state = world.state();
        let authorized = is_authorized(request.headers(), &world.api_key);
        let calls = &mut state.calls;
        calls.generate += usize::from(is_generate);
        calls.details += usize::from(!is_generate);
        calls.unauthorized += usize::from(!authorized);
        if !authorized {
            return Ok(refusal(401));
        }
    }
    if !world.pass() {
        return Ok(refusal(429));
    }
    if !is_generate {
        return Ok(details(world, request.uri().query().unwrap_or_default()).await);
    }
    match Limited::new(request.into_body(), REQUEST_LIMIT)
        .collect()
        .await
    {
        Ok(body) => generate(world, &body.to_bytes()).await,
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Ok(refusal(413)),
        Err(_) => Err(HangUp),
    }
}

fn is_authorized(headers: &HeaderMap, api_key: &str) -> bool {
    headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .is_some_and(|(scheme, key)| scheme.eq_ignore_ascii_case("bearer") && key == api_key)
}

/// Closes a connection once all that was written before is on its way.
#[derive(Clone, Debug, Default)]
pub(super) struct Cutter(Arc<AtomicBool>);

impl Cutter {
    pub(super) fn cut(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A stream that can be cut. hyper flushes it when it has written all that it has, and only then:
/// a body that failed instead would take the bytes along that still wait to be written.
struct Cuttable {
    stream: TcpStream,
    cutter: Cutter,
}

impl AsyncRead for Cuttable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.cutter.0.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
