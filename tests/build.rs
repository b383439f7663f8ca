//! Every wrong setting of the builder is an error that names the setting and the fix, and never a secret.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use tower_callback::{
    BuildError, Callback, CallbackService, Callbacks, Clock, Event, EventKey, IpAllowlist,
    MemoryStore, MusicVideo, RetryPolicy, Token, Verify,
    event::{InvalidKey, ParseError},
    store::Retention,
    verify::{PeerAddr, Presented, Secret, Verdict},
};

const SECRET: &str = "a-secret-of-32-characters-or-so";

type Builder<E = MusicVideo> = Callbacks<E, MemoryStore>;

fn proof() -> Token {
    Token::query("token", SECRET)
}

fn builder() -> Builder {
    named("music-video")
}

fn named(name: &str) -> Builder {
    Callbacks::new(name, proof()).store(MemoryStore::new())
}

fn proven_by(proof: impl Verify) -> Builder {
    Callbacks::new("music-video", proof).store(MemoryStore::new())
}

/// Whichever way the endpoint is built, it fails with this setting and these words.
#[track_caller]
fn assert_wrong<E: Event>(build: impl Fn() -> Builder<E>, setting: &str, words: &str) {
    let handled = || build().handle(async |_| Ok(()));
    let errors = [
        build().build_front().err(),
        handled().build().err(),
        handled().build_worker().err(),
    ];
    for error in errors {
        assert_says(error.expect("the setting is wrong"), setting, words);
    }
}

#[track_caller]
fn assert_says(error: BuildError, setting: &str, words: &str) {
    assert_eq!(error.setting(), setting, "{error}");
    let text = error.to_string();
    assert!(text.contains(words), "{text:?} says nothing of {words:?}");
    assert!(text.contains(setting), "{text:?} does not name {setting:?}");
}

#[test]
fn the_defaults_are_right_in_every_way_to_build() {
    assert!(builder().build_front().is_ok());
    assert!(builder().handle(async |_| Ok(())).build().is_ok());
    assert!(builder().handle(async |_| Ok(())).build_worker().is_ok());
    let accepting = Callbacks::<MusicVideo>::new("music-video", proof()).accept(async |_| Ok(()));
    assert!(accepting.is_ok());
}

#[test]
fn a_name_that_a_store_could_not_keep_is_refused() {
    let long = "a".repeat(65);
    for name in ["", "a b", "a/b", "a:b", "ä", "a\n", &long] {
        assert_wrong(|| named(name), "Callbacks::new", "1 to 64 letters, digits");
    }
    for name in ["a", "Music_Video-2.eu", &long[1..]] {
        assert!(named(name).build_front().is_ok(), "{name}");
    }
}

/// An event that lists a header that is none.
struct Spaced;

impl Event for Spaced {
    const HEADERS: &'static [&'static str] = &["webhook-id", "webhook id"];
    fn parse(_: &Callback<'_>) -> Result<Self, ParseError> {
        Ok(Self)
    }
    fn key(&self) -> Result<EventKey, InvalidKey> {
        EventKey::new("spaced")
    }
}

/// An event that lists one header twice.
struct Twice;

impl Event for Twice {
    const HEADERS: &'static [&'static str] = &["webhook-id", "Webhook-Id"];
    fn parse(_: &Callback<'_>) -> Result<Self, ParseError> {
        Ok(Self)
    }
    fn key(&self) -> Result<EventKey, InvalidKey> {
        EventKey::new("twice")
    }
}

#[test]
fn headers_that_no_request_has_and_headers_listed_twice_are_refused() {
    let spaced = || Callbacks::<Spaced>::new("a", proof()).store(MemoryStore::new());
    assert_wrong(
        spaced,
        "Event::HEADERS",
        r#""webhook id" is no header's name"#,
    );
    let twice = || Callbacks::<Twice>::new("a", proof()).store(MemoryStore::new());
    assert_wrong(twice, "Event::HEADERS", "listed twice");
}

