//! Several secrets at once: labels, ends, and changes while requests come.

use std::{
    error::Error,
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::request;
use tower_callback::verify::{
    Presented, RefusalKind,
    RefusalKind::{Expired, Mismatch},
    Secret, Secrets, Setup, Token, Verify,
};

use super::{accepted, ask, head, outcome};

const NEW: &str = "secret-of-november-2026";
const OLD: &str = "secret-of-october-2026";

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn with_token(token: &str) -> request::Parts {
    head(&format!("/c?token={token}"), &[])
}

fn asked(secrets: &Secrets, token: &str, arrived: SystemTime) -> Result<Vec<String>, RefusalKind> {
    let proof = Token::query("token", secrets.clone());
    outcome(proof.verify(&Presented::new(&with_token(token), arrived)))
}

fn labels(labels: &[&str]) -> Result<Vec<String>, RefusalKind> {
    Ok(labels.iter().map(|label| (*label).to_owned()).collect())
}

#[test]
fn a_secret_is_good_until_its_end_and_expired_from_then_on() {
    let secrets = Secrets::from([
        Secret::new(NEW).with_label("new"),
        Secret::new(OLD).with_label("old").with_until(at(1000)),
    ]);
    let just_before = at(1000) - Duration::from_nanos(1);
    assert_eq!(asked(&secrets, OLD, just_before), labels(&["old"]));
    assert_eq!(asked(&secrets, OLD, at(1000)), Err(Expired));
    assert_eq!(asked(&secrets, OLD, at(1_000_000)), Err(Expired));
    assert_eq!(asked(&secrets, NEW, at(1_000_000)), labels(&["new"]));
    assert_eq!(asked(&secrets, "wrong", at(0)), Err(Mismatch));
}

#[test]
fn of_equal_secrets_the_one_that_lasts_is_told() {
    let ended = || Secret::new(NEW).with_label("ended").with_until(at(10));
    let retiring = || Secret::new(NEW).with_label("retiring").with_until(at(1000));
    let lasting = || Secret::new(NEW).with_label("lasting");
    for secrets in [
        [ended(), retiring(), lasting()],
        [lasting(), retiring(), ended()],
        [retiring(), lasting(), ended()],
    ] {
        assert_eq!(asked(&secrets.into(), NEW, at(100)), labels(&["lasting"]));
    }
    for secrets in [[ended(), retiring()], [retiring(), ended()]] {
        assert_eq!(asked(&secrets.into(), NEW, at(100)), labels(&["retiring"]));
    }
}

#[test]
fn a_replacement_reaches_every_clone_and_every_proof() {
    let secrets = Secrets::from(OLD);
    let query = Token::query("token", secrets.clone());
    let copy = query.clone();
    assert!(outcome(ask(&copy, &with_token(OLD))).is_ok());
    secrets
        .replace([Secret::new(NEW).with_label("2026-11")])
        .unwrap();
    for proof in [query, copy] {
        assert_eq!(outcome(ask(&proof, &with_token(OLD))), Err(Mismatch));
        assert_eq!(outcome(ask(&proof, &with_token(NEW))), labels(&["2026-11"]));
    }
}

#[test]
fn what_a_proof_could_not_use_never_replaces_what_it_uses() {
    let secrets = Secrets::from(OLD);
    assert!(secrets.replace([Secret::new("")]).is_err());
    assert!(secrets.replace([]).is_err());
    // Before a proof was built, nobody knows that these go into a URL.
    secrets.replace([Secret::new("a/b")]).unwrap();
    secrets.replace([Secret::new(OLD)]).unwrap();

    let proof = Token::query("token", secrets.clone());
    proof.check(&Setup::leaf("e")).unwrap();
    for bad in ["a/secret/with/slashes", "a\nb", "s3cret=", ""] {
        let error = secrets
            .replace([Secret::new(NEW), Secret::new(bad).with_label("2026-12")])
            .unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("2026-12"), "{text}");
        assert!(!text.contains(NEW), "{text}");
        assert!(bad.is_empty() || !text.contains(bad), "{text}");
        assert!(outcome(ask(&proof, &with_token(OLD))).is_ok());
        assert_eq!(outcome(ask(&proof, &with_token(NEW))), Err(Mismatch));
    }

    // In a header a slash is good, and the rule of the URL still holds for a handle shared by both.
    let bearer = Token::bearer(secrets.clone());
    bearer.check(&Setup::leaf("e")).unwrap();
    assert!(secrets.replace([Secret::new("a/b")]).is_err());
}

#[test]
fn while_secrets_are_replaced_no_request_is_refused() {
    let both = || {
        [
            Secret::new(NEW).with_label("new"),
            Secret::new(OLD).with_label("old"),
        ]
    };
    let secrets = Secrets::from(both());
    let proof = Token::query("token", secrets.clone());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut asked = 0;
                    let head = with_token(OLD);
                    while !done.load(Ordering::Relaxed) || asked == 0 {
                        let verified = accepted(ask(&proof, &head));
                        assert_eq!(verified.labels().collect::<Vec<_>>(), ["old"]);
                        asked += 1;
                    }
                })
            })
            .collect();
        for _ in 0..500 {
            let [new, old] = both();
            secrets.replace([old, new]).unwrap();
            secrets.replace(both()).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        for asking in asking {
            asking.join().unwrap();
        }
    });
}

