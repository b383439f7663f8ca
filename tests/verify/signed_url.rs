//! Callback URLs that prove themselves.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::request;
use proptest::{collection, prelude::*};
use tower_callback::{
    BuildError, Callbacks, Clock, MusicVideo, SignedUrl, Token,
    clock::ManualClock,
    verify::{
        MintError, Presented, RefusalKind,
        RefusalKind::{Expired, Malformed, Mismatch, Missing, Repeated, UnknownKey},
        Secret, Secrets, Setup, Verdict, Verified, Verify,
    },
};

use super::{accepted, head, refused};

const ENDPOINT: &str = "music-video";
const BASE: &str = "https://example.com/callback";
const NEW: &str = "key-of-november-2026-32-bytes-ok";
const OLD: &str = "key-of-october-2026--32-bytes-ok";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const SECOND: Duration = Duration::from_secs(1);

fn query(keys: impl Into<Secrets>) -> SignedUrl {
    SignedUrl::query(ENDPOINT, BASE, "cap", keys)
}

fn hands_of(proof: SignedUrl) -> (SignedUrl, ManualClock) {
    let hands = Clock::manual();
    (proof.with_clock(hands.clock()), hands)
}

fn outcome(verdict: Verdict) -> Result<Verified, RefusalKind> {
    match verdict {
        Verdict::Accept(verified) => Ok(verified),
        Verdict::Refuse(refusal) => Err(refusal.kind()),
        Verdict::NeedsBody => panic!("this proof needs no body"),
    }
}

fn at(proof: &impl Verify, url: &str, arrived: SystemTime) -> Result<Verified, RefusalKind> {
    let head: request::Parts = head(url, &[]);
    outcome(proof.verify(&Presented::new(&head, arrived)))
}

fn now(proof: &impl Verify, url: &str) -> Result<Verified, RefusalKind> {
    at(proof, url, SystemTime::now())
}

/// The capability in a URL with the parameter `cap`.
fn capability(url: &str) -> &str {
    url.split_once("?cap=").unwrap().1
}

#[test]
fn what_is_minted_is_accepted_and_brings_its_correlation_and_the_label_of_its_key() {
    let proof = query([("2026-11", NEW), ("2026-10", OLD)]);
    let url = proof.mint("order-1742").unwrap();
    assert!(
        url.starts_with("https://example.com/callback?cap="),
        "{url}"
    );
    assert!(
        capability(&url)
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)),
        "{url}"
    );
    let verified = now(&proof, &url).unwrap();
    assert_eq!(verified.correlation(), Some("order-1742"));
    assert_eq!(verified.labels().collect::<Vec<_>>(), ["2026-11"]);
    assert_eq!(verified.subject(), None);
}

#[test]
fn as_a_segment_it_stands_at_the_end_of_the_path() {
    let proof = SignedUrl::segment(ENDPOINT, BASE, NEW);
    let url = proof.mint("order-1742").unwrap();
    assert!(url.starts_with("https://example.com/callback/"), "{url}");
    for url in [url.clone(), format!("{url}/"), format!("{url}?x=1")] {
        let verified = now(&proof, &url).unwrap();
        assert_eq!(verified.correlation(), Some("order-1742"));
    }
    assert_eq!(now(&proof, BASE).unwrap_err(), Malformed);
    assert_eq!(now(&proof, "/").unwrap_err(), Missing);
}

#[test]
fn its_own_parameter_is_given_exactly_once_beside_any_others() {
    let proof = query(NEW);
    let cap = proof.mint("a").unwrap();
    let cap = capability(&cap);
    for url in [format!("/c?a=1&cap={cap}&b"), format!("/x/y?cap={cap}")] {
        assert!(now(&proof, &url).is_ok(), "{url}");
    }
    for url in ["/c", "/c?cap", "/c?cap=", &format!("/c?Cap={cap}")] {
        assert_eq!(now(&proof, url).unwrap_err(), Missing, "{url}");
    }
    for url in [
        format!("/c?cap={cap}&cap={cap}"),
        format!("/c?cap=x&cap={cap}"),
        format!("/c?cap&cap={cap}"),
    ] {
        assert_eq!(now(&proof, &url).unwrap_err(), Repeated, "{url}");
    }
}

