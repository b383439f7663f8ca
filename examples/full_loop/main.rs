//! The whole loop: videos are ordered from a provider, and fetched when they are there, whether he calls
//! back or has to be asked.
//!
//! ```text
//! cargo run --features sqlite,client,download,testing --example full_loop
//!     Orders three videos, and keeps what comes of them in `full_loop` or the directory that is given. A second
//!     run there finds everything: nothing is submitted or fetched again.
//! cargo run --features sqlite,client,download,testing --example full_loop -- --once
//!     The same in a directory that is removed, then ends: with 0 if all counts are right.
//! ```

mod demonstration;

use std::time::Duration;

use axum::Router;
use demonstration::{Demonstration, Ended, Handled};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinSet,
};
use tower_callback::{
    BoxError, Callbacks, Delivery, Handler, HandlerError, MusicVideo, SignedUrl, SqliteStore,
    download::{Downloader, Video},
    music_video::{Client, Code429, GenerateRequest, Outcome, Submission, Submitter},
};

/// Signs the callback URLs. This one is for show: yours are 32 random bytes.
const KEY: &str = "Yh2Tg4Dk9wQo5rNx1sJz7aVb3cPe6uMi";

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // The provider runs in this process, on a clock that is faster than ours. In production there is
    // neither a clock nor anything `dangerous`: all URLs are https:// then.
    let demonstration = Demonstration::from_arguments().await?;
    let clock = demonstration.clock();
    let client = Client::builder(demonstration.base_url(), demonstration.api_key())
        .with_code_429(Code429::RateLimited)
        .with_clock(clock.clone())
        .with_timeout(Duration::from_secs(10 * 60))
        .dangerous()
        .allow_http()
        .build()?;

    // Where callbacks arrive. Each submission gets a URL of its own, which is the proof.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/music-video-callback", listener.local_addr()?);
    let signed = SignedUrl::query("music-video", url, "cap", KEY)
        .with_clock(clock.clone())
        .dangerous()
        .plain_http();
    let store = SqliteStore::open(demonstration.database()).await?;
    let (callback, worker) = Callbacks::<MusicVideo>::new("music-video", signed.clone())
        .clock(clock)
        .store(store.clone())
        .poll_with(client.clone())
        .handler(Tell(demonstration.handled()))
        .build()?;
    let app = Router::new().route_service("/music-video-callback", callback);
    let (stop, stopped) = watch::channel(());
    let server = axum::serve(listener, app).with_graceful_shutdown(shutdown(stopped.clone()));
    let server = tokio::spawn(server.into_future());
    let worker = tokio::spawn(worker.run_until(shutdown(stopped)));

    // What orders videos, under ids of its own: after a crash it would submit all of them again, and each
    // is submitted once.
    let submitter = Submitter::new("music-video", store.clone(), client.clone(), signed)?;
    let downloader = Downloader::in_directory(demonstration.videos())
        .refresh_with(client)
        .dangerous()
        .allow_http()
        .dangerous()
        .allow_networks(["127.0.0.1"])
        .build()?;
    let bars = MultiProgress::new();
    let mut orders = JoinSet::new();
    for track in demonstration::TRACKS {
        let request = GenerateRequest::new("music-1", track);
        let submission = submitter.submit(&request, format!("order-{track}")).await?;
        let task = submission.task_id().unwrap_or("that has ended before");
        println!("order-{track}: the task {task}");
        orders.spawn(see_through(submission, downloader.clone(), bars.clone()));
    }
    let mut ended = Vec::new();
    while let Some(order) = orders.join_next().await {
        ended.push(order??);
    }

    demonstration.settled(&store).await?;
    drop(stop);
    server.await??;
    worker.await?;
    demonstration.finish(ended, &store).await
}

/// The handler, which tells what it was given: whoever waits for the order does the rest.
struct Tell(mpsc::UnboundedSender<Handled>);

impl Handler<MusicVideo> for Tell {
    async fn handle(&self, delivery: Delivery<MusicVideo>) -> Result<(), HandlerError> {
        Ok(self.0.send(Handled::of(&delivery))?)
    }
}

/// Waits until an order's task has ended, and fetches its video.
async fn see_through(
    submission: Submission,
    downloader: Downloader,
    bars: MultiProgress,
) -> Result<Ended, BoxError> {
    let order = submission.correlation().to_owned();
    let event = submission.wait().await?;
    let video = match &event.outcome {
        Outcome::Succeeded { video_url } => {
            Some(fetch(&downloader, &event.task_id, video_url, &bars).await?)
        }
        Outcome::Failed(_) => None,
    };
    Ok(Ended {
        order,
        event,
        video,
    })
}

/// Fetches a video, and shows how far it is.
async fn fetch(
    downloader: &Downloader,
    task_id: &str,
    url: &str,
    bars: &MultiProgress,
) -> Result<Video, BoxError> {
    let style = ProgressStyle::with_template("{prefix} {bar:30} {bytes:>10} of {total_bytes}")?;
    let bar = bars.add(ProgressBar::no_length().with_style(style));
    bar.set_prefix(task_id.to_owned());
    let mut fetch = downloader.fetch(task_id, url);
    let mut progress = fetch.progress();
    let show = async {
        while let Some(progress) = progress.next().await {
            bar.set_position(progress.done);
            if let Some(total) = progress.total {
                bar.set_length(total);
            }
        }
        bar.finish();
    };
    let (video, ()) = tokio::join!(fetch.into_future(), show);
    Ok(video?)
}

/// Resolves when its sender is dropped.
async fn shutdown(mut stopped: watch::Receiver<()>) {
    let _ = stopped.changed().await;
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use tower_callback::{
        event::Source,
        testing::{Harness, callback},
    };

    use super::*;

    #[tokio::test]
    async fn a_failure_and_its_success_are_told_with_their_order() {
        let (sender, mut handled) = mpsc::unbounded_channel();
        let signed = SignedUrl::query("test", "https://example.com/callback", "cap", KEY);
        let test = Harness::on("test", Callbacks::new("test", signed.clone()), Tell(sender));
        let url = signed.mint("order-1").unwrap();
        for call in [callback("task-1").failed(500, "later"), callback("task-1")] {
            test.receive_at(&url, call).await;
            test.settled().await;
            let told = handled.recv().await.unwrap();
            assert_eq!((&*told.task, told.source), ("task-1", Source::Callback));
            assert_eq!(told.order.as_deref(), Some("order-1"));
        }
    }
}
