//! Slow, cut, huge and garbled answers.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tower_callback::{
    Clock,
    music_video::{ClientErrorKind as Kind, Status},
};

use crate::{
    CALLBACK, KEY, PENDING, TAKEN, builder, never, request,
    server::{Reply, Server, raw},
};

/// A step of SplitMix64.
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((z ^ (z >> 31)) >> 1).unwrap()
}

#[tokio::test]
async fn an_answer_that_stops_half_way_is_late_in_the_end() {
    for part in [&TAKEN[..20], ""] {
        let hands = Clock::manual();
        let server = Server::start(move |_, _| Reply::ok(part).silent()).await;
        let client = builder(&server.base)
            .with_clock(hands.clock())
            .with_retries(never());
        let client = client.build().unwrap();
        let call = tokio::spawn(async move { client.generate(&request(), CALLBACK).await });
        server.has_seen(1).await;
        hands.advance(Duration::from_secs(30));
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), Kind::Timeout);
        assert!(error.may_have_been_submitted());
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_it() {
    let server = Server::start(|_, _| Reply::ok(vec![b' '; 10_000]).endless()).await;
    let client = builder(&server.base).with_retries(never()).build().unwrap();
    let error = client.generate(&request(), CALLBACK).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreadable);
    assert!(error.to_string().contains("256 KiB"));
    assert!(error.may_have_been_submitted());
    assert_eq!(
        client.details("task-1").await.unwrap_err().kind(),
        Kind::Unreadable
    );
}

#[tokio::test]
async fn an_answer_is_read_up_to_the_limit_and_not_a_byte_further() {
    for (len, is_read) in [(256 * 1024, true), (256 * 1024 + 1, false)] {
        let server = Server::start(move |_, _| {
            Reply::ok(PENDING.to_owned() + &" ".repeat(len - PENDING.len()))
        })
        .await;
        let client = builder(&server.base).with_retries(never()).build().unwrap();
        assert_eq!(client.details("task-1").await.is_ok(), is_read, "{len}");
    }
}

#[tokio::test]
async fn no_redirect_is_followed_and_the_key_goes_nowhere_else() {
    for status in [301, 302, 303, 307, 308] {
        let other = Server::always(200, TAKEN).await;
        let to = other.base.clone();
        let server =
            Server::start(move |_, _| Reply::new(status, "").header("location", to.clone())).await;
        let client = builder(&server.base).build().unwrap();
        let generate = client.generate(&request(), CALLBACK).await.unwrap_err();
        let details = client.details("task-1").await.unwrap_err();
        for error in [generate, details] {
            assert_eq!(error.kind(), Kind::Redirected);
            assert_eq!(error.status(), Some(status));
        }
        assert_eq!(server.seen().len(), 2);
        assert_eq!(other.connections(), 0);
    }
}

#[tokio::test]
async fn what_is_not_even_http_may_have_been_submitted() {
    for bytes in [
        &b""[..],
        b"HTTP/1.1",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"\x15\x03\x01\x00\x02\x02\x50",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\0\0\0\0\0\0\0\0\0\0",
    ] {
        let (base, _server) = raw(bytes.to_vec()).await;
        let client = builder(&base).with_retries(never()).build().unwrap();
        let error = client.generate(&request(), CALLBACK).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Transport, "{bytes:?}");
        assert!(error.may_have_been_submitted(), "{bytes:?}");
        let error = client.details("task-1").await.unwrap_err();
        assert!(!error.may_have_been_submitted());
    }
}

#[tokio::test]
async fn a_hundred_garbled_answers_are_read_or_refused_and_never_about_another_task() {
    const SAMPLE: &str = r#"{"code":200,"msg":"success","data":{"taskId":"task-1","response":{"videoUrl":"https://example.com/v.mp4"},"successFlag":"SUCCESS","createTime":"2025-01-01 00:10:00","errorCode":null}}"#;
    let mut state = 0x7a11;
    let (mut read, mut refused) = (0, 0);
    let answer = Arc::new(Mutex::new(Vec::new()));
    let server = Server::start({
        let answer = Arc::clone(&answer);
        move |_, _| Reply::ok(answer.lock().unwrap().clone())
    });
    let server = server.await;
    let client = builder(&server.base)
        .with_retries(never())
        .with_rate_limit(1000, Duration::from_secs(1));
    let client = client.build().unwrap();
    for _ in 0..100 {
        let mut body = SAMPLE.as_bytes().to_vec();
        for _ in 0..=random(&mut state) % 3 {
            let at = random(&mut state) % body.len();
            match random(&mut state) % 4 {
                0 => body[at] = u8::try_from(random(&mut state) % 256).unwrap(),
                1 => drop(body.remove(at)),
                2 => body.insert(at, b"\"{}[],:\\0"[random(&mut state) % 9]),
                _ => body.truncate(at.max(1)),
            }
        }
        let shown = String::from_utf8_lossy(&body).into_owned();
        *answer.lock().unwrap() = body;
        match client.details("task-1").await {
            Ok(Some(details)) => {
                assert_eq!(details.task_id, "task-1", "{shown}");
                assert!(
                    !matches!(details.status, Status::Success) || shown.contains("SUCCESS"),
                    "{shown}"
                );
                read += 1;
            }
            Ok(None) => read += 1,
            Err(error) => {
                assert!(!format!("{error} {error:?}").contains(KEY));
                refused += 1;
            }
        }
    }
    assert!(read > 0 && refused > 0, "{read} read, {refused} refused");
}
