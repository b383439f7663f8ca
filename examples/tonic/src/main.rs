//! ```text
//! cargo run               serves until Ctrl-C
//! cargo run -- --once     calls itself, and ends with 0 if all went right
//! ```

use std::{net::SocketAddr, time::Duration};

use http::Version;
use tokio::{
    net::TcpListener,
    signal::ctrl_c,
    sync::watch,
    time::{sleep, timeout},
};
use tonic::Code;
use tonic_example::{FindRequest, SECRET, provider::succeed, serve, videos_client::VideosClient};
use tower_callback::BoxError;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}");
    let (stop, stopped) = watch::channel(());
    let server = tokio::spawn(serve(listener, stopped));

    let outcome = if std::env::args().any(|argument| argument == "--once") {
        call(address).await
    } else {
        Ok(ctrl_c().await?)
    };

    drop(stop);
    timeout(Duration::from_secs(40), server).await???;
    outcome
}

/// Plays the provider, and a client of the service.
async fn call(address: SocketAddr) -> Result<(), BoxError> {
    let good = format!("/music-video-callback?token={SECRET}");
    let mut statuses = Vec::new();
    for (what, version, path) in [
        ("callback over HTTP/1.1", Version::HTTP_11, good.as_str()),
        ("the same over HTTP/2", Version::HTTP_2, &good),
        (
            "a wrong token",
            Version::HTTP_11,
            "/music-video-callback?token=guessed",
        ),
        ("a wrong path", Version::HTTP_2, "/music-video-callbacks"),
    ] {
        let status = succeed(address, version, path, "task-1").await?;
        println!("{what}: {status}");
        statuses.push(status.as_u16());
    }
    if statuses != [200, 200, 401, 404] {
        return Err("that is not right".into());
    }

    let mut videos = VideosClient::connect(format!("http://{address}")).await?;
    let handled = async {
        loop {
            let task_id = "task-1".to_owned();
            match videos.find(FindRequest { task_id }).await {
                Ok(reply) => return Ok(reply.into_inner().video_url),
                Err(status) if status.code() == Code::NotFound => {}
                Err(status) => return Err(status),
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    let url = timeout(Duration::from_secs(10), handled).await??;
    println!("Videos.Find: {url}");
    if url != "https://example.com/task-1.mp4" {
        return Err("that is not right".into());
    }
    Ok(())
}