#[test]
fn a_file_is_read_again_when_it_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets");
    fs::write(&path, format!("# ours\nold {OLD}\n")).unwrap();
    let secrets = Secrets::from_file(&path).unwrap();
    assert_eq!(asked(&secrets, OLD, at(0)), labels(&["old"]));

    fs::write(
        &path,
        format!("new {NEW}\nold {OLD} 2026-12-01T00:00:00Z\n"),
    )
    .unwrap();
    assert_eq!(asked(&secrets, NEW, at(0)), Err(Mismatch));
    secrets.reload().unwrap();
    assert_eq!(asked(&secrets, NEW, at(0)), labels(&["new"]));
    let end = 1_796_083_200;
    assert_eq!(asked(&secrets, OLD, at(end - 1)), labels(&["old"]));
    assert_eq!(asked(&secrets, OLD, at(end)), Err(Expired));
}

#[test]
fn a_file_of_64_kib_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets");
    let secret = format!("new {NEW}\n");
    let comment = "#".repeat(64 * 1024 - secret.len());
    fs::write(&path, secret + &comment).unwrap();
    let secrets = Secrets::from_file(&path).unwrap();
    assert_eq!(asked(&secrets, NEW, at(0)), labels(&["new"]));
}

#[test]
fn a_file_that_cannot_be_read_leaves_the_old_secrets_and_names_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets");
    fs::write(&path, format!("old {OLD}")).unwrap();
    let secrets = Secrets::from_file(&path).unwrap();
    for (text, words) in [
        (String::new(), "no secret"),
        (format!("new {NEW}\nnewer {NEW} {NEW}\n"), "line 2"),
        (format!("a b c {NEW}"), "line 1"),
        ("x".repeat(64 * 1024 + 1), "64 KiB"),
    ] {
        fs::write(&path, text).unwrap();
        for error in [
            secrets.reload().unwrap_err(),
            Secrets::from_file(&path).unwrap_err(),
        ] {
            let text = format!("{error} {error:?}");
            assert!(text.contains(words), "{text}");
            assert!(error.to_string().contains(&path.display().to_string()));
            assert!(!text.contains(NEW), "{text}");
        }
        assert_eq!(asked(&secrets, OLD, at(0)), labels(&["old"]));
    }
    fs::remove_file(&path).unwrap();
    let error = secrets.reload().unwrap_err();
    assert!(error.source().is_some(), "{error:?}");
    assert_eq!(asked(&secrets, OLD, at(0)), labels(&["old"]));
}

#[test]
fn a_reload_is_held_against_what_the_proof_asks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets");
    fs::write(&path, OLD).unwrap();
    let secrets = Secrets::from_file(&path).unwrap();
    let proof = Token::segment(secrets.clone());
    proof.check(&Setup::leaf("e")).unwrap();
    fs::write(&path, "2026-12 has/a/slash").unwrap();
    let error = secrets.reload().unwrap_err().to_string();
    assert!(
        error.contains("2026-12") && error.contains("URL"),
        "{error}"
    );
    assert!(asked(&secrets, OLD, at(0)).is_ok());
}

#[test]
fn an_environment_variable_with_one_word_is_one_secret() {
    // Cargo sets it for a test.
    let secrets = Secrets::from_env("CARGO_PKG_NAME").unwrap();
    assert_eq!(asked(&secrets, "tower-callback", at(0)), labels(&[]));
    secrets.reload().unwrap();
    assert_eq!(asked(&secrets, "tower-callback", at(0)), labels(&[]));

    let error = Secrets::from_env("TOWER_CALLBACK_IS_NOT_SET").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the environment variable TOWER_CALLBACK_IS_NOT_SET: is not set"
    );
}

#[test]
fn what_came_from_the_program_cannot_be_read_again() {
    let secrets = Secrets::from(OLD);
    let error = secrets.reload().unwrap_err().to_string();
    assert!(error.contains("`replace`"), "{error}");
    assert!(asked(&secrets, OLD, at(0)).is_ok());
}

#[test]
fn debug_output_shows_labels_and_ends_and_no_secret() {
    let secret = Secret::new(OLD).with_label("old").with_until(at(1000));
    let shown = format!("{secret:?} {:?}", Secrets::from([secret.clone()]));
    assert!(shown.contains("old") && shown.contains("1000"), "{shown}");
    assert!(!shown.contains(OLD), "{shown}");
    let bytes = Secret::from_bytes([0xab; 32]);
    let shown = format!("{bytes:?} {bytes:#?}");
    assert!(!shown.contains("171") && !shown.contains("abab"), "{shown}");
}
