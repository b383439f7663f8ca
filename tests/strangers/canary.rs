//! The canary in every place, through everything that can become of a callback.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Method, Request};
use tower::{Layer, Service, service_fn};
use tower_callback::{
    Callback, CallbackService, Callbacks, Delivery, Disposition, Event, EventKey, GiveUp,
    HandlerError, MemoryStore, MusicVideo, RetryPolicy, Token, Verify,
    event::{InvalidKey, ParseError},
    front::TEST_CALLBACK,
    store::{Inspect, Queue},
    testing::{Fault, Recording},
    verify::Verdict,
    verify_fn,
};

use crate::{
    CANARY, Metered, assert_unseen,
    body::Chunks,
    call,
    kinds::{Head, kinds},
    seen, success, traced,
};

const NAME: &str = "music-video";
const TARGET: &str =
    "/callback?token=canary-5f3c9d1e-sings-for-nobody&x=canary-5f3c9d1e-sings-for-nobody";

type Store = Recording<MemoryStore>;

/// Everything that was answered, printed, and decided.
#[derive(Default)]
struct Seen {
    text: String,
    outcomes: BTreeSet<&'static str>,
}

impl Seen {
    async fn ask(&mut self, service: &CallbackService, request: Request<Chunks>) -> Disposition {
        let response = call(service, request).await;
        let disposition = *response.extensions().get::<Disposition>().unwrap();
        self.outcomes.insert(disposition.as_str());
        self.text += &format!("{response:?} {disposition:?}\n");
        self.text += &seen(response).await;
        disposition
    }
}

fn token() -> Token {
    Token::query("token", [("november", CANARY)])
}

fn endpoint(
    proof: impl Verify,
    set: impl FnOnce(Callbacks<MusicVideo, Store>) -> Callbacks<MusicVideo, Store>,
) -> (CallbackService, Store) {
    let store = Recording::new(MemoryStore::new());
    let callbacks = Callbacks::new(NAME, proof).store(store.clone());
    (set(callbacks).build_front().unwrap(), store)
}

/// A request with the canary in its target and in headers that anybody may send.
fn post(body: impl Into<Chunks>) -> Request<Chunks> {
    let mut head = Head::new(TARGET);
    for name in [
        "authorization",
        "cookie",
        "user-agent",
        "referer",
        "content-type",
        "x-forwarded-for",
        "forwarded",
        CANARY,
    ] {
        head = head.with(name, CANARY);
    }
    // A trace of its own, whose state is kept, too.
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    head = head.with("traceparent", parent);
    head = head.with("tracestate", format!("a={CANARY}"));
    head.post(body.into())
}

impl From<String> for Chunks {
    fn from(body: String) -> Self {
        Self::of(body)
    }
}

impl From<&'static str> for Chunks {
    fn from(body: &'static str) -> Self {
        Self::of(body)
    }
}

/// What a proven caller may send that cannot be read.
fn unreadable() -> [String; 9] {
    [
        CANARY.to_owned(),
        format!("\"{CANARY}\""),
        format!("{{\"{CANARY}\":"),
        format!("{{\"code\":\"{CANARY}\",\"data\":{{\"task_id\":\"{CANARY}\"}}}}"),
        format!("{{\"code\":200,\"code\":{CANARY}}}"),
        format!("{{\"code\":200,\"data\":{{\"task_id\":\"{CANARY}\",\"taskId\":\"{CANARY}x\"}}}}"),
        format!("{{\"code\":200,\"data\":{{\"task_id\":\"{CANARY}\"}}}}"),
        format!("{{\"code\":400,\"data\":{{\"task_id\":[\"{CANARY}\"]}}}}"),
        format!("{{\"code\":400,\"data\":{{\"task_id\":\"{CANARY}\\u0000\"}}}}"),
    ]
}

#[tokio::test]
async fn no_kind_of_proof_lets_the_canary_out_when_it_accepts_or_when_it_refuses() {
    let traced = traced();
    let metered = Metered::start();
    let mut all = Seen::default();
    for kind in kinds() {
        let (service, _) = endpoint((kind.proof)(), |b| b);
        let body = success(CANARY);
        let good = (kind.good)(CANARY, body.as_bytes());
        let stored = all.ask(&service, good.post(body.clone().into())).await;
        assert_eq!(stored, Disposition::Stored, "{}", kind.name);
        for head in (kind.bad)() {
            all.ask(&service, head.post(body.clone().into())).await;
        }
        all.text += &format!("{service:?} {:?}", service.layer("/callback/{token}"));
    }
    assert_eq!(all.outcomes, ["refused", "stored"].into());
    assert!(traced.text().contains("callback refused"), "it was traced");
    assert_unseen(&traced.text(), CANARY);
    assert_unseen(&metered.text(), CANARY);
    assert_unseen(&all.text, CANARY);
}