#[test]
fn a_url_of_another_endpoint_is_refused_though_the_keys_are_the_same() {
    let keys = Secrets::from(NEW);
    let ours = query(keys.clone());
    for other in ["music-vide", "music-videos", "Music-video", "x"] {
        let theirs = SignedUrl::query(other, BASE, "cap", keys.clone());
        let url = theirs.mint("a").unwrap();
        assert!(now(&theirs, &url).is_ok());
        assert_eq!(now(&ours, &url).unwrap_err(), Mismatch, "{other}");
    }
}

#[test]
fn another_key_is_unknown_by_its_id_and_wrong_under_the_same_id() {
    let url = query([("a", NEW)]).mint("x").unwrap();
    assert_eq!(now(&query([("b", NEW)]), &url).unwrap_err(), UnknownKey);
    assert_eq!(now(&query(NEW), &url).unwrap_err(), UnknownKey);
    assert_eq!(now(&query([("a", OLD)]), &url).unwrap_err(), Mismatch);
}

#[test]
fn it_is_good_for_25_hours_by_default_and_not_a_second_longer() {
    assert_eq!(SignedUrl::DEFAULT_EXPIRY, Duration::from_secs(25 * 3600));
    let (proof, hands) = hands_of(query(NEW));
    let url = proof.mint("a").unwrap();
    hands.advance(SignedUrl::DEFAULT_EXPIRY - SECOND);
    assert!(at(&proof, &url, hands.clock().now()).is_ok());
    hands.advance(SECOND);
    assert_eq!(at(&proof, &url, hands.clock().now()).unwrap_err(), Expired);
    hands.advance(1000 * DAY);
    assert_eq!(at(&proof, &url, hands.clock().now()).unwrap_err(), Expired);
}

#[test]
fn another_time_can_be_the_default_or_that_of_one_url() {
    let (proof, hands) = hands_of(query(NEW).with_expiry(2 * DAY));
    let urls = [
        (proof.mint("a").unwrap(), 2 * DAY),
        (proof.mint_for("a", 10 * SECOND).unwrap(), 10 * SECOND),
        (proof.mint_for("a", Duration::ZERO).unwrap(), Duration::ZERO),
        (proof.mint_for("a", 30 * DAY).unwrap(), 30 * DAY),
    ];
    let minted = hands.clock().now();
    for (url, life) in urls {
        // Expiry is in whole seconds, and the clock stands somewhere within one.
        assert_eq!(at(&proof, &url, minted + life).unwrap_err(), Expired);
        if life > SECOND {
            assert!(at(&proof, &url, minted + life - SECOND).is_ok());
        }
    }
}

#[test]
fn none_is_good_for_longer_than_the_horizon() {
    let proof = query(NEW);
    assert_eq!(proof.horizon(), Some(30 * DAY));
    assert_eq!(
        proof.mint_for("a", 30 * DAY + SECOND),
        Err(MintError::TooLong {
            asked: 30 * DAY + SECOND,
            longest: 30 * DAY
        })
    );
    let proof = proof.with_longest(60 * DAY);
    assert_eq!(proof.horizon(), Some(60 * DAY));
    assert!(proof.mint_for("a", 60 * DAY).is_ok());
    let check = |proof: SignedUrl| proof.check(&Setup::leaf(ENDPOINT));
    assert!(check(proof.clone().with_expiry(60 * DAY)).is_ok());
    let error = check(proof.clone().with_expiry(60 * DAY + SECOND)).unwrap_err();
    assert_eq!(error.setting(), "SignedUrl::with_expiry");
    // Further than time goes.
    let proof = proof.with_longest(Duration::MAX);
    let error = proof.mint_for("a", Duration::MAX).unwrap_err();
    assert!(matches!(error, MintError::TooLong { .. }), "{error}");
}

#[test]
fn an_endpoint_that_forgets_keys_before_its_urls_expire_is_not_built() {
    let build = |proof: SignedUrl| {
        Callbacks::<MusicVideo>::new(ENDPOINT, proof).accept(|_| async { Ok(()) })
    };
    assert!(build(query(NEW)).is_ok());
    let error = build(query(NEW).with_longest(91 * DAY)).unwrap_err();
    assert_eq!(error.setting(), "retention");
}

