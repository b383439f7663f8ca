//! Signed callbacks, over real sockets.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tower_callback::{
    Callback, Event, EventKey, MusicVideo, Token, Verify,
    event::{InvalidKey, ParseError},
    music_video::KieSignature,
    verify::Signature,
};

use crate::{
    Rig, rig_of,
    support::{Answer, Client, PATH, SECRET, SUCCESS, post, request, success},
};

const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Any JSON, with the signed id as its key.
struct Signed(String);

impl Event for Signed {
    const HEADERS: &'static [&'static str] = &["webhook-id"];

    fn parse(callback: &Callback<'_>) -> Result<Self, ParseError> {
        let _: serde_json::Value = callback.json()?;
        let id = callback.headers().get("webhook-id");
        let id = id.and_then(|id| id.to_str().ok());
        Ok(Self(
            id.ok_or_else(|| ParseError::unprocessable("no webhook-id"))?
                .to_owned(),
        ))
    }

    fn key(&self) -> Result<EventKey, InvalidKey> {
        EventKey::new(&self.0)
    }
}

fn mac(key: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(&pieces.concat());
    mac.finalize().into_bytes().to_vec()
}

fn github(body: &[u8]) -> String {
    let tag = mac(SECRET.as_bytes(), &[body]);
    let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

fn standard_webhooks(id: &str, time: &str, body: &[u8]) -> String {
    let key = STANDARD.decode(&WHSEC["whsec_".len()..]).unwrap();
    let tag = mac(&key, &[id.as_bytes(), b".", time.as_bytes(), b".", body]);
    format!("v1,{}", STANDARD.encode(tag))
}

pub(crate) fn kie(id: &str, time: &str) -> String {
    let tag = mac(SECRET.as_bytes(), &[id.as_bytes(), b".", time.as_bytes()]);
    STANDARD.encode(tag)
}

/// Unix seconds, so many ago.
pub(crate) fn ago(seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    (now.as_secs() - seconds).to_string()
}

async fn send(rig: &Rig, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
    request(rig.server.addr, "POST", PATH, headers, body).await
}

#[tokio::test]
async fn a_standard_webhook_is_received_once_however_often_it_is_sent() {
    let rig = rig_of::<Signed>(Signature::standard_webhooks(WHSEC), |b| b).await;
    let body = br#"{"type":"invoice.paid"}"#;
    for (id, seconds, pending) in [("msg_1", 0, 1), ("msg_1", 120, 1), ("msg_2", 0, 2)] {
        let time = ago(seconds);
        let signature = standard_webhooks(id, &time, body);
        let headers = [
            ("webhook-id", id),
            ("webhook-timestamp", &*time),
            ("webhook-signature", &*signature),
        ];
        // The second is what somebody captured.
        for _ in 0..2 {
            assert_eq!(send(&rig, &headers, body).await.status, 200);
            assert_eq!(rig.pending().await, pending);
        }
    }
    assert_eq!(rig.stored("msg_1").await.unwrap(), &body[..]);
}

#[tokio::test]
async fn every_refused_signature_gets_the_answer_of_a_refused_token() {
    let rig = rig_of::<Signed>(Signature::standard_webhooks(WHSEC), |b| b).await;
    let token = rig_of::<Signed>(Token::bearer(SECRET), |b| b).await;
    let mut expected = post(token.server.addr, PATH, "{}").await;
    expected.headers.remove("date");

    let (now, old, body) = (ago(0), ago(301), b"{}");
    let right = standard_webhooks("msg_1", &now, body);
    let of_old = standard_webhooks("msg_1", &old, body);
    let with = |id, time, signature| {
        vec![
            ("webhook-id", id),
            ("webhook-timestamp", time),
            ("webhook-signature", signature),
        ]
    };
    let all = with("msg_1", &*now, &*right);
    let mut forgeries = vec![
        vec![],
        with("msg_2", &now, &right),
        with("msg.1", &now, &right),
        with("msg_1", &old, &right),
        with("msg_1", &old, &of_old),
        with("msg_1", "soon", &right),
        with("msg_1", &now, "v1,garbage"),
        with("msg_1", &now, &of_old),
    ];
    for index in 0..3 {
        forgeries.push([&all[..], &all[index..=index]].concat());
        let mut fewer = all.clone();
        fewer.remove(index);
        forgeries.push(fewer);
    }
    for headers in &forgeries {
        let mut answer = send(&rig, headers, body).await;
        answer.headers.remove("date");
        assert_eq!(answer, expected, "{headers:?}");
    }
    assert_eq!(send(&rig, &all, b"{} ").await.status, 401);
    rig.assert_untouched().await;
    assert_eq!(send(&rig, &all, body).await.status, 200);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_proven_by_their_signature_and_kept() {
    let rig = rig_of::<MusicVideo>(Signature::github(SECRET), |b| b).await;
    let body = b"\xff\xfe\0\x80";
    let wrong = github(b"\xff\xfe\0\x81");
    let answer = send(&rig, &[("x-hub-signature-256", &wrong)], body).await;
    assert_eq!((answer.status, rig.quarantined().await), (401, 0));
    let right = github(body);
    let answer = send(&rig, &[("x-hub-signature-256", &right)], body).await;
    assert_eq!((answer.status, rig.quarantined().await), (400, 1));
    let right = github(SUCCESS.as_bytes());
    let answer = send(&rig, &[("x-hub-signature-256", &right)], SUCCESS).await;
    assert_eq!((answer.status, rig.pending().await), (200, 1));
}

#[tokio::test]
async fn a_body_is_asked_for_only_where_a_signature_could_be_right() {
    let rig = rig_of::<MusicVideo>(
        Signature::github(SECRET).or(Signature::stripe(SECRET)),
        |b| b,
    )
    .await;
    let expect = async |header: &str| {
        let mut client = Client::connect(rig.server.addr).await;
        let length = SUCCESS.len();
        client
            .write(format!(
                "POST {PATH} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
                 content-length: {length}\r\n{header}\r\n"
            ))
            .await;
        let first = client.answer().await.unwrap().status;
        if first != 100 {
            return (first, None);
        }
        client.write(SUCCESS).await;
        (first, client.answer().await.map(|answer| answer.status))
    };
    let zeros = "0".repeat(64);
    for refused in [
        String::new(),
        "x-hub-signature-256: garbage\r\n".to_owned(),
        format!("x-hub-signature-256: sha1={zeros}\r\n"),
        format!("x-hub-signature-256: sha256={zeros}\r\nx-hub-signature-256: sha256={zeros}\r\n"),
        format!("stripe-signature: t={},v1=garbage\r\n", ago(0)),
        format!("stripe-signature: t={},v1={zeros}\r\n", ago(301)),
        format!("stripe-signature: v1={zeros}\r\n"),
    ] {
        assert_eq!(expect(&refused).await, (401, None), "{refused}");
    }
    let wrong = format!("x-hub-signature-256: sha256={zeros}\r\n");
    assert_eq!(expect(&wrong).await, (100, Some(401)));
    let wrong = format!("stripe-signature: t={},v1={zeros}\r\n", ago(0));
    assert_eq!(expect(&wrong).await, (100, Some(401)));
    let right = github(SUCCESS.as_bytes());
    let right = format!("x-hub-signature-256: {right}\r\n");
    assert_eq!(expect(&right).await, (100, Some(200)));
}

#[tokio::test]
async fn kies_signature_is_good_for_its_own_task_alone() {
    let rig = rig_of::<MusicVideo>(KieSignature::new(SECRET), |b| b).await;
    // As old as the provider's last retry, were it not signed afresh.
    let time = ago(21 * 60);
    let signature = kie("task-1", &time);
    let headers = [
        ("x-webhook-timestamp", &*time),
        ("x-webhook-signature", &*signature),
    ];
    let other = send(&rig, &headers, success("task-2")).await;
    assert_eq!(other.status, 401);
    let two = SUCCESS.replacen('{', r#"{"task_id":"task-2","#, 1);
    assert_eq!(send(&rig, &headers, two).await.status, 401);
    assert_eq!(send(&rig, &headers[..1], SUCCESS).await.status, 401);
    rig.assert_untouched().await;

    assert_eq!(send(&rig, &headers, SUCCESS).await.status, 200);
    assert_eq!(rig.stored("task-1").await.unwrap(), SUCCESS);
    let unreadable = r#"{"code":200,"data":{"task_id":"task-1","video_url":""}}"#;
    assert_eq!(send(&rig, &headers, unreadable).await.status, 422);
    assert_eq!(rig.quarantined().await, 1, "it is proven, so it is kept");
}
