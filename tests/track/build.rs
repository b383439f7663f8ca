//! What is wrong is said when an endpoint is built.

use std::time::Duration;

use tower_callback::{
    BuildError, MemoryStore, MusicVideo, SignedUrl, Token,
    callbacks::Callbacks,
    music_video::{Polling, Submitter},
    store::Retention,
};

use crate::bench::{Bench, HOUR, KEY, NAME, TOKEN};

fn built(bench: &Bench, polling: Polling) -> [Option<BuildError>; 4] {
    let polled = || bench.builder().poll_with(polling.clone());
    let confirmed = || bench.builder().confirm_with(polling.clone());
    let handle = async |_| Ok(());
    [
        polled().handle(handle).build().err(),
        polled().build_front().err(),
        bench
            .builder()
            .handle(handle)
            .poll_with(polling.clone())
            .build_worker()
            .err(),
        confirmed().build_front().err(),
    ]
}

#[track_caller]
fn assert_wrong(bench: &Bench, polling: Polling, setting: &str) {
    for error in built(bench, polling) {
        let error = error.expect("the setting is wrong");
        assert_eq!(error.setting(), setting, "{error}");
    }
}

#[tokio::test]
async fn each_wrong_setting_is_refused_by_its_name() {
    let bench = Bench::new();
    let polling = || bench.polling();
    let zero = Duration::ZERO;
    assert!(built(&bench, polling()).iter().all(Option::is_none));
    assert_wrong(&bench, polling().with_first(zero), "Polling::with_first");
    assert_wrong(&bench, polling().with_every(zero), "Polling::with_every");
    let soon = polling().with_deadline(Duration::from_secs(60));
    assert_wrong(&bench, soon, "Polling::with_deadline");
    // As soon as tasks are asked for, and as long as keys are kept, nearly.
    for deadline in [HOUR / 30, 80 * 24 * HOUR] {
        let polling = polling().with_deadline(deadline);
        assert!(built(&bench, polling).iter().all(Option::is_none));
    }
    let never = polling().with_deadline(365 * 24 * HOUR + Duration::from_nanos(1));
    assert_wrong(&bench, never, "Polling::with_deadline");
    let nobody = polling().with_concurrency(0);
    assert_wrong(&bench, nobody, "Polling::with_concurrency");
    let paid_twice = polling().resubmitting(bench.submitter());
    assert_wrong(&bench, paid_twice, "Polling::resubmitting");
    let url = SignedUrl::query("other", "https://example.com/callback", "cap", KEY);
    let other = Submitter::new("other", bench.store.clone(), bench.client(), url).unwrap();
    let other = polling().resubmitting(other.conflict_is_idempotent());
    assert_wrong(&bench, other, "Polling::resubmitting");
}

#[tokio::test]
async fn confirming_is_never_switched_off_by_polling_as_well() {
    let bench = Bench::new();
    let confirmed = || bench.builder().confirm_with(bench.client());
    let error = (confirmed().poll_with(bench.client()).build_front()).unwrap_err();
    assert_eq!(error.setting(), "poll_with");
    assert!(error.to_string().contains("confirm_with"), "{error}");
    let polled = bench.builder().poll_with(bench.client());
    let both = polled.confirm_with(bench.client());
    // Nor by a third call that hides the first.
    let again = both.confirm_with(bench.client()).handle(async |_| Ok(()));
    assert_eq!(again.build().unwrap_err().setting(), "confirm_with");
    assert!(
        confirmed()
            .confirm_with(bench.client())
            .build_front()
            .is_ok()
    );
}

#[tokio::test]
async fn keys_that_are_forgotten_before_the_deadline_are_refused() {
    let bench = Bench::new();
    let built = |keys| {
        let retention = Retention::default().with_keys(keys);
        let polling = bench.polling().with_deadline(10 * HOUR);
        bench
            .with_token()
            .retention(retention)
            .poll_with(polling)
            .handle(async |_| Ok(()))
            .build()
    };
    let error = built(10 * HOUR - Duration::from_secs(1)).unwrap_err();
    assert_eq!(error.setting(), "retention");
    assert!(error.to_string().contains("tracked"), "{error}");
    assert!(built(10 * HOUR).is_ok());
}

#[tokio::test]
async fn without_a_store_nothing_can_be_tracked() {
    let bench = Bench::new();
    let endpoint = || Callbacks::<MusicVideo>::new(NAME, Token::query("token", TOKEN));
    let polled = endpoint()
        .poll_with(bench.client())
        .accept(async |_| Ok(()));
    assert_eq!(polled.unwrap_err().setting(), "poll_with");
    let confirmed = endpoint()
        .confirm_with(bench.client())
        .accept(async |_| Ok(()));
    assert_eq!(confirmed.unwrap_err().setting(), "confirm_with");
}

#[tokio::test]
async fn a_submitter_and_its_urls_are_of_one_endpoint() {
    let bench = Bench::new();
    let submitter = |name: &str, url| Submitter::new(name, MemoryStore::new(), bench.client(), url);
    let error = submitter("other", bench.signed()).unwrap_err();
    assert_eq!(error.setting(), "SignedUrl");
    let plain = SignedUrl::query(NAME, "http://example.com/callback", "cap", KEY);
    assert!(submitter(NAME, plain).is_err());
    assert!(submitter(NAME, bench.signed()).is_ok());
}
