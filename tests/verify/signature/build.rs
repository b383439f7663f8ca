//! What is wrong with a signature's settings shows when the endpoint is built.

use std::time::Duration;

use tower_callback::{
    music_video::KieSignature,
    verify::{Encoding, Secret, Secrets, Setup, Signature, Verify},
};

const SECRET: &str = "s3cret-0123456789abcdef0123456789";
const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn family() -> Signature {
    Signature::hmac_sha256("x-signature", SECRET)
}

/// The error names this setting, says these words, and never a secret.
#[track_caller]
fn error(proof: &impl Verify, setting: &str, words: &[&str]) {
    let error = proof.check(&Setup::leaf("e")).unwrap_err();
    assert_eq!(error.setting(), setting, "{error}");
    let text = format!("{error} {error:?}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
    for secret in [SECRET, WHSEC, "s3cret", "MfKQ9r8G"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn good_settings_are_good() {
    for proof in [
        Signature::github(SECRET),
        Signature::stripe(SECRET),
        Signature::stripe(SECRET).tolerance(Duration::from_secs(1)),
        Signature::standard_webhooks(WHSEC),
        family(),
        family().encoding(Encoding::UpperHex).list(' '),
        family().timestamp_header("x-time").separator("--"),
        family().signed_prefix("v0").separator(""),
        family().id_header("x-id").id_is_subject(),
        family().signed_prefix("v0").separator("--"),
        family().id_header("x-id").separator(":"),
    ] {
        assert_eq!(proof.check(&Setup::leaf("e")), Ok(()), "{proof:?}");
        assert_eq!(proof.check(&Setup::layer("e", false)), Ok(()));
    }
    assert_eq!(KieSignature::new(SECRET).check(&Setup::leaf("e")), Ok(()));
}

#[test]
fn what_is_no_headers_name_is_refused() {
    for name in ["", "x time", "x:time", "x-tïme", "x\ntime"] {
        let quoted = format!("{name:?}");
        let words = [&*quoted];
        error(&Signature::hmac_sha256(name, SECRET), "Signature", &words);
        error(&family().id_header(name), "Signature::id_header", &words);
        error(
            &family().timestamp_header(name),
            "Signature::timestamp_header",
            &words,
        );
    }
}

#[test]
fn a_list_whose_items_cannot_be_told_apart_is_refused() {
    for separator in ['a', 'F', '0', '+', '/', '=', 'ä'] {
        error(
            &family().list(separator),
            "Signature::list",
            &[&format!("{separator:?}")],
        );
    }
    error(
        &family().prefix("v1,").list(','),
        "Signature::list",
        &["','"],
    );
    error(
        &family().prefix("v1=").list(';').timestamp_in_list("t;"),
        "Signature::list",
        &["';'"],
    );
    let setting = "Signature::timestamp_in_list";
    error(&family().timestamp_in_list("t="), setting, &[".list(',')"]);
    error(
        &family().list(',').timestamp_in_list("t="),
        setting,
        &["prefix"],
    );
    error(
        &family().prefix("v1=").list(',').timestamp_in_list(""),
        setting,
        &["prefix"],
    );
}

#[test]
fn a_separator_that_leaves_open_where_a_piece_ends_is_refused() {
    for separator in ["", "..", ": "] {
        error(
            &family().id_header("x-id").separator(separator),
            "Signature::separator",
            &["id ends"],
        );
    }
    error(
        &family().timestamp_header("x-time").separator("0"),
        "Signature::separator",
        &["time ends"],
    );
    let in_list = family().prefix("v1=").list(',').timestamp_in_list("t=");
    for proof in [family().timestamp_header("x-time"), in_list] {
        let proof = proof.separator("");
        error(&proof, "Signature::separator", &["empty", "time"]);
    }
}

#[test]
fn a_subject_without_an_id_that_is_signed_is_refused() {
    error(
        &family().id_is_subject(),
        "Signature::id_is_subject",
        &[".id_header"],
    );
}

#[test]
fn a_tolerance_that_admits_nobody_or_means_nothing_is_refused() {
    let zero = Signature::stripe(SECRET).tolerance(Duration::ZERO);
    error(&zero, "Signature::tolerance", &["under a second"]);
    let timeless = Signature::github(SECRET).tolerance(Duration::from_secs(60));
    error(&timeless, "Signature::tolerance", &[".timestamp_header"]);
    let zero = KieSignature::new(SECRET).max_age(Duration::ZERO);
    error(&zero, "KieSignature::max_age", &["under a second"]);
}

#[test]
fn an_empty_or_missing_secret_is_refused() {
    let words = ["empty", "environment variable"];
    error(&Signature::github(""), "Signature", &words);
    error(
        &Signature::stripe([("new", SECRET), ("old", "")]),
        "Signature",
        &["old", "empty"],
    );
    error(&KieSignature::new(""), "KieSignature", &words);
    error(
        &Signature::github(Vec::<Secret>::new()),
        "Signature",
        &["no secret"],
    );
}

#[test]
fn a_secret_that_holds_no_key_in_base64_is_refused_by_its_label() {
    for secret in [
        "whsec_s3cret-s3cret",
        "s3cret s3cret",
        "whsec_",
        "v1,whsec_MfKQ9r8G",
    ] {
        error(
            &Signature::standard_webhooks([("good", WHSEC), ("2026-11", secret)]),
            "Signature::base64_secrets",
            &["2026-11", "base64", "whsec_"],
        );
    }
}

#[test]
fn secrets_that_one_of_two_signatures_could_not_use_do_not_replace_those_that_both_can() {
    let secrets = Secrets::from(WHSEC);
    let proof =
        Signature::github(secrets.clone()).or(Signature::standard_webhooks(secrets.clone()));
    proof.check(&Setup::leaf("e")).unwrap();
    let error = secrets.replace([Secret::new("s3cret s3cret")]).unwrap_err();
    assert!(error.to_string().contains("base64"), "{error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
    secrets.replace([Secret::new(WHSEC)]).unwrap();
}
