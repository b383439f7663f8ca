//! What is printed of whatever holds a secret, a body or a URI.

use std::{error::Error, fmt::Write as _, io::Write as _, time::SystemTime};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tower_callback::{
    Callback, Callbacks, Delivery, IpAllowlist, MemoryStore, MusicVideo, SignedUrl, Token, Verify,
    music_video::KieSignature,
    store::{
        AnyInbox, AnyStore, Inbox, Lease, LeaseToken, Leased, NewRecord, Queue, RecordId, Store,
    },
    testing::{Caller, Recording, callback, provider::Planned},
    verify::{PeerAddr, Presented, Secret, Secrets, SecretsError, Setup, Signature},
};

use crate::{CANARY, assert_unseen, body::Chunks, kinds::kinds, success};

/// An error as anybody may print it, with everything below it.
fn printed(error: &dyn Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut error = error.source();
    while let Some(source) = error {
        write!(text, " {source} {source:?}").unwrap();
        error = source.source();
    }
    text
}

#[test]
fn no_proof_prints_its_secret() {
    for kind in kinds() {
        let proof = (kind.proof)();
        let head = (kind.good)("task-1", b"");
        let (head, _) = head.post(Chunks::of("")).into_parts();
        let presented = Presented::new(&head, SystemTime::UNIX_EPOCH)
            .with_segment(Some(CANARY))
            .with_body(CANARY.as_bytes());
        let verdict = proof.verify(&presented);
        assert_unseen(&format!("{presented:?} {verdict:?}"), CANARY);
    }
    let ends = SystemTime::UNIX_EPOCH;
    let secret = Secret::new(CANARY).with_label("old").with_until(ends);
    let secrets = Secrets::from([secret.clone()]);
    let tokens = [
        Token::query("token", secrets.clone()),
        Token::segment(CANARY),
        Token::header("x-token", CANARY),
        Token::bearer(CANARY),
    ];
    let both = Token::bearer(CANARY).and(IpAllowlist::new(["203.0.113.7"], PeerAddr::of));
    let either = Token::bearer(CANARY).or(Token::segment(CANARY));
    let signatures = [
        Signature::github(CANARY),
        Signature::stripe(CANARY),
        Signature::standard_webhooks(STANDARD.encode(CANARY)),
    ];
    let kie = KieSignature::new(CANARY);
    let signed = SignedUrl::query(
        "e",
        format!("https://u:{CANARY}@example.com"),
        "cap",
        CANARY,
    );
    let text = format!(
        "{secret:?} {secrets:?} {tokens:?} {both:?} {either:?} {signatures:?} {kie:?} {signed:?} {:?}",
        signed.clone().dangerous(),
    );
    assert!(text.contains("old"), "labels are for printing: {text}");
    assert_unseen(&text, CANARY);
}

#[test]
fn no_error_quotes_a_secret() {
    let mut text = String::new();
    // Secrets that cannot be presented, each for another reason.
    for wrong in [
        format!("{CANARY} "),
        format!("{CANARY}&{CANARY}"),
        format!("{CANARY}\u{e9}"),
        format!("{CANARY}\n"),
    ] {
        for token in [Token::query("token", &wrong), Token::bearer(&wrong)] {
            if let Err(error) = token.check(&Setup::leaf("e")) {
                text += &printed(&error);
            }
        }
    }
    for wrong in [CANARY.to_owned(), format!("whsec_{CANARY}")] {
        let proof = Signature::standard_webhooks(wrong);
        text += &printed(&proof.check(&Setup::leaf("e")).unwrap_err());
    }
    for base in [
        format!("http://example.com/{CANARY}"),
        format!("https://{CANARY}@example.com"),
        format!("https://example.com?{CANARY}#{CANARY}"),
        CANARY.to_owned(),
    ] {
        let signed = SignedUrl::query("e", base, "cap", [("november", CANARY)]);
        text += &printed(&signed.check(&Setup::leaf("e")).unwrap_err());
        text += &printed(&signed.mint("order-1742").unwrap_err());
    }
    for setting in ["Token", "Signature", "SignedUrl"] {
        assert!(text.contains(setting), "there were errors of {setting}");
    }

    let mut errors: Vec<SecretsError> = Vec::new();
    for content in [
        format!("a {CANARY} b c"),
        format!("a {CANARY} {CANARY}"),
        format!("a {CANARY} 2026-13-01T00:00:00Z"),
        format!("a {CANARY}\nb c {CANARY}\n"),
        format!("{CANARY} {CANARY} {CANARY}"),
    ] {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        errors.extend(Secrets::from_file(file.path()).err());
    }
    assert_eq!(errors.len(), 5);
    let secrets = Secrets::from(CANARY);
    errors.extend(secrets.replace([]).err());
    errors.extend(secrets.reload().err());
    for error in &errors {
        text += &printed(error);
    }
    assert_unseen(&text, CANARY);
}

#[tokio::test]
async fn nothing_on_the_way_from_the_front_to_the_handler_prints_a_body_or_a_header() {
    let queue = Queue::events("music-video");
    let record = NewRecord::new(queue.clone(), "task-1", success("task-1"))
        .with_meta(format!("{{\"headers\":{{\"x\":\"{CANARY}\"}}}}"));
    let mut text = format!("{record:?}");

    let store = MemoryStore::new();
    store.insert(std::slice::from_ref(&record)).await.unwrap();
    text += &format!(
        "{:?}",
        store.find(&queue, b"task-1").await.unwrap().unwrap()
    );
    let lease = Lease::new(queue, RecordId::random(), LeaseToken::random());
    let leased = Leased::new(lease, record.key, 0, record.body, record.meta);
    text += &format!("{leased:?}");

    let recording = Recording::new(store.clone());
    text += &format!("{recording:?} {store:?}");
    text += &format!(
        "{:?} {:?}",
        AnyInbox::new(store.clone()),
        AnyStore::new(store.clone())
    );

    let mut headers = http::HeaderMap::new();
    headers.insert("webhook-id", CANARY.parse().unwrap());
    let body = success("task-1");
    let view = Callback::new(body.as_bytes(), SystemTime::UNIX_EPOCH, &headers);
    text += &format!("{view:?}");
    assert!(
        text.contains("webhook-id"),
        "names are for printing: {text}"
    );
    text += &format!(
        "{:?}",
        Delivery::new(()).with_key("task-1").with_body(body.clone())
    );

    let callbacks = Callbacks::<MusicVideo>::new("music-video", Token::query("token", CANARY));
    text += &format!("{callbacks:?}");
    let callbacks = callbacks.store(store).handle(async |_| Ok(()));
    text += &format!("{callbacks:?}");
    let (service, worker) = callbacks.build().unwrap();
    text += &format!("{service:?} {worker:?} {:?}", service.layer("/callback"));
    assert_unseen(&text, CANARY);
}

#[test]
fn the_simulated_provider_does_not_print_the_url_that_it_calls() {
    let url = format!("http://127.0.0.1:1/{CANARY}?token={CANARY}");
    let planned = Planned::raw("task-1", 200, success("task-1"));
    let mut text = format!("{planned:?}");
    let provider = Caller::to(&url).unwrap().event(planned);
    text += &format!("{provider:?}");
    let builder = callback("task-1")
        .query("token", CANARY)
        .bearer(CANARY)
        .body(CANARY);
    text += &format!("{builder:?}");
    for wrong in [
        format!("ftp://{CANARY}"),
        format!("http://127.0.0.1/{CANARY} x"),
        CANARY.to_owned(),
    ] {
        text += &printed(&Caller::to(&wrong).unwrap_err());
    }
    assert_unseen(&text, CANARY);
}
