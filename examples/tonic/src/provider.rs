//! Plays the provider, over HTTP/1.1 or HTTP/2.

use std::{net::SocketAddr, time::Duration};

use http::{Request, Response, StatusCode, Version, header};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, task::JoinSet, time::timeout};
use tower_callback::{BoxError, MusicVideo};

/// Tells of a task's success at a path, and reads the status of the answer.
pub async fn succeed(
    to: SocketAddr,
    version: Version,
    path: &str,
    task: &str,
) -> Result<StatusCode, BoxError> {
    let body = MusicVideo::succeeded(task, format!("https://example.com/{task}.mp4")).encode();
    let body = http_body_util::Full::new(body);
    let request = Request::post(format!("http://{to}{path}"))
        .version(version)
        .header(header::HOST, to.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)?;
    let answer = async {
        let stream = TokioIo::new(TcpStream::connect(to).await?);
        let mut driver = JoinSet::new();
        let response: Response<Incoming> = if version == Version::HTTP_2 {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
            driver.spawn(connection);
            sender.send_request(request).await?
        } else {
            let (mut sender, connection) = http1::handshake(stream).await?;
            driver.spawn(connection);
            sender.send_request(request).await?
        };
        Ok(response.status())
    };
    // The provider itself waits for 15 s.
    timeout(Duration::from_secs(15), answer).await?
}