#[test]
fn in_a_rotation_the_new_key_signs_and_the_old_one_verifies_until_its_end() {
    let keys = Secrets::from([("2026-10", OLD)]);
    let (proof, hands) = hands_of(query(keys.clone()));
    let old = proof.mint_for("a", 20 * DAY).unwrap();

    let end = hands.clock().now() + 10 * DAY;
    keys.replace([
        Secret::new(NEW).with_label("2026-11"),
        Secret::new(OLD).with_label("2026-10").with_until(end),
    ])
    .unwrap();
    let new = proof.mint_for("b", 20 * DAY).unwrap();
    let labels = |url: &str| -> Result<Vec<String>, RefusalKind> {
        let verified = at(&proof, url, hands.clock().now())?;
        Ok(verified.labels().map(str::to_owned).collect())
    };
    assert_eq!(labels(&old), Ok(vec!["2026-10".to_owned()]));
    assert_eq!(labels(&new), Ok(vec!["2026-11".to_owned()]));

    hands.advance(10 * DAY);
    assert_eq!(labels(&old), Err(Expired), "the key's end, not the URL's");
    assert_eq!(labels(&new), Ok(vec!["2026-11".to_owned()]));

    keys.replace([Secret::new(NEW).with_label("2026-11")])
        .unwrap();
    assert_eq!(labels(&old), Err(UnknownKey));
    assert_eq!(labels(&new), Ok(vec!["2026-11".to_owned()]));
}

#[test]
fn a_key_that_ends_before_the_url_does_not_sign_it() {
    let hands = Clock::manual();
    let end = |days: u32| hands.clock().now() + days * DAY;
    let minter = |keys: Secrets| query(keys).with_clock(hands.clock());
    let key_of = |proof: &SignedUrl, url: &str| {
        let verified = at(proof, url, hands.clock().now()).unwrap();
        verified.labels().next().unwrap().to_owned()
    };

    let proof = minter(Secrets::from([
        Secret::new(OLD).with_label("old").with_until(end(3)),
        Secret::new(NEW).with_label("new"),
    ]));
    assert_eq!(key_of(&proof, &proof.mint("a").unwrap()), "old");
    let long = proof.mint_for("a", 4 * DAY).unwrap();
    assert_eq!(key_of(&proof, &long), "new");

    let proof = minter(Secrets::from([Secret::new(OLD)
        .with_label("old")
        .with_until(end(1))]));
    assert_eq!(proof.mint("a"), Err(MintError::NoKey));
    assert!(proof.mint_for("a", DAY / 2).is_ok());
}

#[test]
fn a_correlation_id_has_1_to_128_bytes_and_no_control_characters() {
    let proof = query(NEW);
    let longest = "ö".repeat(64);
    for id in ["a", " ", "a/b?c=d&e#f%00", "заказ-7", &longest] {
        let url = proof.mint(id).unwrap();
        assert_eq!(now(&proof, &url).unwrap().correlation(), Some(id));
    }
    let longer = "a".repeat(129);
    for id in ["", &longer, "a\n", "\0", "a\u{85}", "\u{7f}"] {
        assert_eq!(proof.mint(id), Err(MintError::Correlation), "{id:?}");
    }
}

#[test]
fn any_other_character_at_any_place_is_refused() {
    let proof = query([("2026-11", NEW)]);
    let url = proof.mint("order-1742").unwrap();
    let cap = capability(&url);
    assert!(now(&proof, &format!("/?cap={cap}")).is_ok());
    for place in 0..cap.len() {
        for other in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/.~%" {
            let mut altered = cap.as_bytes().to_vec();
            if altered[place] == *other {
                continue;
            }
            altered[place] = *other;
            let altered = String::from_utf8(altered).unwrap();
            let outcome = now(&proof, &format!("/?cap={altered}"));
            assert!(
                matches!(outcome, Err(Malformed | Mismatch | UnknownKey)),
                "{altered}: {outcome:?}"
            );
        }
    }
    for len in 1..cap.len() {
        assert!(now(&proof, &format!("/?cap={}", &cap[..len])).is_err());
        assert!(now(&proof, &format!("/?cap={}", &cap[len..])).is_err());
    }
    for after in ["A", "AA", "=", "==", "%3D", " ".trim(), "."] {
        let altered = format!("/?cap={cap}{after}");
        assert_eq!(now(&proof, &altered).is_ok(), after.is_empty(), "{after}");
    }
}

