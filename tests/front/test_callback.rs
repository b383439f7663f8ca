//! A callback that asks only whether callbacks arrive.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tower::ServiceExt;
use tower_callback::{
    Callbacks, Disposition, MusicVideo, Token, Verify, front::TEST_CALLBACK,
    music_video::KieSignature, store::Inspect,
};

use crate::{
    NAME, rig, rig_of, rig_with,
    signature::{ago, kie},
    support::{PATH, SECRET, SUCCESS, post, request, url},
};

#[tokio::test]
async fn a_test_callback_is_answered_as_a_new_event_and_kept_nowhere() {
    let rig = rig().await;
    let test = post(rig.server.addr, &url(), TEST_CALLBACK).await;
    assert_eq!(rig.store.queues().await.unwrap(), []);
    let again = post(rig.server.addr, &url(), TEST_CALLBACK).await;
    let fresh = post(rig.server.addr, &url(), SUCCESS).await;
    assert_eq!(
        (test.status, &*test.body),
        (200, r#"{"status":"received"}"#)
    );
    assert_eq!(test.body, fresh.body);
    assert_eq!(again.body, fresh.body);
    assert_eq!((rig.pending().await, rig.quarantined().await), (1, 0));
}

#[tokio::test]
async fn without_proof_a_test_callback_is_refused_like_any_other() {
    let rig = rig().await;
    let test = post(rig.server.addr, PATH, TEST_CALLBACK).await;
    let other = post(rig.server.addr, PATH, SUCCESS).await;
    assert_eq!(test.status, 401);
    assert_eq!(test.body, other.body);
    rig.assert_untouched().await;
}

#[tokio::test]
async fn only_the_very_bytes_are_a_test() {
    for body in [
        format!("{TEST_CALLBACK} "),
        format!(" {TEST_CALLBACK}"),
        TEST_CALLBACK.replace("test\"}", "test\",\"x\":1}"),
    ] {
        let rig = rig().await;
        assert_eq!(rig.send(&body).await, 422, "{body}");
        assert_eq!(rig.quarantined().await, 1);
    }
}

#[tokio::test]
async fn nothing_added_to_a_callback_makes_a_test_of_it() {
    let rig = rig().await;
    let marked = format!("{}&tower_callback=test", url());
    let headers = [("tower-callback-test", "1"), ("x-test", TEST_CALLBACK)];
    let answer = request(rig.server.addr, "POST", &marked, &headers, SUCCESS).await;
    assert_eq!((answer.status, rig.pending().await), (200, 1));
}

#[tokio::test]
async fn a_test_must_come_as_callbacks_must() {
    let rig = rig_with(|builder| builder.strict_content_type()).await;
    let plain = [("content-type", "text/plain")];
    let answer = request(rig.server.addr, "POST", &url(), &plain, TEST_CALLBACK).await;
    assert_eq!((answer.status, rig.quarantined().await), (415, 1));
}

#[tokio::test]
async fn an_id_in_a_test_callback_can_be_signed() {
    let proof = KieSignature::new(SECRET).and(Token::query("token", SECRET));
    let rig = rig_of::<MusicVideo>(proof, |builder| builder).await;
    let time = ago(0);
    let signature = kie("tower-callback-test", &time);
    let headers = [
        ("x-webhook-timestamp", &*time),
        ("x-webhook-signature", &*signature),
    ];
    let answer = request(rig.server.addr, "POST", &url(), &headers, TEST_CALLBACK).await;
    assert_eq!(answer.status, 200);
    rig.assert_untouched().await;
}

#[tokio::test]
async fn a_function_that_accepts_events_is_not_given_tests() {
    let called = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&called);
    let service = Callbacks::<MusicVideo>::new(NAME, Token::query("token", SECRET))
        .accept(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            async { Ok(()) }
        })
        .unwrap();
    for (body, disposition, calls) in [
        (TEST_CALLBACK, Disposition::Tested, 0),
        (SUCCESS, Disposition::Accepted, 1),
    ] {
        let request = Request::post(url())
            .body(Full::<Bytes>::from(body))
            .unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.extensions().get(), Some(&disposition));
        assert_eq!(called.load(Ordering::SeqCst), calls);
    }
}
