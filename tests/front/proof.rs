//! Who is let in, and what it costs to be refused.

use std::time::Duration;

use http::{Request, StatusCode};
use tower::{Service, ServiceExt};
use tower_callback::{
    Callbacks, Clock, Disposition, HandlerError, IpAllowlist, MemoryStore, MusicVideo, Token,
    Verify,
    verify::{PeerAddr, Refusal, RefusalKind, Verdict, Verified},
    verify_fn,
};

use crate::{
    Never, poll_once, rig, rig_of, rig_with,
    support::{Answer, Client, PATH, SECRET, SUCCESS, post, request, success, url},
};

const RECEIVED: &str = r#"{"status":"received"}"#;

#[tokio::test]
async fn the_right_token_is_received() {
    let rig = rig().await;
    let answer = post(rig.server.addr, &url(), SUCCESS).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, RECEIVED));
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(rig.stored("task-1").await.unwrap(), SUCCESS);
}

#[tokio::test]
async fn a_wrong_missing_empty_or_repeated_token_is_refused_alike() {
    let rig = rig().await;
    let mut answers = Vec::new();
    for query in [
        "?token=wrong".to_owned(),
        String::new(),
        "?token=".to_owned(),
        format!("?TOKEN={SECRET}"),
        format!("?token={SECRET}&token={SECRET}"),
        format!("?token={SECRET}&token=wrong"),
        format!("?token={}", &SECRET[1..]),
        format!("?token={SECRET}x"),
    ] {
        let mut answer = post(rig.server.addr, &format!("{PATH}{query}"), SUCCESS).await;
        assert_eq!(answer.status, 401, "{query}");
        answer.headers.remove("date");
        answers.push(answer);
    }
    assert_eq!(answers[0].headers["www-authenticate"], "Bearer");
    assert!(
        answers.windows(2).all(|pair| pair[0] == pair[1]),
        "{answers:?}"
    );
    rig.assert_untouched().await;
}

#[tokio::test]
async fn tokens_are_read_from_headers_too() {
    let header = rig_of::<MusicVideo>(Token::header("x-token", SECRET), |b| b).await;
    let bearer = rig_of::<MusicVideo>(Token::bearer(SECRET), |b| b).await;
    let authorization = format!("Bearer {SECRET}");
    for (rig, name, value) in [
        (&header, "x-token", SECRET),
        (&bearer, "authorization", authorization.as_str()),
    ] {
        let send = async |headers: &[(&str, &str)]| {
            request(rig.server.addr, "POST", PATH, headers, SUCCESS)
                .await
                .status
        };
        assert_eq!(send(&[(name, value), (name, value)]).await, 401);
        assert_eq!(send(&[(name, "wrong")]).await, 401);
        assert_eq!(send(&[(name, value)]).await, 200);
    }
}

#[tokio::test]
async fn every_method_but_post_is_405() {
    let rig = rig().await;
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
        let answer = request_head(&rig, method).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.headers["allow"], "POST");
    }
    rig.assert_untouched().await;
}

