//! Out of quarantine, when a later release of the service can read what came.

use tower_callback::{
    Callback, Event, EventKey, MusicVideo, Verify,
    event::{InvalidKey, ParseError},
    store::{
        Queue, State,
        inspect::{Inspect, Listing, ReleaseErrorKind, Released, release},
    },
    verify::{Verdict, Verified},
    verify_fn,
};

use crate::{
    NAME, Rig, rig_of,
    support::{PATH, SUCCESS, request},
};

/// What the release before could read: nothing.
#[derive(Debug)]
struct Nothing;

impl Event for Nothing {
    fn parse(_: &Callback<'_>) -> Result<Self, ParseError> {
        Err(ParseError::unprocessable("not yet known"))
    }
    fn key(&self) -> Result<EventKey, InvalidKey> {
        EventKey::new("nothing")
    }
}

/// Stands for what the header names.
fn signs_a_header() -> impl Verify {
    verify_fn(|presented| {
        let subject = presented.headers().get("x-subject");
        let verified = Verified::assertion();
        Verdict::Accept(match subject.and_then(|subject| subject.to_str().ok()) {
            Some(subject) => verified.with_subject(subject),
            None => verified,
        })
    })
}

async fn send(rig: &Rig, subject: &str) -> u16 {
    let headers = [("x-subject", subject)];
    request(rig.server.addr, "POST", PATH, &headers, SUCCESS)
        .await
        .status
}

#[tokio::test]
async fn a_proof_for_another_task_neither_takes_a_callbacks_place_nor_is_released_as_it() {
    let rig = rig_of::<Nothing>(signs_a_header(), |b| b).await;
    assert_eq!(send(&rig, "task-2").await, 422);
    assert_eq!(send(&rig, "task-1").await, 422);
    assert_eq!(send(&rig, "task-1").await, 422);
    assert_eq!(rig.quarantined().await, 2, "a repeat, and another proof");

    let quarantine = Queue::quarantine(NAME);
    let kept = rig.store.list(&quarantine, &Listing::all()).await.unwrap();
    let [false_one, true_one] = &kept.records[..] else {
        panic!("{kept:?}");
    };
    let released = release::<MusicVideo>(&rig.store, &quarantine, false_one.id).await;
    assert_eq!(released.unwrap_err().kind(), ReleaseErrorKind::Subject);
    let released = release::<MusicVideo>(&rig.store, &quarantine, true_one.id).await;
    assert_eq!(released.unwrap(), Released::Stored);
    assert_eq!(rig.stored("task-1").await.unwrap(), SUCCESS);
    assert_eq!((rig.pending().await, rig.quarantined().await), (1, 1));
    let left = rig.store.look(&quarantine, false_one.id).await.unwrap();
    assert_eq!(left.unwrap().summary.state, State::Pending);
}
