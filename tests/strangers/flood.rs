//! A flood of strangers leaves memory as it was, and reads no byte. Allocations are counted.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use tokio::runtime::Builder;
use tower::Service;
use tower_callback::{
    CallbackService, Callbacks, MemoryStore, MusicVideo, Token, Verify,
    verify::{Verdict, verify_fn},
};

use crate::{
    CANARY,
    body::Chunks,
    kinds::{Head, kinds},
};

const BODY: usize = 256 * 1024;

fn service(proof: impl Verify) -> CallbackService {
    Callbacks::<MusicVideo>::new("music-video", proof)
        .store(MemoryStore::new())
        .build_front()
        .unwrap()
}

/// A body that is announced, and that nobody may read.
struct Unread;

impl Body for Unread {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("a byte of a stranger's body is read")
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(BODY as u64)
    }
}

fn announced<B>(head: &Head, body: B) -> Request<B> {
    let (mut head, _) = head.post(Chunks::of("")).into_parts();
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(BODY));
    Request::from_parts(head, body)
}

#[test]
fn a_hundred_thousand_refusals_read_no_byte_and_leave_memory_flat() {
    const FLOOD: usize = 100_000;
    // Whoever is refused by his head. A proof by body has a test of its own.
    let by_head = |head: &Head| !head.is_by_body;
    let strangers: Vec<_> = kinds()
        .into_iter()
        .map(|kind| {
            let heads = (kind.bad)().into_iter().filter(by_head);
            (service((kind.proof)()), heads.collect::<Vec<_>>())
        })
        .collect();
    let rounds = FLOOD.div_ceil(strangers.iter().map(|(_, heads)| heads.len()).sum());
    let mut sent = 0;
    let mut cx = Context::from_waker(Waker::noop());
    let mut flood = |rounds: usize| {
        for _ in 0..rounds {
            for (service, heads) in &strangers {
                for head in heads {
                    let mut service = service.clone();
                    let call = pin!(service.call(announced(head, Unread)));
                    let Poll::Ready(Ok(response)) = call.poll(&mut cx) else {
                        panic!("a refusal by head is ready at once")
                    };
                    assert_eq!(response.status(), 401);
                    sent += 1;
                }
            }
        }
    };
    let first = allocation_counter::measure(|| flood(1));
    let all = allocation_counter::measure(|| flood(rounds));
    assert!(sent > FLOOD);
    assert_eq!(all.bytes_current, 0, "nothing is left of them: {all:?}");
    assert_eq!(
        all.bytes_max, first.bytes_max,
        "many cost no more at a time than few"
    );
    assert!(all.bytes_max < 64 * 1024, "{all:?}");
}

/// A body that sends all but its last byte, and counts itself once it is asked for.
struct Counted {
    asked: Arc<AtomicUsize>,
    sent: usize,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        const CHUNK: usize = 16 * 1024;
        if self.sent == 0 {
            self.asked.fetch_add(1, Ordering::Relaxed);
        }
        let size = CHUNK.min(BODY - 1 - self.sent);
        if size == 0 {
            return Poll::Pending;
        }
        self.sent += size;
        Poll::Ready(Some(Ok(Frame::data(vec![b' '; size].into()))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(BODY as u64)
    }
}

#[test]
fn a_garbage_signature_beside_a_wrong_token_does_not_buy_more_than_the_budget_for_bodies() {
    const FLOOD: usize = 5_000;
    const PLACES: usize = 64;
    // What a waiting request holds, without any body: its head, its future and its timers.
    const WAITING: usize = 8 * 1024;
    let signature = verify_fn(|presented| match presented.body() {
        None => Verdict::NeedsBody,
        Some(_) => panic!("no body is ever whole"),
    });
    let proof = Token::query("token", CANARY).or(signature);
    let head = Head::new("/callback?token=wrong");
    let asked = Arc::new(AtomicUsize::new(0));
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    let service = service(proof);
    let mut cx = Context::from_waker(Waker::noop());

    let info = allocation_counter::measure(|| {
        let mut waiting = Vec::with_capacity(FLOOD);
        for _ in 0..FLOOD {
            let body = Counted {
                asked: Arc::clone(&asked),
                sent: 0,
            };
            let mut request = announced(&head, body);
            let garbage = HeaderValue::from_static("sha256=garbage");
            let name = HeaderName::from_static("x-hub-signature-256");
            request.headers_mut().insert(name, garbage);
            let mut call = Box::pin(service.clone().call(request));
            for _ in 0..3 {
                assert!(call.as_mut().poll(&mut cx).is_pending());
            }
            waiting.push(call);
        }
    });
    assert_eq!(asked.load(Ordering::Relaxed), PLACES);
    let bound = (PLACES * 2 * BODY + FLOOD * WAITING) as u64;
    assert!(info.bytes_max < bound, "{info:?}, at most {bound}");
    assert_eq!(info.bytes_current, 0, "nothing is left of them: {info:?}");
}
