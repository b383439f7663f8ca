//! Tokens in their four places.

use std::time::SystemTime;

use tower_callback::verify::{
    Presented, RefusalKind,
    RefusalKind::{Malformed, Mismatch, Missing, Repeated},
    Secret, Token, Verify,
};

use super::{accepted, ask, head, outcome, refused};

const SECRET: &str = "s3cret-0123456789abcdef0123456789";

type Outcome = Result<Vec<String>, RefusalKind>;

fn query(uri: &str) -> Outcome {
    outcome(ask(&Token::query("token", SECRET), &head(uri, &[])))
}

fn segment(uri: &str) -> Outcome {
    outcome(ask(&Token::segment(SECRET), &head(uri, &[])))
}

fn header(values: &[&str]) -> Outcome {
    let headers: Vec<_> = values.iter().map(|value| ("x-token", *value)).collect();
    outcome(ask(&Token::header("X-Token", SECRET), &head("/", &headers)))
}

fn bearer(values: &[&str]) -> Outcome {
    let headers: Vec<_> = values
        .iter()
        .map(|value| ("authorization", *value))
        .collect();
    outcome(ask(&Token::bearer(SECRET), &head("/", &headers)))
}

/// Things that are nearly the secret.
fn near_misses() -> Vec<String> {
    vec![
        SECRET[1..].to_owned(),
        SECRET[..SECRET.len() - 1].to_owned(),
        format!("{SECRET}0"),
        SECRET.to_uppercase(),
        SECRET.replace('-', "%2D"),
        "x".to_owned(),
    ]
}

#[test]
fn in_the_query_exactly_one_right_token_is_accepted() {
    assert_eq!(query(&format!("/c?token={SECRET}")), Ok(vec![]));
    assert_eq!(query(&format!("/c?a=1&token={SECRET}&b")), Ok(vec![]));
    assert_eq!(query(&format!("/c?&&token={SECRET}&")), Ok(vec![]));

    for uri in ["/c", "/c?", "/c?other=1", "/c?token", "/c?token=", "/token"] {
        assert_eq!(query(uri), Err(Missing), "{uri}");
    }
    for other_name in ["Token", "xtoken", "tokenx", "token[]", "token%20"] {
        assert_eq!(query(&format!("/c?{other_name}={SECRET}")), Err(Missing));
    }
    for wrong in near_misses() {
        assert_eq!(
            query(&format!("/c?token={wrong}")),
            Err(Mismatch),
            "{wrong}"
        );
    }
    assert_eq!(query(&format!("/c?token={SECRET}=")), Err(Mismatch));
    assert_eq!(query(&format!("/c?token={SECRET};x=1")), Err(Mismatch));
}

#[test]
fn a_token_given_twice_is_refused_even_if_both_are_right() {
    for pair in [
        format!("token={SECRET}&token={SECRET}"),
        format!("token={SECRET}&token=x"),
        format!("token=x&token={SECRET}"),
        format!("token=&token={SECRET}"),
        format!("token&a=1&token={SECRET}"),
    ] {
        assert_eq!(query(&format!("/c?{pair}")), Err(Repeated), "{pair}");
    }
    assert_eq!(header(&[SECRET, SECRET]), Err(Repeated));
    assert_eq!(header(&["x", SECRET]), Err(Repeated));
    let bearers = format!("Bearer {SECRET}");
    assert_eq!(bearer(&[&bearers, &bearers]), Err(Repeated));
    assert_eq!(bearer(&["Basic abc", &bearers]), Err(Repeated));
}

#[test]
fn as_a_segment_the_last_one_that_is_not_empty_counts() {
    assert_eq!(segment(&format!("/callback/{SECRET}")), Ok(vec![]));
    assert_eq!(segment(&format!("/callback/{SECRET}/")), Ok(vec![]));
    assert_eq!(segment(&format!("/{SECRET}?token=x")), Ok(vec![]));

    assert_eq!(segment("/"), Err(Missing));
    assert_eq!(segment("//"), Err(Missing));
    assert_eq!(segment("/callback"), Err(Mismatch));
    assert_eq!(segment(&format!("/{SECRET}/callback")), Err(Mismatch));
    assert_eq!(segment(&format!("/callback?{SECRET}")), Err(Mismatch));
    for wrong in near_misses() {
        assert_eq!(segment(&format!("/callback/{wrong}")), Err(Mismatch));
    }
}

#[test]
fn the_segment_that_a_pattern_matched_goes_before_the_last_one() {
    let proof = Token::segment(SECRET);
    let head = head(&format!("/callback/{SECRET}"), &[]);
    let presented = Presented::new(&head, SystemTime::UNIX_EPOCH);
    let segment = |segment| outcome(proof.verify(&presented.with_segment(segment)));
    assert_eq!(segment(Some(SECRET)), Ok(vec![]));
    assert_eq!(segment(Some("callback")), Err(Mismatch));
    assert_eq!(segment(Some("")), Err(Missing));
    assert_eq!(segment(None), Err(Missing));
}

#[test]
fn in_a_header_exactly_one_right_token_is_accepted() {
    assert_eq!(header(&[SECRET]), Ok(vec![]));
    assert_eq!(header(&[]), Err(Missing));
    assert_eq!(header(&[""]), Err(Missing));
    for wrong in near_misses() {
        assert_eq!(header(&[&wrong]), Err(Mismatch), "{wrong}");
    }
    assert_eq!(header(&[&format!("{SECRET}, {SECRET}")]), Err(Mismatch));
}

