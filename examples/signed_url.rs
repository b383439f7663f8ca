//! A callback URL of its own for each submission, which proves itself and says which order it is for.
//! The keys are in a file, and are changed while the service runs.
//!
//! ```text
//! cargo run --example signed_url -- --once    calls itself, and ends with 0 if all went right
//! ```

mod support;

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use axum::Router;
use http::StatusCode;
use support::send;
use tokio::{
    net::TcpListener,
    signal::ctrl_c,
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tower_callback::{
    BoxError, Callbacks, Clock, Delivery, Handler, HandlerError, MemoryStore, MusicVideo,
    SignedUrl,
    clock::ManualClock,
    store::{Inspect, Queue},
    verify::Secrets,
};

/// Where the service finds its keys: a label, a key, and for one that retires its end. These are
/// for show: yours are 32 random bytes each.
const FIRST_KEYS: &str = "2026-10  Yh2Tg4Dk9wQo5rNx1sJz7aVb3cPe6uMi\n";
const ROTATED_KEYS: &str = "\
2026-11  Ck6Wc9cAq5Xs1nZt7eRj0vLp3mBy8fUd
2026-10  Yh2Tg4Dk9wQo5rNx1sJz7aVb3cPe6uMi  2100-01-01T00:00:00Z
";
const NEW_KEYS: &str = "2026-11  Ck6Wc9cAq5Xs1nZt7eRj0vLp3mBy8fUd\n";

/// What the handler saw: the order that the URL was made for, and the task.
type Handled = (Option<String>, String);

/// The handler, which tells what it was given.
struct Tell(mpsc::UnboundedSender<Handled>);

impl Handler<MusicVideo> for Tell {
    async fn handle(&self, delivery: Delivery<MusicVideo>) -> Result<(), HandlerError> {
        let order = delivery.correlation().map(str::to_owned);
        Ok(self.0.send((order, delivery.event.task_id))?)
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_ansi(false).init();

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("keys");
    fs::write(&file, FIRST_KEYS)?;
    let keys = Secrets::from_file(&file)?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    // The clock is turned by hand here, so that a URL expires while you look on. In production the
    // base is https://, and neither `dangerous` nor a clock is needed.
    let hands = Clock::manual();
    let base = format!("http://{address}/music-video-callback");
    let signed = SignedUrl::query("music-video", base, "cap", keys.clone())
        .with_clock(hands.clock())
        .dangerous()
        .plain_http();

    let store = MemoryStore::with_clock(&hands);
    let (handled, mut events) = mpsc::unbounded_channel::<Handled>();
    let (callback, worker) = Callbacks::<MusicVideo>::new("music-video", signed.clone())
        .clock(hands.clock())
        .store(store.clone())
        .handler(Tell(handled))
        .build()?;
    let app = Router::new().route_service("/music-video-callback", callback);

    let (stop, stopped) = watch::channel(());
    let server = axum::serve(listener, app).with_graceful_shutdown(shutdown(stopped.clone()));
    let server = tokio::spawn(server.into_future());
    let worker = tokio::spawn(worker.run_until(shutdown(stopped)));

    let outcome = if std::env::args().any(|argument| argument == "--once") {
        let demonstration = Demonstration {
            address,
            signed,
            keys,
            file,
            hands,
            store,
            events,
            calls: 0,
        };
        demonstration.run().await
    } else {
        println!("give this URL to the provider, for order-1742:");
        println!("{}", signed.mint("order-1742")?);
        tokio::select! {
            () = print(&mut events) => Ok(()),
            pressed = ctrl_c() => Ok(pressed?),
        }
    };

    drop(stop);
    timeout(Duration::from_secs(10), server).await???;
    worker.await?;
    outcome
}

async fn shutdown(mut stopped: watch::Receiver<()>) {
    let _ = stopped.changed().await;
}

async fn print(events: &mut mpsc::UnboundedReceiver<Handled>) {
    while let Some((order, task)) = events.recv().await {
        println!("handled {task} of {order:?}");
    }
}

/// Plays the provider, and the operator who changes the keys.
struct Demonstration {
    address: SocketAddr,
    signed: SignedUrl,
    keys: Secrets,
    file: PathBuf,
    hands: ManualClock,
    store: MemoryStore,
    events: mpsc::UnboundedReceiver<Handled>,
    calls: u32,
}

impl Demonstration {
    async fn run(mut self) -> Result<(), BoxError> {
        let first = self.signed.mint("order-1")?;
        println!("minted for order-1, {} characters", first.len());
        self.accepted("its callback", &first, "order-1").await?;
        let (start, last) = first.split_at(first.len() - 1);
        let altered = format!("{start}{}", if last == "A" { "E" } else { "A" });
        self.refused("a copy, its last character altered", &altered)
            .await?;
        let bare = first.split('?').next().unwrap_or_default();
        self.refused("the URL without its capability", bare).await?;

        fs::write(&self.file, ROTATED_KEYS)?;
        self.keys.reload()?;
        println!("the key 2026-11 signs now, and 2026-10 retires");
        let second = self.signed.mint("order-2")?;
        self.accepted("signed with 2026-10", &first, "order-1")
            .await?;
        self.accepted("signed with 2026-11", &second, "order-2")
            .await?;

        fs::write(&self.file, NEW_KEYS)?;
        self.keys.reload()?;
        println!("the key 2026-10 is gone");
        self.refused("signed with 2026-10", &first).await?;
        self.accepted("signed with 2026-11", &second, "order-2")
            .await?;

        // A lease that is not settled yet would end, too.
        timeout(Duration::from_secs(10), self.settled()).await??;
        self.hands.advance(SignedUrl::DEFAULT_EXPIRY);
        println!("25 hours later");
        self.refused("a copy, expired", &second).await?;
        let third = (self.signed).mint_for("order-3", Duration::from_secs(60))?;
        self.accepted("a new one, for a minute", &third, "order-3")
            .await?;
        println!("all went right");
        Ok(())
    }

    /// What comes with this URL reaches the handler, under this order.
    async fn accepted(&mut self, what: &str, url: &str, order: &str) -> Result<(), BoxError> {
        let (status, task) = self.call(what, url).await?;
        if status != StatusCode::OK {
            return Err("it should have been accepted".into());
        }
        let handled = timeout(Duration::from_secs(10), self.events.recv()).await?;
        println!("  handled: {handled:?}");
        if handled != Some((Some(order.to_owned()), task)) {
            return Err(format!("that is not the event of {order}").into());
        }
        Ok(())
    }

    async fn refused(&mut self, what: &str, url: &str) -> Result<(), BoxError> {
        match self.call(what, url).await? {
            (StatusCode::UNAUTHORIZED, _) => Ok(()),
            _ => Err("it should have been refused".into()),
        }
    }

    /// Calls a URL about a task of its own.
    async fn call(&mut self, what: &str, url: &str) -> Result<(StatusCode, String), BoxError> {
        self.calls += 1;
        let task = format!("task-{}", self.calls);
        let body = MusicVideo::succeeded(task.clone(), "https://example.com/1.mp4").encode();
        let target = url.strip_prefix(&format!("http://{}", self.address));
        let target = target.ok_or("the URL is another server's")?;
        let body = str::from_utf8(&body)?;
        let (status, _) = send(self.address, "POST", target, &[], body).await?;
        println!("{what:<35} {}", status.as_u16());
        Ok((status, task))
    }

    async fn settled(&self) -> Result<(), BoxError> {
        let queue = Queue::events("music-video");
        loop {
            let counts = self.store.counts(&queue).await?;
            if (counts.pending, counts.leased) == (0, 0) {
                return Ok(());
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use tower_callback::testing::{Harness, callback};

    use super::*;

    #[tokio::test]
    async fn a_url_says_which_order_it_is_for_until_it_expires() {
        let (handled, mut events) = mpsc::unbounded_channel();
        let key = "Ck6Wc9cAq5Xs1nZt7eRj0vLp3mBy8fUd";
        let signed = SignedUrl::query("music-video", "https://example.com/callback", "cap", key);
        let endpoint = Callbacks::<MusicVideo>::new("music-video", signed.clone());
        let test = Harness::on("music-video", endpoint, Tell(handled));
        let url = signed.mint("order-1").unwrap();
        test.receive_at(&url, callback("task-1")).await;
        test.settled().await;
        let told = events.recv().await.unwrap();
        assert_eq!(told, (Some("order-1".to_owned()), "task-1".to_owned()));

        test.clock().advance(SignedUrl::DEFAULT_EXPIRY * 2);
        let late = test.receive_at(&url, callback("task-2")).await;
        assert_eq!(late.status(), 401);
    }
}
