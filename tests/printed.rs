//! What `Debug` shows: each type by its name, with what helps to tell one from another. What it must not
//! show is in the tests on strangers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{convert::Infallible, error::Error, fmt, time::Duration, time::SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_callback::{
    Callback, Callbacks, Delivery, Disposition, EventKey, GiveUp, HandlerError, IpAllowlist,
    MemoryStore, MusicVideo, RetryAfter, SignedUrl, Token, TraceContext,
    event::{ParseError, Source},
    verify::{PeerAddr, Presented, Secret, Secrets, TrustedProxies, Verdict, Verified},
    verify_fn,
};

const SECRET: &str = "a-secret-of-32-characters-or-so";

#[track_caller]
fn prints(printed: impl fmt::Debug, parts: &[&str]) {
    let printed = format!("{printed:?}");
    for part in parts {
        assert!(printed.contains(part), "{part} is not in {printed}");
    }
}

#[test]
fn a_proof_is_printed_with_its_settings() {
    let head = Request::post("/callback").body(()).unwrap().into_parts().0;
    let presented = Presented::new(&head, SystemTime::UNIX_EPOCH).with_body(b"four");
    prints(presented, &["Presented", "POST", "Some(4)"]);
    prints(
        verify_fn(|_: &Presented<'_>| Verdict::Accept(Verified::assertion())),
        &["VerifyFn"],
    );
    let addresses = || IpAllowlist::new(["203.0.113.0/24"], PeerAddr::of);
    prints(addresses(), &["IpAllowlist", "203.0.113.0/24", "None"]);
    let proxies = || TrustedProxies::forwarded(["10.0.0.0/8"]);
    prints(addresses().behind(proxies()), &["10.0.0.0/8"]);
    prints(
        addresses().behind(proxies()).behind(proxies()),
        &["called twice"],
    );
    let secret = Secret::new(SECRET).with_label("2026-11");
    prints(&secret, &["Secret", "2026-11"]);
    prints(Secrets::from([secret]), &["Secrets", "2026-11"]);
    let signed = SignedUrl::query("orders", "https://example.com", "cap", SECRET);
    prints(signed, &["SignedUrl", "orders", "cap"]);
}

#[test]
fn what_was_received_is_printed_without_what_it_says() {
    let mut headers = HeaderMap::new();
    headers.insert("x-id", HeaderValue::from_static("7"));
    let callback = Callback::new(b"four", SystemTime::UNIX_EPOCH, &headers);
    prints(callback, &["Callback", "4 bytes", "x-id"]);
    let key = EventKey::new("task-1").unwrap().with_rank(1);
    prints(key, &["EventKey", "task-1", "1"]);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let context: TraceContext = parent.parse().unwrap();
    prints(context, &["TraceContext", parent]);
    assert_eq!(format!("{:>9}", Source::Callback), " callback");
    assert_eq!(format!("{:>9}", Disposition::Stored), "   stored");
    let delivery = Delivery::new(7_u8);
    prints(delivery, &["Delivery", "event: 7", "bytes"]);
}

#[tokio::test]
async fn each_part_of_a_receiver_is_printed_with_its_endpoint() {
    let store = MemoryStore::new();
    prints(&store, &["MemoryStore"]);
    let (mut service, worker) = Callbacks::<MusicVideo>::new("orders", Token::bearer(SECRET))
        .store(store)
        .handle(async |_| Ok(()))
        .build()
        .unwrap();
    prints(&worker, &["Worker", "orders"]);
    prints(&service, &["CallbackService", "orders"]);
    let layer = service.layer("/callback").unwrap();
    prints(&layer, &["CallbackLayer", "orders", "/callback"]);
    let request = || {
        Request::post("/callback")
            .body(Full::<Bytes>::default())
            .unwrap()
    };
    prints(service.call(request()), &["CallbackFuture"]);

    let app = service_fn(async |_: Request<Full<Bytes>>| {
        Ok::<_, Infallible>(Response::<Full<Bytes>>::default())
    });
    let mut around = layer.layer(app);
    prints(&around, &["Intercept", "ServiceFn", "orders"]);
    prints(around.call(request()), &["InterceptFuture"]);
}

#[test]
fn an_error_is_printed_with_what_it_wraps() {
    #[derive(Debug, thiserror::Error)]
    #[error("no luck")]
    struct NoLuck(#[source] fmt::Error);
    prints(HandlerError::from("no luck"), &["HandlerError", "no luck"]);
    let unread = ParseError::unprocessable(NoLuck(fmt::Error));
    assert!(unread.source().unwrap().is::<fmt::Error>());
    for wrapped in [
        &GiveUp::new(NoLuck(fmt::Error)) as &dyn Error,
        &RetryAfter::new(Duration::from_secs(1), NoLuck(fmt::Error)),
    ] {
        assert_eq!(wrapped.to_string(), "no luck");
        assert!(wrapped.source().unwrap().is::<fmt::Error>());
    }
}
