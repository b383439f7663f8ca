//! User code that panics, at every seam: the caller is told to come again, and nothing is lost.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame};
use tower::ServiceExt;
use tower_callback::{
    Callback, Callbacks, Disposition, Event, EventKey, IpAllowlist, MusicVideo, Token, Verify,
    event::{InvalidKey, ParseError},
    store::{Counts, Inspect, Queue},
    verify::{Verdict, Verified},
    verify_fn,
};

use crate::{
    NAME, Rig, rig, rig_of, serve_hyper,
    support::{SECRET, SUCCESS, post, url},
};

#[tokio::test]
async fn a_proof_that_panics_is_503() {
    let by_head = verify_fn(|_| panic!("at the head"));
    let rig = rig_of::<MusicVideo>(by_head, |b| b).await;
    assert_eq!(rig.send(SUCCESS).await, 503);
    let by_body = verify_fn(|presented| match presented.body() {
        None => Verdict::NeedsBody,
        Some(_) => panic!("at the body"),
    });
    let rig = rig_of::<MusicVideo>(by_body, |b| b).await;
    assert_eq!(rig.send(SUCCESS).await, 503);
    rig.assert_untouched().await;
}

#[tokio::test]
async fn an_extractor_that_panics_is_503() {
    let proof = IpAllowlist::new(["127.0.0.1"], |_| panic!("no such extension"));
    let rig = rig_of::<MusicVideo>(proof, |b| b).await;
    assert_eq!(rig.send(SUCCESS).await, 503);
    rig.assert_untouched().await;
}

/// Panics where the body says so. Its subject is asked for only where the proof signs one.
struct Touchy(&'static str);

impl Event for Touchy {
    fn parse(callback: &Callback<'_>) -> Result<Self, ParseError> {
        match callback.body() {
            b"parse" => panic!("in parse"),
            b"key" => Ok(Self("key")),
            b"subject" => Ok(Self("subject")),
            _ => Ok(Self("fine")),
        }
    }

    fn key(&self) -> Result<EventKey, InvalidKey> {
        assert_ne!(self.0, "key", "in key");
        EventKey::new(self.0)
    }

    fn subject(&self) -> Option<&str> {
        assert_ne!(self.0, "subject", "in subject");
        Some(self.0)
    }
}

/// A proof by body that signs the body as the subject.
fn signs_its_body() -> impl Verify {
    verify_fn(
        |presented| match presented.body().map(std::str::from_utf8) {
            Some(Ok(subject)) => Verdict::Accept(Verified::assertion().with_subject(subject)),
            _ => Verdict::NeedsBody,
        },
    )
}

#[tokio::test]
async fn a_subject_that_panics_is_503_and_kept_in_quarantine() {
    let rig = rig_of::<Touchy>(signs_its_body(), |b| b).await;
    assert_eq!(rig.send("subject").await, 503);
    assert_eq!((rig.pending().await, rig.quarantined().await), (0, 1));
    assert_eq!(rig.send("fine").await, 200, "and the endpoint goes on");
}

#[tokio::test]
async fn an_event_that_panics_is_503_and_kept_in_quarantine() {
    for body in ["parse", "key"] {
        let rig = rig_of::<Touchy>(Token::query("token", SECRET), |b| b).await;
        assert_eq!(rig.send(body).await, 503, "{body}");
        assert_eq!(
            (rig.pending().await, rig.quarantined().await),
            (0, 1),
            "{body}"
        );
        assert_eq!(rig.send("fine").await, 200, "and the endpoint goes on");
    }
}

#[tokio::test]
async fn an_accepting_function_that_panics_is_503() {
    let accept = |event: MusicVideo| {
        assert_ne!(event.task_id, "task-1", "before the future");
        async move {
            assert_ne!(event.task_id, "task-2", "in the future");
            Ok(())
        }
    };
    let service = Callbacks::<MusicVideo>::new(NAME, Token::query("token", SECRET))
        .accept(accept)
        .unwrap();
    let server = serve_hyper(service).await;
    for (task, status) in [("task-1", 503), ("task-2", 503), ("task-3", 200)] {
        let body = crate::support::success(task);
        assert_eq!(
            post(server.addr, &url(), body).await.status,
            status,
            "{task}"
        );
    }
}

/// A body that panics when it is read.
struct BadBody;

impl Body for BadBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        panic!("in the body")
    }
}

#[tokio::test]
async fn a_body_that_panics_is_503() {
    let Rig { service, store, .. } = rig().await;
    let request = Request::post(url()).body(BadBody).unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 503);
    let disposition = response.extensions().get::<Disposition>();
    assert_eq!(disposition, Some(&Disposition::Panicked { proven: true }));
    let counts = store.counts(&Queue::events(NAME)).await.unwrap();
    assert_eq!(counts, Counts::default());
}
