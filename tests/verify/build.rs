//! What is wrong with a token's settings shows when the endpoint is built.

use tower_callback::{
    BuildError,
    verify::{Secret, Setup, Token, Verify},
};

const SECRET: &str = "s3cret-0123456789abcdef0123456789";

fn check(proof: &Token) -> Result<(), BuildError> {
    proof.check(&Setup::leaf("e"))
}

/// The error says all of these words, and never the secret.
#[track_caller]
fn error(proof: &Token, secret: &str, words: &[&str]) {
    let error = check(proof).unwrap_err();
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
    assert!(secret.is_empty() || !text.contains(secret), "{text}");
    assert!(secret.is_empty() || !format!("{error:?}").contains(secret));
}

#[test]
fn good_settings_are_good_in_every_place() {
    for proof in [
        Token::query("token", "AZaz09-._~AZaz09-._~"),
        Token::query("my.to-k_e~n", SECRET),
        Token::segment(SECRET),
        Token::header("x-token", "p@ss/w+rd=0123456789"),
        Token::bearer("YWJj/ZGVm+Z2hp=="),
        Token::bearer("short"),
    ] {
        assert_eq!(check(&proof), Ok(()));
    }
}

#[test]
fn a_secret_for_a_url_is_made_of_unreserved_characters() {
    for character in " /+=%&?#:@!$,;'()*[]\"<>\\^`{|}ä\n\0".chars() {
        let secret = format!("0123456789{character}abcdef");
        let words = ["2026-11", "URL", "- . _ ~"];
        for (setting, proof) in [
            (
                "`Token::query`",
                Token::query("token", [("2026-11", &secret)]),
            ),
            ("`Token::segment`", Token::segment([("2026-11", &secret)])),
        ] {
            error(&proof, &secret, &words);
            error(&proof, &secret, &[setting]);
        }
    }
}

#[test]
fn a_secret_for_a_header_is_visible_ascii() {
    for secret in [
        "0123456789abcdef\n",
        "0123456789 abcdef",
        "0123456789\u{7f}",
        "0123456789ä",
    ] {
        let words = ["without a label", "visible ASCII", "line feed"];
        error(&Token::header("x-token", secret), secret, &words);
        error(&Token::bearer(secret), secret, &words);
    }
}

#[test]
fn an_empty_secret_is_refused_in_every_place_also_among_others() {
    let words = ["empty", "environment variable"];
    for proof in [
        Token::query("token", ""),
        Token::segment(""),
        Token::header("x-token", String::new()),
        Token::bearer(""),
        Token::bearer([Secret::new(SECRET), Secret::new("")]),
    ] {
        error(&proof, "", &words);
    }
    error(
        &Token::bearer([("new", SECRET), ("old", "")]),
        SECRET,
        &["old", "empty"],
    );
}

#[test]
fn no_secret_at_all_is_refused() {
    error(&Token::bearer(Vec::<Secret>::new()), "", &["no secret"]);
    error(
        &Token::query("token", [] as [Secret; 0]),
        "",
        &["no secret"],
    );
}

#[test]
fn a_name_that_cannot_be_presented_is_refused() {
    for name in [
        "", "to ken", "to&ken", "to=ken", "t%6Fken", "tökên", "token[]",
    ] {
        error(
            &Token::query(name, SECRET),
            SECRET,
            &["`Token::query`", &format!("{name:?}")],
        );
    }
    for name in ["", "x token", "x-tökên", "x:token", "x\ntoken"] {
        error(
            &Token::header(name, SECRET),
            SECRET,
            &["`Token::header`", &format!("{name:?}")],
        );
    }
}

#[test]
fn a_segment_needs_a_layer_whose_path_has_one() {
    let proof = Token::segment(SECRET);
    assert!(proof.check(&Setup::leaf("e")).is_ok(), "the router knows");
    assert!(proof.check(&Setup::layer("e", true)).is_ok());
    let error = proof.check(&Setup::layer("e", false)).unwrap_err();
    assert_eq!(error.setting(), "layer");
    assert!(error.to_string().contains("/{token}"), "{error}");

    let among_others = Token::bearer(SECRET).or(proof);
    assert!(among_others.check(&Setup::layer("e", false)).is_err());
    assert!(
        Token::bearer(SECRET)
            .check(&Setup::layer("e", false))
            .is_ok()
    );
}
