//! An app on bare hyper, HTTP/1.1 and HTTP/2, wrapped in a layer that takes the callbacks out of its
//! traffic. The accept loop says who the peer is. The token is in the path here, and the access log
//! does not show it.
//!
//! ```text
//! cargo run --example hyper -- --once    calls itself, and ends with 0 if all went right
//! ```

mod support;

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use support::send;
use tokio::{
    net::TcpListener,
    signal::ctrl_c,
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tower::{Layer, ServiceBuilder, service_fn};
use tower_callback::{
    BoxError, BuildError, CallbackLayer, CallbackService, Callbacks, IpAllowlist, MemoryStore,
    MusicVideo, Redaction, Token, Verify, verify::PeerAddr,
};
use tower_http::trace::{DefaultOnResponse, TraceLayer};
use tracing::Level;

const SECRET: &str = "read-this-from-your-configuration";
const CALLBACK: &str = "/music-video-callback";

/// The app, which knows nothing of callbacks.
async fn app<B>(request: Request<B>) -> Result<Response<String>, Infallible> {
    let mut response = Response::new("the app\n".to_owned());
    if request.uri().path() != "/" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}

fn endpoint() -> Callbacks<MusicVideo> {
    let proof = Token::segment(SECRET).and(IpAllowlist::new(["127.0.0.0/8"], PeerAddr::of));
    Callbacks::new("music-video", proof)
}

fn layer(callback: &CallbackService) -> Result<CallbackLayer, BuildError> {
    callback.layer(&format!("{CALLBACK}/{{token}}"))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_ansi(false).init();

    let (handled, mut events) = mpsc::unbounded_channel();
    let (callback, worker) = endpoint()
        .store(MemoryStore::new())
        .handle(move |delivery| {
            let handled = handled.clone();
            async move { Ok(handled.send(delivery.event)?) }
        })
        .build()?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}");
    let (stop, stopped) = watch::channel(());
    let server = serve(listener, layer(&callback)?, shutdown(stopped.clone()));
    let server = tokio::spawn(server);
    let worker = tokio::spawn(worker.run_until(shutdown(stopped)));

    let outcome = if std::env::args().any(|argument| argument == "--once") {
        call(address, &mut events).await
    } else {
        tokio::select! {
            () = print(&mut events) => Ok(()),
            pressed = ctrl_c() => Ok(pressed?),
        }
    };

    drop(stop);
    server.await?;
    worker.await?;
    outcome
}

/// The accept loop, until `shutdown`. Then open connections get ten seconds to end.
async fn serve(listener: TcpListener, layer: CallbackLayer, shutdown: impl Future<Output = ()>) {
    let app = layer.layer(service_fn(app));
    let redaction = Redaction::new().below(CALLBACK);
    let access_log = TraceLayer::new_for_http()
        .make_span_with(redaction.into_make_span())
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    let connections = GracefulShutdown::new();
    tokio::pin!(shutdown);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    eprintln!("cannot accept: {error}");
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = &mut shutdown => break,
        };
        let service = ServiceBuilder::new()
            .map_request(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(PeerAddr(peer));
                request
            })
            .layer(access_log.clone())
            .service(app.clone());
        let connection = auto::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
            .into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("connection from {peer}: {error}");
            }
        });
    }
    if timeout(Duration::from_secs(10), connections.shutdown())
        .await
        .is_err()
    {
        eprintln!("some connections were cut");
    }
}

async fn shutdown(mut stopped: watch::Receiver<()>) {
    let _ = stopped.changed().await;
}

async fn print(events: &mut mpsc::UnboundedReceiver<MusicVideo>) {
    while let Some(event) = events.recv().await {
        println!("handled {}: {:?}", event.task_id, event.outcome);
    }
}

/// Plays the provider, and a client of the app.
async fn call(
    address: SocketAddr,
    events: &mut mpsc::UnboundedReceiver<MusicVideo>,
) -> Result<(), BoxError> {
    let sent = MusicVideo::failed("task-1", 451, "the audio could not be downloaded");
    let body = sent.encode();
    let body = str::from_utf8(&body)?;
    let own = send(address, "GET", "/", &[], "").await?;
    println!("GET /: {} {}", own.0, own.1.trim());
    let forged = send(address, "POST", &format!("{CALLBACK}/guessed"), &[], body).await?;
    println!("callback with a wrong token: {} {}", forged.0, forged.1);
    let good = format!("{CALLBACK}/{SECRET}");
    let good = send(address, "POST", &good, &[], body).await?;
    println!("callback: {} {}", good.0, good.1);
    let handled = timeout(Duration::from_secs(10), events.recv()).await?;
    println!("handled: {handled:?}");

    let statuses = [own.0, forged.0, good.0].map(|status| status.as_u16());
    if statuses != [200, 401, 200] || handled != Some(sent) {
        return Err("that is not right".into());
    }
    Ok(())
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use tower_callback::testing::callback;

    use super::*;

    #[tokio::test]
    async fn the_layer_takes_callbacks_and_leaves_the_rest_to_the_app() {
        let front = endpoint().store(MemoryStore::new()).build_front().unwrap();
        let app = layer(&front).unwrap().layer(service_fn(app));
        let peer = PeerAddr(([127, 0, 0, 1], 4711).into());
        for (path, status) in [
            (format!("{CALLBACK}/{SECRET}"), 200),
            (format!("{CALLBACK}/guessed"), 401),
            ("/elsewhere".to_owned(), 404),
        ] {
            let call = callback("task-1").extension(peer);
            assert_eq!(call.call(app.clone(), &path).await.status(), status);
        }
        let own = callback("task-1").call(app, "/").await;
        assert_eq!(own.body(), "the app\n");
    }
}
