//! The simulated provider, against a server that notes every byte, and against a real endpoint.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod api;
mod client;
mod endpoint;
mod faults;
mod report;
mod schedule;
mod seeds;
mod server;
mod task_faults;
mod tasks;
mod videos;

use std::time::Duration;

use tower_callback::{MusicVideo, testing::Caller};

use self::server::Server;

fn event(task: &str) -> MusicVideo {
    MusicVideo::succeeded(task, "https://example.com/v.mp4")
}

fn provider(server: &Server) -> Caller {
    Caller::to(server.url()).unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Lets everybody run who can without time passing.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