#[tokio::test]
async fn nothing_that_becomes_of_a_callback_lets_the_canary_out() {
    let traced = traced();
    let metered = Metered::start();
    let mut all = Seen::default();

    let (service, _) = endpoint(token(), |b| b);
    let failed = |id: &str| MusicVideo::failed(id, 400, CANARY).encode();
    let failed = |id: &str| String::from_utf8(failed(id).to_vec()).unwrap();
    for body in [
        failed(CANARY),
        success(CANARY),
        success(CANARY),
        failed(CANARY),
    ] {
        all.ask(&service, post(body)).await;
    }
    let other = success(CANARY).replace(".com", ".org");
    assert_eq!(
        all.ask(&service, post(other)).await,
        Disposition::Repeated { differs: true }
    );
    for body in unreadable() {
        all.ask(&service, post(body)).await;
    }
    all.ask(&service, post(TEST_CALLBACK)).await;
    for method in ["GET", "CANARY", CANARY] {
        let mut request = post("");
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        all.ask(&service, request).await;
    }
    let mut encoded = post(success("encoded"));
    let value = CANARY.parse().unwrap();
    encoded.headers_mut().insert("content-encoding", value);
    all.ask(&service, encoded).await;
    all.ask(&service, post(Chunks::of(CANARY).then_fails(CANARY)))
        .await;
    let mut announced = post("");
    let length = "99999999".parse().unwrap();
    announced.headers_mut().insert("content-length", length);
    all.ask(&service, announced).await;
    let chunk = bytes::Bytes::from(CANARY.repeat(1000));
    let large = Chunks::many(std::iter::repeat_n(chunk, 100));
    all.ask(&service, post(large)).await;

    let (slow, _) = endpoint(token(), |b| b.body_timeout(Duration::from_millis(30)));
    all.ask(&slow, post(Chunks::of(CANARY).then_hangs())).await;
    let (late, _) = endpoint(token(), |b| b.ack_deadline(Duration::from_millis(30)));
    all.ask(&late, post(Chunks::of(CANARY).then_hangs())).await;
    let (strict, _) = endpoint(token(), |b| b.strict_content_type());
    all.ask(&strict, post(success("strict"))).await;

    // The last of these waits for its place longer than the first two hold theirs.
    let (busy, _) = endpoint(verify_fn(|_| Verdict::NeedsBody), |b| {
        b.unproven_bodies(1).body_timeout(Duration::from_millis(30))
    });
    let hanging = || post(Chunks::of(CANARY).then_hangs());
    let (mut a, mut b, mut c) = (Seen::default(), Seen::default(), Seen::default());
    tokio::join!(
        a.ask(&busy, hanging()),
        b.ask(&busy, hanging()),
        c.ask(&busy, hanging())
    );
    for one in [a, b, c] {
        all.outcomes.extend(one.outcomes);
        all.text += &one.text;
    }
    all.ask(&busy, post(CANARY)).await;

    let (broken, store) = endpoint(token(), |b| b.ack_deadline(Duration::from_millis(200)));
    for fault in [
        Fault::Unavailable,
        Fault::Rejected,
        Fault::Hang,
        Fault::Full,
        Fault::Busy,
        Fault::Panic,
        Fault::LostAnswer,
    ] {
        store.fail(fault);
        all.ask(&broken, post(success("task-1"))).await;
        all.ask(&broken, post(CANARY)).await;
        store.heal();
    }
    all.text += &format!("{store:?} {:?}", store.recorded());

    let (panics, _) = endpoint(verify_fn(|_| panic!("the proof panics")), |b| b);
    all.ask(&panics, post(success("task-1"))).await;
    for refuses in [false, true] {
        let accept = Callbacks::<MusicVideo>::new(NAME, token()).accept(move |_| async move {
            if refuses {
                return Err("not today".into());
            }
            Ok(())
        });
        let accept = accept.unwrap();
        all.ask(&accept, post(success("task-1"))).await;
        for body in unreadable() {
            all.ask(&accept, post(body)).await;
        }
    }

    let everything = [
        "accepted",
        "busy",
        "content_type",
        "encoded",
        "full",
        "interrupted",
        "late",
        "malformed",
        "method_not_allowed",
        "not_accepted",
        "overloaded",
        "panicked",
        "refused",
        "repeated",
        "store_failed",
        "stored",
        "tested",
        "too_large",
        "too_slow",
        "unprocessable",
        "upgraded",
    ];
    assert_eq!(all.outcomes, everything.into());
    assert_unseen(&traced.text(), CANARY);
    assert_unseen(&metered.text(), CANARY);
    assert_unseen(&all.text, CANARY);
}