/// A request without a body; the answer to HEAD has none either.
async fn request_head(rig: &crate::Rig, method: &str) -> Answer {
    let mut client = Client::connect(rig.server.addr).await;
    let target = url();
    client
        .write(format!(
            "{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        ))
        .await;
    client.head().await
}

#[tokio::test]
async fn concealed_every_reply_before_proof_is_one_and_the_same_404() {
    let rig = rig_with(|builder| builder.conceal()).await;
    let mut answers = vec![
        post(rig.server.addr, PATH, SUCCESS).await,
        post(rig.server.addr, &format!("{PATH}?token=wrong"), SUCCESS).await,
        request(rig.server.addr, "GET", &url(), &[], "").await,
    ];
    for answer in &mut answers {
        answer.headers.remove("date");
        assert_eq!(
            answer,
            &Answer {
                status: 404,
                headers: answer.headers.clone(),
                body: r#"{"error":"not found"}"#.to_owned(),
            }
        );
        assert!(!answer.headers.contains_key("allow"));
        assert!(!answer.headers.contains_key("www-authenticate"));
    }
    assert_eq!(rig.send("{").await, 400, "after proof, replies speak");
    assert_eq!(rig.send(SUCCESS).await, 200);
}

/// What an endpoint that conceals answers who proves himself by his body, when taking the event comes
/// to this.
async fn concealed_after_body_proof<Fut>(accept: impl Fn() -> Fut + Send + Sync + 'static) -> u16
where
    Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    let service = Callbacks::<MusicVideo>::new("music-video", body_proof())
        .conceal()
        .ack_deadline(Duration::from_millis(100))
        .accept(move |_| accept())
        .unwrap();
    let request = Request::post(PATH)
        .header("x-length", SUCCESS.len())
        .body(SUCCESS.to_owned())
        .unwrap();
    service.oneshot(request).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn concealed_who_proved_himself_by_his_body_is_told_to_come_again() {
    assert_eq!(concealed_after_body_proof(async || Ok(())).await, 200);
    assert_eq!(concealed_after_body_proof(std::future::pending).await, 503);
    let panics = || async { panic!("while accepting") };
    assert_eq!(concealed_after_body_proof(panics).await, 503);
}

#[tokio::test]
async fn concealed_a_body_that_does_not_come_to_prove_anything_is_the_same_404() {
    // Over is the time of a body, of 5 seconds, or before it that of the answer.
    for (deadline, over) in [(10, 5), (4, 4)] {
        let hands = Clock::manual();
        let service = Callbacks::<MusicVideo>::new("music-video", body_proof())
            .store(MemoryStore::with_clock(&hands))
            .clock(hands.clock())
            .ack_deadline(Duration::from_secs(deadline))
            .conceal()
            .build_front()
            .unwrap();
        let request = Request::post(PATH)
            .header("x-length", "1")
            .body(Never)
            .unwrap();
        let mut answer = Box::pin(service.oneshot(request));
        assert!(poll_once(&mut answer).await.is_none(), "it waits");
        hands.advance(Duration::from_secs(over));
        assert_eq!(answer.await.unwrap().status(), 404, "after {over} s");
    }
}

#[tokio::test]
async fn a_refusal_goes_out_before_the_body_is_asked_for() {
    let rig = rig().await;
    let mut client = Client::connect(rig.server.addr).await;
    let head = |target: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
            SUCCESS.len()
        )
    };
    client.write(head(PATH)).await;
    assert_eq!(
        client.answer().await.unwrap().status,
        401,
        "and no 100 before it"
    );

    let mut client = Client::connect(rig.server.addr).await;
    client.write(head(&url())).await;
    assert_eq!(client.answer().await.unwrap().status, 100);
    client.write(SUCCESS).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn the_address_is_the_sockets_peer_and_unknown_peers_are_refused() {
    let token = || Token::query("token", SECRET);
    let ours = token().and(IpAllowlist::new(["127.0.0.0/8"], PeerAddr::of));
    let others = token().and(IpAllowlist::new(["203.0.113.0/24"], PeerAddr::of));
    let unknown = token().and(IpAllowlist::new(["0.0.0.0/0", "::/0"], |_| None));
    for (proof, status) in [(ours, 200), (others, 401), (unknown, 401)] {
        let rig = rig_of::<MusicVideo>(proof, |b| b).await;
        assert_eq!(rig.send(SUCCESS).await, status);
        let forwarded = [("x-forwarded-for", "203.0.113.7")];
        let answer = request(rig.server.addr, "POST", &url(), &forwarded, SUCCESS).await;
        assert_eq!(answer.status, status, "headers say nothing about the peer");
    }
}

/// Accepts bodies that are as long as the header `x-length` says; signs the subject `task-1`.
fn body_proof() -> impl Verify {
    verify_fn(|presented| {
        let Some(length) = presented.headers().get("x-length") else {
            return Verdict::Refuse(Refusal::new(RefusalKind::Missing, "length"));
        };
        match presented.body() {
            None => Verdict::NeedsBody,
            Some(body) if length.to_str().ok() == Some(&body.len().to_string()) => {
                Verdict::Accept(Verified::assertion().with_subject("task-1"))
            }
            Some(_) => Verdict::Refuse(Refusal::new(RefusalKind::Mismatch, "length")),
        }
    })
}

async fn signed(rig: &crate::Rig, length: usize, body: impl AsRef<[u8]>) -> u16 {
    let length = length.to_string();
    let headers = [("x-length", length.as_str())];
    request(rig.server.addr, "POST", PATH, &headers, body)
        .await
        .status
}

#[tokio::test]
async fn a_proof_by_body_is_asked_again_with_the_body() {
    let rig = rig_of::<MusicVideo>(body_proof(), |b| b).await;
    assert_eq!(post(rig.server.addr, PATH, SUCCESS).await.status, 401);
    assert_eq!(signed(&rig, 7, SUCCESS).await, 401);
    rig.assert_untouched().await;
    assert_eq!(signed(&rig, SUCCESS.len(), SUCCESS).await, 200);
}

#[tokio::test]
async fn an_event_about_another_subject_than_the_signed_one_is_refused() {
    let rig = rig_of::<MusicVideo>(body_proof(), |b| b).await;
    let other = success("task-2");
    assert_eq!(signed(&rig, other.len(), &other).await, 401);
    rig.assert_untouched().await;
}

#[tokio::test]
async fn a_proof_that_still_needs_the_body_when_it_has_it_refuses() {
    let rig = rig_of::<MusicVideo>(verify_fn(|_| Verdict::NeedsBody), |b| b).await;
    assert_eq!(rig.send(SUCCESS).await, 401);
    rig.assert_untouched().await;
}

#[tokio::test]
async fn a_body_before_proof_has_a_limit_of_its_own() {
    let rig = rig_of::<MusicVideo>(body_proof(), |b| b.unproven_body_limit(64)).await;
    assert_eq!(signed(&rig, SUCCESS.len(), SUCCESS).await, 413);
    assert_eq!(
        signed(&rig, 2, "{}").await,
        422,
        "within the limit it is read"
    );
}

#[tokio::test]
async fn who_gets_no_place_for_his_body_in_time_is_told_to_come_again() {
    let hands = Clock::manual();
    let timeout = Duration::from_secs(5);
    let mut service = Callbacks::<MusicVideo>::new("music-video", body_proof())
        .store(MemoryStore::with_clock(&hands))
        .clock(hands.clock())
        .unproven_bodies(1)
        .body_timeout(timeout)
        .build_front()
        .unwrap();
    let head = || Request::post(PATH).header("x-length", SUCCESS.len());
    // Nobody polls the holder again before the other has given up, so it keeps the only place.
    let mut holder = service.call(head().body(Never).unwrap());
    assert!(poll_once(&mut holder).await.is_none(), "its body is read");
    let mut second = service.call(head().body(SUCCESS.to_owned()).unwrap());
    assert!(poll_once(&mut second).await.is_none(), "it waits");
    hands.advance(timeout);
    let answer = poll_once(&mut second).await.unwrap().unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "60");
    let disposition = answer.extensions().get::<Disposition>();
    assert_eq!(disposition, Some(&Disposition::Overloaded));

    assert_eq!(holder.await.unwrap().status(), 408);
    let third = service.call(head().body(SUCCESS.to_owned()).unwrap());
    assert_eq!(third.await.unwrap().status(), 200, "the place is free");
}

#[tokio::test]
async fn without_proof_means_that_it_was_said_out_loud() {
    let store = tower_callback::MemoryStore::new();
    let service = tower_callback::Callbacks::<MusicVideo>::dangerous()
        .unverified("open")
        .store(store)
        .build_front()
        .unwrap();
    let server = crate::serve_hyper(service).await;
    let answer = post(server.addr, "/", SUCCESS).await;
    assert_eq!(answer.status, StatusCode::OK.as_u16());
}
