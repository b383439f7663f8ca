//! What access logs say of a URI that has a secret in it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../src/testing/capture.rs"]
mod capture;

use http::{Request, Uri};
use proptest::prelude::*;
use tower_callback::{Redaction, redact};

fn uri(uri: &str) -> Uri {
    uri.parse().unwrap()
}

#[test]
fn no_value_of_the_query_is_left() {
    for (given, shown) in [
        ("/a/b", "/a/b"),
        ("/", "/"),
        ("/a?", "/a?"),
        ("/a?token=SECRET", "/a?token=***"),
        ("/a?token=SECRET&token=", "/a?token=***&***"),
        ("/a?SECRET", "/a?***"),
        ("/a?=SECRET", "/a?***"),
        ("/a?SECRET=", "/a?***"),
        ("/a?x/SECRET/=1", "/a?***"),
        ("/a?token=SEC=RET==", "/a?token=***"),
        ("/a?&&x=SECRET&", "/a?&&x=***&"),
        ("/a?x;token=SECRET", "/a?***"),
        ("/a?token=SECRET?token=SECRET", "/a?token=***"),
        (
            "https://user:SECRET@example.com:8443/a?token=SECRET",
            "https://example.com:8443/a?token=***",
        ),
        (
            "http://[2001:db8::1]:80/?x=SECRET",
            "http://[2001:db8::1]:80/?x=***",
        ),
        ("example.com:443", "example.com:443"),
        ("user:SECRET@example.com:443", "example.com:443"),
        ("*", "*"),
    ] {
        assert_eq!(redact(&uri(given)), shown, "{given}");
    }
}

#[test]
fn a_last_segment_that_looks_like_a_token_is_left_out() {
    for (given, shown) in [
        ("/a/Ck6Wc9cAq5Xs1nZt", "/a/***"),
        ("/a/Ck6Wc9cAq5Xs1nZt/", "/a/***"),
        ("/a/Ck6Wc9cAq5Xs1nZt//?x=1", "/a/***?x=***"),
        ("/Ck6Wc9cAq5Xs1nZt", "/***"),
        ("https://e.com/a/Ck6Wc9cAq5Xs1nZt", "https://e.com/a/***"),
        ("/a/0123456789abcdef0123456789abcdef", "/a/***"),
        ("/a/tokenwithoutaNumber", "/a/***"),
        ("/a/whsec_abcdefghijk0", "/a/***"),
        ("/a/Ck6Wc9cAq5Xs1nZt%3D%3D", "/a/***"),
        ("/a/Ck6Wc9cAq5Xs1nZ+x==", "/a/***"),
        ("/a/3f2504e0-4f89-11d3-9a0c-0305e82c3301", "/a/***"),
        // What it does not take for one, as the documentation says.
        ("/a/Ck6Wc9cAq5Xs1nZ", "/a/Ck6Wc9cAq5Xs1nZ"),
        ("/a/music-video-callback", "/a/music-video-callback"),
        ("/Ck6Wc9cAq5Xs1nZt/status", "/Ck6Wc9cAq5Xs1nZt/status"),
        ("/a/Ck6Wc9cAq5Xs1nZt:x", "/a/Ck6Wc9cAq5Xs1nZt:x"),
    ] {
        assert_eq!(redact(&uri(given)), shown, "{given}");
    }
    let told = Redaction::new().below("/callback");
    let other = "/videos/3f2504e0-4f89-11d3-9a0c-0305e82c3301";
    assert_eq!(told.redact(&uri(other)), other);
}

#[test]
fn of_chosen_parameters_the_others_stay_readable() {
    let redaction = Redaction::new().only(["token", "Sig"]);
    for (given, shown) in [
        ("/a?token=SECRET&page=2", "/a?token=***&page=2"),
        ("/a?TOKEN=SECRET&sIg=SECRET", "/a?TOKEN=***&sIg=***"),
        ("/a?t%6Fken=SECRET&page=%20", "/a?***&page=%20"),
        ("/a?+token=SECRET", "/a?***"),
        ("/a?=SECRET&SECRET&page=2", "/a?***&***&page=2"),
        ("/a?tokens=2", "/a?tokens=2"),
        ("/a?SECRET=", "/a?***"),
    ] {
        assert_eq!(redaction.redact(&uri(given)), shown, "{given}");
    }
}

