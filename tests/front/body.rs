//! Bodies of all kinds.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame};
use tower::ServiceExt;
use tower_callback::{Callbacks, Clock, MemoryStore, MusicVideo, Token, clock::ManualClock};

use crate::{
    NAME, rig, rig_with,
    support::{Client, SECRET, SUCCESS, request, url},
};

fn head(extra: &str) -> String {
    format!("POST {} HTTP/1.1\r\nhost: x\r\n{extra}\r\n", url())
}

#[tokio::test]
async fn any_content_type_is_read_if_the_bytes_can_be_read() {
    let rig = rig().await;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "nonsense",
        "application/JSON; charset=latin-1",
    ] {
        let headers = [("content-type", kind)];
        let answer = request(rig.server.addr, "POST", &url(), &headers, SUCCESS).await;
        assert_eq!(answer.status, 200, "{kind}");
    }
    assert_eq!(
        request(rig.server.addr, "POST", &url(), &[], SUCCESS)
            .await
            .status,
        200,
        "none"
    );
}

#[tokio::test]
async fn a_strict_content_type_refuses_others_and_keeps_what_they_sent() {
    let rig = rig_with(|builder| builder.strict_content_type()).await;
    let send = async |kind| {
        let headers = [("content-type", kind)];
        request(rig.server.addr, "POST", &url(), &headers, SUCCESS)
            .await
            .status
    };
    assert_eq!(send("application/json").await, 200);
    assert_eq!(send("Application/JSON; charset=utf-8").await, 200);
    assert_eq!(send("application/cloudevents+json").await, 200);
    assert_eq!(rig.quarantined().await, 0);
    for other in ["text/plain", "text", "+json", "application/json5", ""] {
        assert_eq!(send(other).await, 415, "{other}");
    }
    assert_eq!(rig.quarantined().await, 1);
    let two = [
        ("content-type", "application/json"),
        ("content-type", "text/plain"),
    ];
    let answer = request(rig.server.addr, "POST", &url(), &two, SUCCESS).await;
    assert_eq!(answer.status, 415, "of two types, none is the right one");
}

#[tokio::test]
async fn an_encoded_body_is_kept_and_not_read() {
    let rig = rig().await;
    let encoded = [("content-encoding", "gzip")];
    let answer = request(rig.server.addr, "POST", &url(), &encoded, "\x1f\u{8b}…").await;
    assert_eq!((answer.status, rig.quarantined().await), (415, 1));
    for none in ["identity", "", "identity, ,Identity"] {
        let none = [("content-encoding", none)];
        let answer = request(rig.server.addr, "POST", &url(), &none, SUCCESS).await;
        assert_eq!((answer.status, rig.pending().await), (200, 1));
    }
    let two = [("content-encoding", "identity"), ("content-encoding", "br")];
    let answer = request(rig.server.addr, "POST", &url(), &two, SUCCESS).await;
    assert_eq!(answer.status, 415);
}

#[tokio::test]
async fn an_announced_body_over_the_limit_is_refused_unread() {
    let rig = rig_with(|builder| builder.body_limit(1000)).await;
    let mut client = Client::connect(rig.server.addr).await;
    client.write(head("content-length: 1001\r\n")).await;
    let answer = client.answer().await.unwrap();
    assert_eq!(answer.status, 413, "before a byte of it was sent");
    rig.assert_untouched().await;
}

#[tokio::test]
async fn a_body_of_unknown_length_is_cut_at_the_limit() {
    let rig = rig_with(|builder| builder.body_limit(1000)).await;
    let mut client = Client::connect(rig.server.addr).await;
    client.write(head("transfer-encoding: chunked\r\n")).await;
    client
        .write(format!("1f4\r\n{}\r\n", " ".repeat(500)))
        .await;
    client
        .write(format!("1f5\r\n{}\r\n", " ".repeat(501)))
        .await;
    assert_eq!(client.answer().await.unwrap().status, 413);
    rig.assert_untouched().await;
}

#[tokio::test]
async fn a_body_at_the_limit_is_read() {
    let rig = rig_with(|builder| builder.body_limit(SUCCESS.len())).await;
    assert_eq!(rig.send(SUCCESS).await, 200);
    assert_eq!(rig.send(format!("{SUCCESS} ")).await, 413);
}

#[tokio::test]
async fn a_body_in_single_bytes_is_read() {
    let rig = rig().await;
    let mut client = Client::connect(rig.server.addr).await;
    client.write(head("transfer-encoding: chunked\r\n")).await;
    for byte in SUCCESS.bytes() {
        client
            .write([b"1\r\n", &[byte][..], b"\r\n"].concat())
            .await;
    }
    client.write("0\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert_eq!(rig.stored("task-1").await.unwrap(), SUCCESS);
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_408() {
    let rig = rig_with(|builder| builder.body_timeout(Duration::from_millis(50))).await;
    let mut client = Client::connect(rig.server.addr).await;
    client.write(head("content-length: 100\r\n")).await;
    client.write("{\"code\":").await;
    assert_eq!(client.answer().await.unwrap().status, 408);
    rig.assert_untouched().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_stored() {
    let rig = rig().await;
    let mut client = Client::connect(rig.server.addr).await;
    client.write(head("content-length: 1000\r\n")).await;
    client.write(SUCCESS).await;
    client.finish().await;
    if let Some(answer) = client.answer().await {
        assert_eq!(answer.status, 400);
    }
    rig.assert_untouched().await;
}

#[tokio::test]
async fn a_caller_who_hangs_up_in_the_middle_leaves_nothing_behind() {
    let rig = rig().await;
    let mut client = Client::connect(rig.server.addr).await;
    client.write(head("content-length: 1000\r\n")).await;
    client.write(SUCCESS).await;
    drop(client);
    assert_eq!(rig.send(SUCCESS).await, 200);
    assert_eq!((rig.pending().await, rig.quarantined().await), (1, 0));
}

#[tokio::test]
async fn http2_is_received_too() {
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let rig = rig().await;
    let stream = tokio::net::TcpStream::connect(rig.server.addr)
        .await
        .unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    for (target, status) in [(url(), 200), ("/callback".to_owned(), 401)] {
        let request = http::Request::post(format!("http://localhost{target}"))
            .body(Full::new(Bytes::from(SUCCESS)))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), status);
        response.into_body().collect().await.unwrap();
    }
    assert_eq!(rig.pending().await, 1);
    drop(sender);
    connection.await.unwrap().unwrap();
}

/// A body that always has a frame, an empty one, and turns the clock on its way.
struct Endless {
    frames: u32,
    hands: ManualClock,
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.frames += 1;
        match self.frames {
            1000 => self.hands.advance(Duration::from_secs(6)),
            // So that the test ends when nobody looks at the clock.
            100_000 => return Poll::Ready(None),
            _ => {}
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::new()))))
    }
}

#[tokio::test]
async fn a_body_of_empty_frames_without_end_is_408() {
    let hands = Clock::manual();
    let service = Callbacks::<MusicVideo>::new(NAME, Token::query("token", SECRET))
        .store(MemoryStore::with_clock(&hands))
        .clock(hands.clock())
        .build_front()
        .unwrap();
    let request = Request::post(url())
        .body(Endless { frames: 0, hands })
        .unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 408);
}
