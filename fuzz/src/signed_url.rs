//! Callback URLs of ours, and what others make of them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Request, request};
use tower_callback::{
    Clock, SignedUrl, Verify,
    verify::{Presented, RefusalKind, Secret, Verdict, Verified},
};

use crate::change::Change;

const ENDPOINT: &str = "music-video";
const BASE: &str = "https://example.com/callback";
const NEW: (&str, &str) = ("2026-11", "key-of-november-2026-32-bytes-ok");
const OLD: (&str, &str) = ("2026-10", "key-of-october-2026--32-bytes-ok");

/// Holds the laws of signed URLs against a life in seconds, four bytes of a change, and a text that
/// is taken for a correlation id first and for a capability then.
///
/// # Panics
///
/// When a law is broken.
pub fn signed_url(input: &[u8]) {
    let Some((&life, rest)) = input.split_first_chunk::<4>() else {
        return;
    };
    let Some((change, text)) = Change::take(rest) else {
        return;
    };
    let life = Duration::from_secs(u32::from_be_bytes(life).into());
    let hands = Clock::manual();
    let now = hands.clock().now();
    let with = |endpoint: &str, keys: &[(&str, &str)]| {
        let keys = keys
            .iter()
            .map(|(id, key)| Secret::new(key).with_label(*id));
        let keys: Vec<_> = keys.collect();
        SignedUrl::segment(endpoint, BASE, keys).with_clock(hands.clock())
    };
    let proof = with(ENDPOINT, &[NEW, OLD]);
    nothing_else_is_good(&proof, text, now);

    // What can be carried is minted, and nothing else is.
    let Ok(text) = str::from_utf8(text) else {
        return;
    };
    let carried = (1..=128).contains(&text.len()) && !text.contains(char::is_control);
    let minted = proof.mint_for(text, life);
    assert_eq!(
        minted.is_ok(),
        carried && life <= SignedUrl::DEFAULT_LONGEST
    );
    let Ok(url) = minted else {
        return;
    };
    let capability = url
        .strip_prefix(BASE)
        .and_then(|end| end.strip_prefix('/'))
        .expect("the capability is the last segment");

    // It is good until it ends, for its own correlation id, and not from then on.
    let end = seconds(now + life);
    for arrived in [
        UNIX_EPOCH,
        now,
        at(end.saturating_sub(1)),
        at(end),
        now + life + Duration::from_secs(1),
    ] {
        match prove(&proof, capability, arrived) {
            Ok(verified) => {
                assert!(seconds(arrived) < end);
                assert_eq!(verified.correlation(), Some(text));
                assert_eq!(verified.labels().collect::<Vec<_>>(), [NEW.0]);
            }
            Err(kind) => {
                assert_eq!(kind, RefusalKind::Expired);
                assert!(seconds(arrived) >= end);
            }
        }
    }

    // Nowhere else, and under no other key.
    for other in [
        with("music-vide", &[NEW, OLD]),
        with(ENDPOINT, &[OLD]),
        with(ENDPOINT, &[(NEW.0, OLD.1), (OLD.0, NEW.1)]),
    ] {
        assert!(prove(&other, capability, UNIX_EPOCH).is_err());
    }

    // No single change of it is good, and none of it in a query.
    let changed = change.of(capability.as_bytes());
    if changed != capability.as_bytes() {
        nothing_else_is_good(&proof, &changed, UNIX_EPOCH);
    }
    let query = SignedUrl::query(ENDPOINT, BASE, "cap", [NEW, OLD]);
    let head = head(&format!("/callback?cap={capability}"));
    let verdict = query.verify(&Presented::new(&head, UNIX_EPOCH));
    assert!(matches!(verdict, Verdict::Accept(_)));
}

/// A text that we did not mint.
fn nothing_else_is_good(proof: &SignedUrl, text: &[u8], arrived: SystemTime) {
    if let Ok(text) = str::from_utf8(text) {
        assert!(prove(proof, text, arrived).is_err(), "{text:?}");
    }
}

fn prove(proof: &SignedUrl, segment: &str, arrived: SystemTime) -> Result<Verified, RefusalKind> {
    let head = head("/callback");
    match proof.verify(&Presented::new(&head, arrived).with_segment(Some(segment))) {
        Verdict::Accept(verified) => Ok(verified),
        Verdict::Refuse(refusal) => Err(refusal.kind()),
        Verdict::NeedsBody => panic!("a URL needs no body"),
    }
}

fn head(uri: &str) -> request::Parts {
    let request = Request::post(uri).body(()).expect("a request");
    request.into_parts().0
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}
