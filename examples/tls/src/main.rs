//! ```text
//! cargo run -- fullchain.pem privkey.pem     serves on port 8443 until it is interrupted
//! cargo run -- --once                        makes a certificate itself, and replaces it
//! ```

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use http::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName},
};
use tls_example::{Certificate, serve};
use tokio::{
    net::{TcpListener, TcpStream},
    signal::ctrl_c,
    sync::oneshot,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;
use tower_callback::{
    BoxError, CallbackService, Callbacks, MemoryStore, MusicVideo, Token, Worker,
};

const SECRET: &str = "read-this-from-your-configuration";

fn endpoint() -> Result<(CallbackService, Worker), BoxError> {
    let built = Callbacks::<MusicVideo>::new("music-video", Token::query("token", SECRET))
        .store(MemoryStore::new())
        .handle(|delivery| async move {
            println!("handled {}", delivery.event.task_id);
            Ok(())
        })
        .build()?;
    Ok(built)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_ansi(false).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (callback, worker) = endpoint()?;
    let app = Router::new()
        .route("/", get(async || "hello"))
        .route_service("/music-video-callback", callback);
    let (stop, stopped) = oneshot::channel::<()>();
    let worker = tokio::spawn(worker.run_until(async {
        let _ = stopped.await;
    }));
    match arguments.as_slice() {
        [once] if once == "--once" => show(app).await?,
        [chain, key] => {
            let certificate = Certificate::open(chain, key)?;
            let listener = TcpListener::bind("0.0.0.0:8443").await?;
            println!("listening on https://{}", listener.local_addr()?);
            let interrupted = async {
                let _ = ctrl_c().await;
            };
            serve(listener, certificate, app, interrupted).await?;
        }
        _ => {
            return Err(
                "give the files of the certificate's chain and of its key, or --once".into(),
            );
        }
    }
    let _ = stop.send(());
    worker.await?;
    Ok(())
}

/// Serves with one certificate, replaces its files, and sees the other one served, without a restart.
async fn show(app: Router) -> Result<(), BoxError> {
    let directory = tempfile::tempdir()?;
    let (chain, key) = (
        directory.path().join("chain.pem"),
        directory.path().join("key.pem"),
    );
    let first = make(&chain, &key)?;
    let certificate = Certificate::open(&chain, &key)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, certificate, app, async {
        let _ = stopped.await;
    }));

    let shown = async {
        println!("{}", call(address, &first, "task-1").await?);
        // A key that is not the certificate's is passed over.
        std::fs::write(&key, "half of it")?;
        sleep(Duration::from_secs(1)).await;
        println!("{}", call(address, &first, "task-2").await?);

        let second = make(&chain, &key)?;
        let replaced = async {
            loop {
                // Whoever trusts the second alone is let in when that is served.
                match call(address, &second, "task-3").await {
                    Ok(answer) => return answer,
                    Err(_) => sleep(Duration::from_millis(50)).await,
                }
            }
        };
        println!("{}", timeout(Duration::from_secs(30), replaced).await?);
        match call(address, &first, "task-4").await {
            Ok(_) => Err("the first certificate is still served".into()),
            Err(_) => Ok::<_, BoxError>(()),
        }
    };
    let outcome = shown.await;
    let _ = stop.send(());
    server.await??;
    outcome
}

/// Writes a new certificate for `localhost`, signed by itself.
fn make(chain: &Path, key: &Path) -> Result<CertificateDer<'static>, BoxError> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    std::fs::write(key, made.signing_key.serialize_pem())?;
    std::fs::write(chain, made.cert.pem())?;
    Ok(made.cert.der().clone())
}

/// Sends a callback on a connection of its own, trusting this certificate and no other.
async fn call(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    task: &str,
) -> Result<String, BoxError> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone())?;
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector
        .connect(ServerName::try_from("localhost")?, stream)
        .await?;
    let (_, session) = stream.get_ref();
    let served = session.peer_certificates().and_then(|chain| chain.first());
    let serial: String = served
        .map(|certificate| {
            certificate
                .iter()
                .rev()
                .take(4)
                .map(|byte| format!("{byte:02x}"))
        })
        .into_iter()
        .flatten()
        .collect();

    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let url = format!("https://example.com/{task}.mp4");
    let body = MusicVideo::succeeded(task, url).encode();
    let request = Request::post(format!("/music-video-callback?token={SECRET}"))
        .header(header::HOST, "localhost")
        .body(http_body_util::Full::new(body))?;
    let status = sender.send_request(request).await?.status();
    match status {
        StatusCode::OK => Ok(format!(
            "{task}: {status}, by the certificate that ends in {serial}"
        )),
        _ => Err(format!("{task}: {status}").into()),
    }
}