proptest! {
    #[test]
    fn what_is_minted_verifies_and_a_changed_byte_does_not(
        correlation in "\\PC{1,32}",
        key in collection::vec(any::<u8>(), 16..100),
        label in "[a-z0-9.-]{0,64}",
        endpoint in "[a-z-]{1,64}",
        life in 1u64..2_592_000,
        bit in any::<prop::sample::Index>(),
        segment in any::<bool>(),
    ) {
        let keys = Secrets::from(Secret::from_bytes(&key).with_label(label.clone()));
        let proof = if segment {
            SignedUrl::segment(endpoint.clone(), BASE, keys)
        } else {
            SignedUrl::query(endpoint.clone(), BASE, "cap", keys)
        };
        prop_assert_eq!(proof.check(&Setup::leaf(&endpoint)), Ok(()));
        let url = proof.mint_for(&correlation, Duration::from_secs(life)).unwrap();
        let verified = now(&proof, &url).unwrap();
        prop_assert_eq!(verified.correlation(), Some(correlation.as_str()));
        prop_assert_eq!(verified.labels().collect::<Vec<_>>(), [label.as_str()]);

        // A bit of the URL behind the base, wherever that still makes a URL.
        let start = BASE.len() + if segment { 1 } else { "?cap=".len() };
        let bit = bit.index((url.len() - start) * 8);
        let mut altered = url.into_bytes();
        altered[start + bit / 8] ^= 1 << (bit % 8);
        if let Ok(uri) = http::Uri::from_maybe_shared(altered) {
            prop_assert!(now(&proof, &uri.to_string()).is_err(), "{}", uri);
        }

        // Another key, however like this one.
        let mut other = key;
        let last = other.len() - 1;
        other[last] ^= 1;
        let other = Secret::from_bytes(other).with_label(label);
        let other = SignedUrl::query(endpoint, BASE, "cap", other);
        let url = proof.mint(&correlation).unwrap();
        prop_assert!(now(&other, &url).is_err());
    }

    #[test]
    fn no_uri_panics_and_none_is_accepted_by_chance(
        bytes in collection::vec(any::<u8>(), 0..400),
        arrived in any::<u64>(),
    ) {
        let arrived = UNIX_EPOCH.checked_add(Duration::from_secs(arrived)).unwrap_or(UNIX_EPOCH);
        let segment = SignedUrl::segment(ENDPOINT, BASE, NEW);
        for start in [&b"/c?cap="[..], b"/c/", b"/"] {
            let uri = [start, &bytes].concat();
            if let Ok(uri) = http::Uri::from_maybe_shared(uri) {
                for proof in [&query(NEW), &segment] {
                    prop_assert!(at(proof, &uri.to_string(), arrived).is_err());
                }
            }
        }
    }
}

#[test]
fn before_1970_nothing_panics() {
    let proof = query(NEW);
    let url = proof.mint("a").unwrap();
    let before = UNIX_EPOCH - DAY;
    assert!(at(&proof, &url, before).is_ok());
}

#[test]
fn a_refusal_names_the_signed_url_as_the_part_that_refused() {
    let head = head("/", &[]);
    let refusal = refused(query(NEW).verify(&Presented::new(&head, SystemTime::now())));
    assert_eq!(refusal.to_string(), "signed_url: missing");
}

#[test]
fn with_a_token_beside_it_both_must_be_right() {
    let signed = SignedUrl::query(
        ENDPOINT,
        format!("{BASE}?token=a-token-of-the-account"),
        "cap",
        NEW,
    );
    let url = signed.mint("a").unwrap();
    let proof = signed.and(Token::query("token", "a-token-of-the-account"));
    let head = head(&url, &[]);
    let verified = accepted(proof.verify(&Presented::new(&head, SystemTime::now())));
    assert_eq!(verified.correlation(), Some("a"));
    assert!(now(&proof, &url.replace("token=a", "token=b")).is_err());
}

/// The error of `check` says all of these words, and minting fails in the same way.
#[track_caller]
fn error(proof: &SignedUrl, words: &[&str]) -> BuildError {
    let error = proof.check(&Setup::leaf(ENDPOINT)).unwrap_err();
    for word in words {
        assert!(
            error.to_string().contains(word),
            "{word:?} is not in {error}"
        );
    }
    assert_eq!(
        proof.mint("a"),
        Err(MintError::Settings(error.clone())),
        "what is not built mints nothing"
    );
    error
}

#[test]
fn plain_http_is_refused_unless_somebody_says_that_it_is_dangerous() {
    let plain = SignedUrl::query(ENDPOINT, "http://127.0.0.1:3000/callback", "cap", NEW);
    error(&plain, &["http://", "https://", "dangerous()"]);
    let plain = plain.dangerous().plain_http();
    assert_eq!(plain.check(&Setup::leaf(ENDPOINT)), Ok(()));
    let url = plain.mint("a").unwrap();
    assert!(url.starts_with("http://127.0.0.1:3000/callback?cap="));
    assert!(now(&plain, &url).is_ok());
}

