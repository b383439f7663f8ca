//! The loop of the server.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use rustls::{ServerConfig, crypto::ring::default_provider};
use tokio::{net::TcpListener, task::JoinSet, time::timeout};
use tokio_rustls::TlsAcceptor;
use tower_callback::BoxError;

use crate::Certificate;

/// How long a client may take for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often the files are looked at.
const WATCH: Duration = Duration::from_millis(500);
/// More connections than this wait to be accepted.
const MOST: usize = 1024;

/// Serves an app until `shutdown` resolves, and then lets its requests finish.
///
/// # Errors
///
/// When TLS cannot be set up.
pub async fn serve(
    listener: TcpListener,
    certificate: Arc<Certificate>,
    app: Router,
    shutdown: impl Future<Output = ()>,
) -> Result<(), BoxError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&certificate) as Arc<_>);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));

    let graceful = Arc::new(GracefulShutdown::new());
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    let watching = certificate.watch(WATCH);
    tokio::pin!(watching);
    loop {
        let stream = tokio::select! {
            () = &mut shutdown => break,
            () = &mut watching => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept(), if connections.len() < MOST => match accepted {
                Ok((stream, _)) => stream,
                // A client that has gone again, or no file handle free for the moment.
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let acceptor = acceptor.clone();
        let service = TowerToHyperService::new(app.clone());
        let watcher = graceful.watcher();
        connections.spawn(async move {
            // Whoever has no TLS to say is nobody's concern.
            let Ok(Ok(stream)) = timeout(HANDSHAKE, acceptor.accept(stream)).await else {
                return;
            };
            let server = auto::Builder::new(TokioExecutor::new());
            let connection = server.serve_connection(TokioIo::new(stream), service);
            if let Err(error) = watcher.watch(connection.into_owned()).await {
                tracing::debug!(error, "a connection ended early");
            }
        });
    }
    drop(listener);
    let finish = async { while connections.join_next().await.is_some() {} };
    if let Some(graceful) = Arc::into_inner(graceful) {
        let both = async { tokio::join!(graceful.shutdown(), finish) };
        let _ = timeout(Duration::from_secs(10), both).await;
    }
    Ok(())
}