#[tokio::test]
async fn a_layer_lets_the_canary_out_neither_at_its_path_nor_beside_it() {
    let traced = traced();
    let metered = Metered::start();
    let (service, _) = endpoint(Token::segment(CANARY), |b| b);
    let layer = service.layer("/callback/{token}").unwrap();
    let app = service_fn(async |_: Request<Chunks>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
    });
    let app = layer.layer(app);
    let mut text = format!("{app:?} {layer:?}");
    for target in [
        "/callback/",
        "/callback/x",
        "/CALLBACK/",
        "//callback/",
        "/callback//",
        "/",
    ] {
        let request = Head::new(format!("{target}{CANARY}?{CANARY}"));
        let future = app.clone().call(request.post(success("task-1").into()));
        text += &format!("{future:?}");
        text += &format!("{:?}", future.await.unwrap());
    }
    assert!(traced.text().contains("mistyped"), "near misses are told");
    assert_unseen(&traced.text(), CANARY);
    assert_unseen(&metered.text(), CANARY);
    assert_unseen(&text, CANARY);
}

/// An event that the front could read, and the worker of the next release cannot.
struct Fickle(String);

impl Event for Fickle {
    fn parse(callback: &Callback<'_>) -> Result<Self, ParseError> {
        let video = MusicVideo::parse(callback)?;
        if video.task_id == "unreadable" {
            // What serde says quotes the value that it did not expect.
            callback.json::<std::collections::HashMap<String, u8>>()?;
        }
        Ok(Self(video.task_id))
    }

    fn key(&self) -> Result<EventKey, InvalidKey> {
        EventKey::new(&self.0)
    }
}

impl std::fmt::Debug for Fickle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fickle")
    }
}

#[tokio::test]
async fn no_attempt_to_handle_an_event_lets_the_canary_out() {
    let traced = traced();
    let metered = Metered::start();
    let store = MemoryStore::new();
    let front = Callbacks::<MusicVideo>::new(NAME, token())
        .store(store.clone())
        .build_front()
        .unwrap();
    let tasks = ["good", "fails", "panics", "gives-up", "hangs", "unreadable"];
    let mut all = Seen::default();
    for task in tasks {
        assert_eq!(
            all.ask(&front, post(success(task))).await,
            Disposition::Stored
        );
    }
    let printed = Arc::new(Mutex::new(String::new()));
    let print = Arc::clone(&printed);
    let worker = Callbacks::<Fickle>::new(NAME, token())
        .store(store.clone())
        .retry(
            RetryPolicy::default()
                .with_first_delay(Duration::from_millis(1))
                .with_total(Duration::from_millis(20)),
        )
        .handler_timeout(Duration::from_millis(20))
        .handle(move |delivery: Delivery<Fickle>| {
            *print.lock().unwrap() += &format!("{delivery:?}");
            async move {
                match delivery.event.0.as_str() {
                    "fails" => Err(HandlerError::from("no luck")),
                    "panics" => panic!("no luck at all"),
                    "gives-up" => Err(GiveUp::new("never").into()),
                    "hangs" => std::future::pending().await,
                    _ => Ok(()),
                }
            }
        })
        .build_worker()
        .unwrap();
    all.text += &format!("{worker:?}");
    let queue = Queue::events(NAME);
    let done = async {
        loop {
            let counts = store.counts(&queue).await.unwrap();
            if counts.pending + counts.leased == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), worker.run_until(done))
        .await
        .unwrap();
    let text = traced.text();
    for told in ["attempt failed", "dead letter", "no luck", "never"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let printed = printed.lock().unwrap();
    assert!(printed.contains("Delivery"), "it was printed");
    assert_unseen(&text, CANARY);
    assert_unseen(&printed, CANARY);
    assert_unseen(&metered.text(), CANARY);
    assert_unseen(&all.text, CANARY);
}