#[test]
fn a_base_that_no_provider_could_call_is_refused_and_not_quoted() {
    for base in [
        "",
        "example.com/callback",
        "/callback",
        "ftp://example.com/s3cret",
        "https://user:s3cret@example.com/callback",
        "https://example.com/s3cret#fragment",
        "https://example.com/callback/{token}",
        "https://example.com/callback?x=s3cret&cap=1",
    ] {
        let proof = SignedUrl::query(ENDPOINT, base, "cap", NEW);
        let error = error(&proof, &["SignedUrl", "base URL"]);
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

#[test]
fn keys_have_ids_of_their_own_and_cannot_be_guessed() {
    error(&query([("a", "fifteen-bytes-x")]), &["16 bytes", "32", "a"]);
    error(&query(""), &["empty"]);
    error(&query(Vec::<Secret>::new()), &["no secret"]);
    error(&query([("a", NEW), ("a", OLD)]), &["same id", "\"a\""]);
    error(
        &query(vec![Secret::new(NEW), Secret::new(OLD)]),
        &["same id", "label"],
    );
    error(&query([("x".repeat(65), NEW)]), &["64 bytes", "label"]);
    let mixed = query(vec![Secret::new(NEW), Secret::new(OLD).with_label("old")]);
    assert_eq!(mixed.check(&Setup::leaf(ENDPOINT)), Ok(()));
}

#[test]
fn keys_that_could_not_sign_never_replace_those_that_do() {
    let keys = Secrets::from([("a", NEW)]);
    let proof = query(keys.clone());
    proof.check(&Setup::leaf(ENDPOINT)).unwrap();
    assert!(keys.replace([Secret::new("short")]).is_err());
    assert!(keys.replace([Secret::new(OLD), Secret::new(NEW)]).is_err());
    assert!(proof.mint("a").is_ok());
}

#[test]
fn other_settings_that_cannot_work_are_refused() {
    for parameter in ["", "c p", "c&p", "c=p", "%63ap", "cäp"] {
        let proof = SignedUrl::query(ENDPOINT, BASE, parameter, NEW);
        error(&proof, &["SignedUrl::query", &format!("{parameter:?}")]);
    }
    error(
        &query(NEW).with_expiry(31 * DAY),
        &["with_expiry", "with_longest"],
    );
}

#[test]
fn it_is_used_at_the_endpoint_that_it_was_made_for() {
    let proof = query(NEW);
    assert_eq!(proof.check(&Setup::leaf(ENDPOINT)), Ok(()));
    assert_eq!(proof.check(&Setup::layer(ENDPOINT, false)), Ok(()));
    let error = proof.check(&Setup::leaf("other")).unwrap_err().to_string();
    for word in ["\"music-video\"", "\"other\"", "same name"] {
        assert!(error.contains(word), "{error}");
    }
    let built = Callbacks::<MusicVideo>::new("other", proof).accept(|_| async { Ok(()) });
    assert!(built.is_err());
}

#[test]
fn a_segment_needs_a_layer_whose_path_has_one() {
    let proof = SignedUrl::segment(ENDPOINT, BASE, NEW);
    assert_eq!(proof.check(&Setup::leaf(ENDPOINT)), Ok(()));
    assert_eq!(proof.check(&Setup::layer(ENDPOINT, true)), Ok(()));
    let error = proof.check(&Setup::layer(ENDPOINT, false)).unwrap_err();
    assert_eq!(error.setting(), "layer");
    assert!(error.to_string().contains("/{token}"), "{error}");
}

#[test]
fn debug_output_shows_no_key_and_no_base() {
    let proof = SignedUrl::query(
        ENDPOINT,
        format!("{BASE}?token=s3cret"),
        "cap",
        [("2026-11", NEW)],
    );
    let url = proof.mint("a").unwrap();
    let shown = format!(
        "{proof:?} {proof:#?} {:?} {:?}",
        proof.clone().dangerous(),
        now(&proof, &url)
    );
    assert!(shown.contains("2026-11") && shown.contains(ENDPOINT));
    let cap = url.rsplit_once('=').unwrap().1;
    for hidden in [NEW, "s3cret", cap] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}
