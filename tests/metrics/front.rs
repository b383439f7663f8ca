//! What a front counts.

use std::time::{Duration, SystemTime};

use tower_callback::{
    CallbackService, Callbacks, MemoryStore, MusicVideo, Token,
    verify::{Secret, Secrets},
};

use crate::{Counted, NAME, SECRET, SUCCESS, send, texts};

const RETIRING: &str = "a-retiring-secret-of-32-characters";

fn endpoint() -> CallbackService {
    let tomorrow = SystemTime::now() + Duration::from_secs(24 * 60 * 60);
    let secrets = Secrets::from([
        Secret::new(SECRET).with_label("2026-11"),
        Secret::new(RETIRING)
            .with_label("2026-10")
            .with_until(tomorrow),
    ]);
    Callbacks::<MusicVideo>::new(NAME, Token::query("token", secrets))
        .store(MemoryStore::new())
        .build_front()
        .unwrap()
}

#[tokio::test]
async fn outcomes_refusals_secrets_events_and_commits_are_counted_by_name() {
    let counted = Counted::start();
    let service = endpoint();
    send(&service, &format!("token={SECRET}"), SUCCESS).await;
    send(&service, &format!("token={RETIRING}"), SUCCESS).await;
    for _ in 0..3 {
        send(&service, &format!("token={RETIRING}"), "{").await;
    }
    send(&service, "token=a-canary-for-a-guess", SUCCESS).await;
    send(&service, "", SUCCESS).await;
    assert_eq!(
        texts(counted.lines(), ""),
        [
            "ack_seconds{endpoint=music-video,outcome=malformed} of 3",
            "ack_seconds{endpoint=music-video,outcome=refused} of 2",
            "ack_seconds{endpoint=music-video,outcome=repeated} of 1",
            "ack_seconds{endpoint=music-video,outcome=stored} of 1",
            "commit_records{endpoint=music-video,outcome=written} of 5",
            "commit_seconds{endpoint=music-video,outcome=written} of 5",
            "events_total{endpoint=music-video,source=callback} 1",
            "quarantined_total{endpoint=music-video,outcome=malformed} 1",
            "received_total{endpoint=music-video,outcome=malformed} 3",
            "received_total{endpoint=music-video,outcome=refused} 2",
            "received_total{endpoint=music-video,outcome=repeated} 1",
            "received_total{endpoint=music-video,outcome=stored} 1",
            "refused_total{endpoint=music-video,kind=mismatch,part=token} 1",
            "refused_total{endpoint=music-video,kind=missing,part=token} 1",
            "secret_used_total{endpoint=music-video,label=2026-10,retiring=true} 4",
            "secret_used_total{endpoint=music-video,label=2026-11,retiring=false} 1",
        ],
        "and no secret, no guess and no task is among the labels"
    );
}

#[cfg(feature = "testing")]
#[tokio::test]
async fn a_store_that_fails_is_counted() {
    use tower_callback::testing::{Fault, Recording};
    let counted = Counted::start();
    let store = Recording::new(MemoryStore::new());
    store.fail(Fault::Rejected);
    let service = Callbacks::<MusicVideo>::new(NAME, Token::query("token", SECRET))
        .store(store)
        .build_front()
        .unwrap();
    assert_eq!(
        send(&service, &format!("token={SECRET}"), SUCCESS).await,
        503
    );
    let lines = counted.lines();
    assert!(texts(lines, "events").is_empty());
    let counted = Counted::start();
    send(&service, &format!("token={SECRET}"), SUCCESS).await;
    assert_eq!(
        counted.told("commit_seconds"),
        ["commit_seconds{endpoint=music-video,outcome=failed} of 1"]
    );
}

#[cfg(feature = "client")]
#[tokio::test]
async fn a_callback_that_is_only_a_hint_is_no_event_until_it_is_confirmed() {
    use tower_callback::music_video::{Client, Polling};
    let client = Client::builder("https://example.com", "a-key");
    let client = client.build().unwrap();
    let counted = Counted::start();
    let service = Callbacks::<MusicVideo>::new(NAME, Token::query("token", SECRET))
        .store(MemoryStore::new())
        .confirm_with(Polling::new(client))
        .build_front()
        .unwrap();
    assert_eq!(
        send(&service, &format!("token={SECRET}"), SUCCESS).await,
        200
    );
    assert!(counted.told("events").is_empty());
}