#[test]
fn nothing_below_the_mount_is_left_however_the_path_is_mistyped() {
    let redaction = Redaction::new().below("/api/callback").below("/other/");
    for (given, shown) in [
        ("/api/callback/SECRET", "/api/callback/***"),
        ("/api/callback/SECRET/", "/api/callback/***"),
        ("/api/callback/SECRET/x?y=SECRET", "/api/callback/***?y=***"),
        ("/api/callback//SECRET", "/api/callback//***"),
        ("//api///callback/SECRET", "//api///callback/***"),
        ("/API/Callback/SECRET", "/API/Callback/***"),
        ("/api/c%61llback/SECRET", "/api/c%61llback/***"),
        ("/api/c%4Cl/SECRET", "/api/c%4Cl/SECRET"),
        ("/other/SECRET", "/other/***"),
        ("/api/callback", "/api/callback"),
        ("/api/callback/", "/api/callback/"),
        ("/api/callbacks/7", "/api/callbacks/7"),
        ("/api", "/api"),
        ("/videos/api/callback/7", "/videos/api/callback/7"),
    ] {
        assert_eq!(redaction.redact(&uri(given)), shown, "{given}");
    }
    let everything = Redaction::new().below("/");
    assert_eq!(everything.redact(&uri("/SECRET/x")), "/***");
}

#[test]
fn the_last_segment_is_left_out_with_its_slashes_or_without() {
    let redaction = Redaction::new().last_segment();
    for (given, shown) in [
        ("/a/b/SECRET", "/a/b/***"),
        ("/a/b/SECRET/", "/a/b/***"),
        ("/a/b/SECRET//", "/a/b/***"),
        ("/SECRET", "/***"),
        ("/", "/"),
        ("//", "//"),
        ("*", "*"),
    ] {
        assert_eq!(redaction.redact(&uri(given)), shown, "{given}");
    }
    let both = redaction.below("/a");
    assert_eq!(both.redact(&uri("/a/b/c")), "/a/***");
    assert_eq!(both.redact(&uri("/b/c")), "/b/***");
}

#[test]
fn the_span_maker_fits_the_trace_layer_and_prints_no_secret() {
    use std::convert::Infallible;
    use tower::{Service, ServiceBuilder, service_fn};
    use tower_http::trace::{DefaultOnRequest, TraceLayer};
    use tracing::Level;

    let capture = capture::Capture::start(Level::TRACE);
    let redaction = Redaction::new().below("/callback");
    let mut app = ServiceBuilder::new()
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(redaction.into_make_span())
                .on_request(DefaultOnRequest::new().level(Level::INFO)),
        )
        .service(service_fn(async |_: Request<String>| {
            Ok::<_, Infallible>(http::Response::new(String::new()))
        }));
    let request = Request::post("/callback/SECRET?token=SECRET");
    let call = app.call(request.body(String::new()).unwrap());
    block_on(call);
    let text = capture.text();
    assert!(text.contains("method=POST"), "{text}");
    assert!(text.contains("uri=/callback/***?token=***"), "{text}");
    assert!(text.contains("version=HTTP/1.1"), "{text}");
    assert!(text.contains("INFO request{"), "{text}");
    assert!(!text.contains("SECRET"), "{text}");
}

fn block_on<F: Future>(future: F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(future);
}

proptest! {
    #[test]
    fn wherever_a_secret_stands_in_a_query_or_below_the_mount_it_is_left_out(
        before in "[a-z0-9=&;/%+._~-]{0,12}",
        after in "[a-z0-9=&;?/%+._~-]{0,12}",
        slashes in "/{1,3}",
        parameter in "(token|SIG|t%6fken|)",
    ) {
        for given in [
            format!("/api/callback?{before}&{parameter}=S-E-C-R-E-T{after}"),
            format!("/api/callback?{before}=S-E-C-R-E-T"),
            format!("/api{slashes}callback{slashes}S-E-C-R-E-T{after}"),
            format!("/api/callback/{before}/S-E-C-R-E-T/{after}"),
        ] {
            let Ok(uri) = given.parse::<Uri>() else { continue };
            let shown = Redaction::new().below("/api/callback").redact(&uri);
            prop_assert!(!shown.contains("S-E-C-R-E-T"), "{} {}", given, shown);
        }
        let chosen = Redaction::new().only(["token", "sig"]);
        let given: Uri = format!("/?a=1&{parameter}=S-E-C-R-E-T&b=2").parse().unwrap();
        let shown = chosen.redact(&given);
        prop_assert!(!shown.contains("S-E-C-R-E-T") && shown.contains("a=1&"), "{}", shown);
    }
}