#[test]
fn a_bearer_token_has_its_scheme_in_any_case() {
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        assert_eq!(
            bearer(&[&format!("{scheme} {SECRET}")]),
            Ok(vec![]),
            "{scheme}"
        );
    }
    assert_eq!(bearer(&[&format!("Bearer   {SECRET}")]), Ok(vec![]));
    assert_eq!(bearer(&[]), Err(Missing));
    assert_eq!(bearer(&["Bearer "]), Err(Missing));
    for malformed in [
        "",
        "Bearer",
        "Basic dXNlcjpwYXNz",
        SECRET,
        &format!("Bearer{SECRET}"),
        &format!("Bearer\t{SECRET}"),
        &format!("Basic {SECRET}"),
    ] {
        assert_eq!(bearer(&[malformed]), Err(Malformed), "{malformed:?}");
    }
    for wrong in near_misses() {
        assert_eq!(bearer(&[&format!("Bearer {wrong}")]), Err(Mismatch));
    }
}

#[test]
fn a_token_counts_only_in_its_own_place() {
    let everywhere_else = |skip: &str| {
        let mut headers = vec![];
        let bearer = format!("Bearer {SECRET}");
        if skip != "header" {
            headers.push(("x-token", SECRET));
        }
        if skip != "bearer" {
            headers.push(("authorization", &bearer));
        }
        let path = if skip == "segment" {
            "/c"
        } else {
            &format!("/c/{SECRET}")
        };
        let query = if skip == "query" {
            ""
        } else {
            &format!("?token={SECRET}")
        };
        head(&format!("{path}{query}"), &headers)
    };
    assert_eq!(
        outcome(ask(
            &Token::query("token", SECRET),
            &everywhere_else("query")
        )),
        Err(Missing)
    );
    assert_eq!(
        outcome(ask(&Token::segment(SECRET), &everywhere_else("segment"))),
        Err(Mismatch)
    );
    assert_eq!(
        outcome(ask(
            &Token::header("x-token", SECRET),
            &everywhere_else("header")
        )),
        Err(Missing)
    );
    assert_eq!(
        outcome(ask(&Token::bearer(SECRET), &everywhere_else("bearer"))),
        Err(Missing)
    );
}

#[test]
fn of_several_secrets_each_is_good_and_told_by_its_label() {
    let (new, old, bare) = (
        "new-secret-0123456789",
        "old-secret-0123456789",
        "bare-secret-0123456789",
    );
    let labelled = Token::query("token", [("2026-11", new), ("2026-10", old)]);
    let asked =
        |proof: &Token, secret| outcome(ask(proof, &head(&format!("/?token={secret}"), &[])));
    assert_eq!(asked(&labelled, new), Ok(vec!["2026-11".to_owned()]));
    assert_eq!(asked(&labelled, old), Ok(vec!["2026-10".to_owned()]));
    assert_eq!(asked(&labelled, bare), Err(Mismatch));

    let mixed = Token::query(
        "token",
        [Secret::new(bare), Secret::new(old).with_label("2026-10")],
    );
    assert_eq!(asked(&mixed, bare), Ok(vec![]));
    assert_eq!(asked(&mixed, old), Ok(vec!["2026-10".to_owned()]));

    // The old one is retired: it is wrong like any other.
    let retired = Token::query("token", [("2026-11", new)]);
    assert_eq!(asked(&retired, old), Err(Mismatch));
    assert_eq!(asked(&retired, new), Ok(vec!["2026-11".to_owned()]));
}

#[test]
fn secrets_come_from_every_form_a_configuration_has() {
    let head = head(&format!("/?token={SECRET}"), &[]);
    let owned = SECRET.to_owned();
    for proof in [
        Token::query("token", SECRET),
        Token::query("token", &owned),
        Token::query("token", owned.clone()),
        Token::query("token", Secret::new(SECRET)),
        Token::query("token", vec![Secret::new("x"), Secret::new(SECRET)]),
        Token::query("token", [Secret::new(SECRET)]),
        Token::query("token", [("label", SECRET)]),
        Token::query(
            "token",
            [("label".to_owned(), owned)]
                .into_iter()
                .collect::<tower_callback::verify::Secrets>(),
        ),
    ] {
        let _ = accepted(ask(&proof, &head));
    }
}

#[test]
fn a_refusal_names_the_token_as_the_part_that_refused() {
    let refusal = refused(ask(&Token::query("token", SECRET), &head("/", &[])));
    assert_eq!(refusal.part(), "token");
    assert_eq!(refusal.to_string(), "token: missing");
}

#[test]
fn a_token_is_good_for_ever() {
    assert_eq!(Token::query("token", SECRET).horizon(), None);
}

#[test]
fn no_debug_output_shows_a_secret() {
    let head = head(
        &format!("/c/{SECRET}?token={SECRET}"),
        &[
            ("x-token", SECRET),
            ("authorization", &format!("Bearer {SECRET}")),
        ],
    );
    let presented = Presented::new(&head, SystemTime::UNIX_EPOCH).with_body(SECRET.as_bytes());
    let proofs = [
        Token::query("token", SECRET),
        Token::segment([("label", SECRET)]),
        Token::header("x-token", vec![Secret::new(SECRET)]),
        Token::bearer(SECRET),
    ];
    for proof in proofs {
        let verdict = proof.verify(&presented);
        let both = proof.clone().and(proof.clone()).or(proof.clone());
        for shown in [
            format!("{proof:?} {both:?} {presented:?} {verdict:?}"),
            format!("{proof:#?} {both:#?} {presented:#?} {verdict:#?}"),
        ] {
            assert!(!shown.contains(SECRET), "{shown}");
        }
    }
}

#[test]
fn debug_output_tells_secrets_apart_by_their_labels() {
    let proof = Token::bearer([("2026-11", SECRET), ("2026-10", SECRET)]);
    let shown = format!("{proof:?}");
    assert!(
        shown.contains("2026-11") && shown.contains("2026-10"),
        "{shown}"
    );
}
