//! A gRPC service that receives callbacks beside its own methods, on one port.

pub mod provider;
mod videos;

use std::net::IpAddr;

use http::Extensions;
use tokio::{net::TcpListener, sync::watch};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    service::Routes,
    transport::{Server, server::TcpConnectInfo},
};
use tower_callback::{BoxError, Callbacks, IpAllowlist, MemoryStore, MusicVideo, Token, Verify};

use self::videos::Library;
// The generated code speaks of these by their paths.
pub use self::videos::{FindReply, FindRequest};

// Made by `build.rs`.
#[allow(clippy::all, unreachable_pub)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/example.v1.Videos.rs"));
}
pub use generated::{videos_client, videos_server};

/// What the provider was given, in its callback URL.
pub const SECRET: &str = "read-this-from-your-configuration";

/// Serves until `stopped` is told so.
pub async fn serve(listener: TcpListener, stopped: watch::Receiver<()>) -> Result<(), BoxError> {
    let library = Library::default();
    let proof = Token::query("token", SECRET).and(IpAllowlist::new(["127.0.0.0/8"], peer));
    let (callback, worker) = Callbacks::<MusicVideo>::new("music-video", proof)
        .store(MemoryStore::new())
        .handler(library.clone())
        .build()?;

    // `Routes::new` would answer an unknown path with HTTP 200 and a gRPC status that the provider does
    // not read: a mistyped callback URL would lose every event in silence. An axum router answers 404.
    let methods =
        Routes::from(axum::Router::new()).add_service(videos_server::VideosServer::new(library));
    let server = Server::builder()
        // The provider may speak HTTP/1.1.
        .accept_http1(true)
        .layer(callback.layer("/music-video-callback")?)
        .add_routes(methods)
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), shutdown(stopped.clone()));
    let (served, ()) = tokio::join!(server, worker.run_until(shutdown(stopped)));
    Ok(served?)
}

/// Where tonic keeps the peer's address.
fn peer(extensions: &Extensions) -> Option<IpAddr> {
    let peer = extensions.get::<TcpConnectInfo>()?.remote_addr()?;
    Some(peer.ip())
}

async fn shutdown(mut stopped: watch::Receiver<()>) {
    let _ = stopped.changed().await;
}