#[test]
fn a_limit_of_zero_or_beyond_any_machine_is_refused_by_its_name() {
    let zero = Duration::ZERO;
    let fix = "leave it out for the default";
    assert_wrong(|| builder().body_limit(0), "body_limit", fix);
    assert_wrong(
        || builder().unproven_body_limit(0),
        "unproven_body_limit",
        fix,
    );
    assert_wrong(|| builder().unproven_bodies(0), "unproven_bodies", fix);
    assert_wrong(|| builder().body_timeout(zero), "body_timeout", fix);
    assert_wrong(|| builder().ack_deadline(zero), "ack_deadline", fix);
    assert_wrong(|| builder().retry_after(zero), "retry_after", fix);
    let most = tokio::sync::Semaphore::MAX_PERMITS;
    assert!(builder().unproven_bodies(most).build_front().is_ok());
    assert_wrong(
        || builder().unproven_bodies(most + 1),
        "unproven_bodies",
        "default of 64",
    );
}

#[test]
fn settings_of_which_one_takes_the_effect_of_the_other_are_refused_by_both_names() {
    let second = Duration::from_secs(1);
    let long = || builder().body_timeout(11 * second);
    assert_wrong(long, "body_timeout", "`ack_deadline` of 10s");
    let both = || builder().body_timeout(2 * second).ack_deadline(second);
    assert_wrong(both, "body_timeout", "`ack_deadline` of 1s");
    let large = || builder().unproven_body_limit(3 << 20);
    assert_wrong(large, "unproven_body_limit", "`body_limit` of 2097152");
    let both = || builder().unproven_body_limit(101).body_limit(100);
    assert_wrong(both, "unproven_body_limit", "`body_limit` of 100");
    for right in [
        builder().body_timeout(second).ack_deadline(second),
        builder().unproven_body_limit(100).body_limit(100),
        // A default gives way.
        builder().ack_deadline(second),
        builder().body_limit(100),
    ] {
        assert!(right.build_front().is_ok());
    }
}

#[test]
fn a_limit_of_zero_is_refused_without_a_store_too() {
    let accepting = Callbacks::<MusicVideo>::new("a", proof()).body_limit(0);
    let error = accepting.accept(async |_| Ok(())).unwrap_err();
    assert_says(error, "body_limit", "leave it out for the default");
}

#[test]
fn a_wrong_setting_of_the_worker_is_refused_by_its_name() {
    let zero = Duration::ZERO;
    assert_wrong(
        || builder().concurrency(0),
        "concurrency",
        "give at least 1",
    );
    assert_wrong(
        || builder().concurrency(usize::MAX),
        "concurrency",
        "give at most",
    );
    assert_wrong(
        || builder().handler_timeout(zero),
        "handler_timeout",
        "set no timeout",
    );
    assert_wrong(
        || builder().lease_ttl(zero),
        "lease_ttl",
        "give at least 100 ms",
    );
    assert_wrong(
        || builder().idle_poll(zero),
        "idle_poll",
        "give at least 1 ms",
    );
    assert_wrong(
        || builder().suspect_limit(0),
        "suspect_limit",
        "give at least 1",
    );
    assert_wrong(
        || builder().shutdown_grace(Duration::MAX),
        "shutdown_grace",
        "at most 365 days",
    );
    let policy = RetryPolicy::default().with_first_delay(zero);
    assert_wrong(|| builder().retry(policy), "retry", "");
}

#[test]
fn a_manual_clock_goes_only_with_the_store_that_runs_on_it() {
    let (ours, theirs) = (Clock::manual(), Clock::manual());
    let on = |store| Callbacks::<MusicVideo>::new("a", proof()).store(store);
    let fix = "MemoryStore::with_clock(&hands)";
    assert_wrong(|| builder().clock(ours.clock()), "clock", fix);
    assert_wrong(|| on(MemoryStore::with_clock(&ours)), "clock", fix);
    let two = || on(MemoryStore::with_clock(&theirs)).clock(ours.clock());
    assert_wrong(two, "clock", fix);
    let scaled = || on(MemoryStore::with_clock(&ours)).clock(Clock::scaled(60));
    assert_wrong(scaled, "clock", fix);
    let one = on(MemoryStore::with_clock(&ours)).clock(ours.clock());
    assert!(one.build_front().is_ok());
    assert!(builder().clock(Clock::scaled(60)).build_front().is_ok());
}

/// A proof that accepts a captured request for a day.
struct GoodForADay;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Verify for GoodForADay {
    fn verify(&self, _: &Presented<'_>) -> Verdict {
        Verdict::NeedsBody
    }
    fn horizon(&self) -> Option<Duration> {
        Some(DAY)
    }
}

#[test]
fn keys_are_not_forgotten_while_the_proof_still_accepts_a_captured_request() {
    let keeping = |keys| proven_by(GoodForADay).retention(Retention::default().with_keys(keys));
    let short = DAY - Duration::from_secs(1);
    assert_wrong(
        || keeping(short),
        "retention",
        "keep keys for at least that long",
    );
    assert!(keeping(DAY).build_front().is_ok());
}

#[test]
fn a_secret_that_cannot_arrive_is_refused_and_not_shown() {
    type Make = fn() -> Token;
    let proofs: [(Make, &str, &str); 6] = [
        (|| Token::query("token", ""), "Token::query", "is empty"),
        (
            || Token::query("token", "hunter2 hunter2"),
            "Token::query",
            "letters, digits, and - . _ ~ only",
        ),
        (
            || Token::segment("hunter2/hunter2"),
            "Token::segment",
            "letters, digits, and - . _ ~ only",
        ),
        (
            || Token::header("x-token", "hunter2\n"),
            "Token::header",
            "line feed at its end",
        ),
        (
            || Token::bearer("hunter2 hunter2"),
            "Token::bearer",
            "visible ASCII without spaces",
        ),
        (
            || Token::bearer(Vec::<Secret>::new()),
            "Token::bearer",
            "give it at least one",
        ),
    ];
    for (proof, setting, words) in proofs {
        assert_wrong(|| proven_by(proof()), setting, words);
        let error = proven_by(proof()).build_front().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    assert_wrong(
        || proven_by(Token::query("to ken", SECRET)),
        "Token::query",
        "letters, digits",
    );
    assert_wrong(
        || proven_by(Token::header("x token", SECRET)),
        "Token::header",
        "no header's name",
    );
}

#[test]
fn networks_that_are_none_are_refused_also_inside_of_other_proofs() {
    let both = |networks: &'static [&'static str]| {
        move || proven_by(proof().and(IpAllowlist::new(networks, PeerAddr::of)))
    };
    assert_wrong(both(&[]), "IpAllowlist", "give it at least one");
    assert_wrong(both(&["10.0.0.0/33"]), "IpAllowlist", "write it as");
    let either = || proven_by(proof().or(Token::segment("")));
    assert_wrong(either, "Token::segment", "is empty");
}

#[test]
fn a_layer_at_what_is_no_path_is_refused() {
    let service = builder().build_front().unwrap();
    for (path, words) in [
        ("", "does not start with a slash: write it as"),
        ("callback", "does not start with a slash: write it as"),
        ("https://a.example/callback", "without scheme and host"),
        ("//callback", "has a doubled slash"),
        ("/a//b", "has a doubled slash"),
        ("/{id}/callback", "only a last segment `{token}` is one"),
        ("/:token", "only a last segment `{token}` is one"),
        ("/callback?token=x", "leave out query and fragment"),
        ("/rückruf", "percent-encode"),
    ] {
        assert_says(service.layer(path).unwrap_err(), "layer", words);
    }
    for path in ["/", "/callback", "/callback/", "/a/{token}", "/{token}"] {
        assert!(service.layer(path).is_ok(), "{path}");
    }
}

#[test]
fn a_layer_whose_path_lacks_the_segment_that_its_proof_reads_is_refused() {
    let service: CallbackService = proven_by(Token::segment(SECRET)).build_front().unwrap();
    let error = service.layer("/callback").unwrap_err();
    assert_says(error, "layer", "ends in `/{token}`");
    assert!(service.layer("/callback/{token}").is_ok());
}

#[test]
fn an_event_names_no_subject_unless_its_type_does() {
    assert_eq!(Spaced.subject(), None);
}
