//! Proofs made of proofs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use tower_callback::{
    BuildError,
    verify::{Presented, Refusal, RefusalKind, Setup, Verdict, Verified, Verify, verify_fn},
};

use super::{accepted, ask, head, refused};

/// What one part answers, and what is expected of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Yes,
    No(RefusalKind),
    Body,
}
use Answer::{Body, No, Yes};

const WRONG: Answer = No(RefusalKind::Mismatch);
const NONE: Answer = No(RefusalKind::Missing);
const ADDRESS: Answer = No(RefusalKind::Address);

/// A proof that always answers the same.
fn part(answer: Answer) -> impl Verify {
    verify_fn(move |_| match answer {
        Yes => Verdict::Accept(Verified::assertion()),
        No(kind) => Verdict::Refuse(Refusal::new(kind, "part")),
        Body => Verdict::NeedsBody,
    })
}

fn answer(proof: &impl Verify) -> Answer {
    match ask(proof, &head("/", &[])) {
        Verdict::Accept(_) => Yes,
        Verdict::Refuse(refusal) => No(refusal.kind()),
        Verdict::NeedsBody => Body,
    }
}

#[test]
fn the_whole_table_of_and() {
    for (a, b, both) in [
        (Yes, Yes, Yes),
        (Yes, Body, Body),
        (Body, Yes, Body),
        (Body, Body, Body),
        (Yes, WRONG, WRONG),
        (WRONG, Yes, WRONG),
        (Body, WRONG, WRONG),
        (WRONG, Body, WRONG),
        (WRONG, WRONG, WRONG),
        (WRONG, NONE, WRONG),
        (NONE, WRONG, NONE),
        // An address refuses before anything else.
        (Yes, ADDRESS, ADDRESS),
        (ADDRESS, Yes, ADDRESS),
        (Body, ADDRESS, ADDRESS),
        (ADDRESS, Body, ADDRESS),
        (WRONG, ADDRESS, ADDRESS),
        (ADDRESS, WRONG, ADDRESS),
        (ADDRESS, ADDRESS, ADDRESS),
    ] {
        assert_eq!(answer(&part(a).and(part(b))), both, "{a:?} and {b:?}");
    }
}

#[test]
fn the_whole_table_of_or() {
    for (a, b, one) in [
        (Yes, Yes, Yes),
        (Yes, Body, Yes),
        (Body, Yes, Yes),
        (Yes, WRONG, Yes),
        (WRONG, Yes, Yes),
        (Yes, ADDRESS, Yes),
        (ADDRESS, Yes, Yes),
        (Body, Body, Body),
        (Body, WRONG, Body),
        (WRONG, Body, Body),
        (Body, ADDRESS, Body),
        (ADDRESS, Body, Body),
        (WRONG, WRONG, WRONG),
        (ADDRESS, ADDRESS, ADDRESS),
        (ADDRESS, WRONG, ADDRESS),
        (WRONG, ADDRESS, WRONG),
        // What was wrong says more than what was not there.
        (NONE, WRONG, WRONG),
        (WRONG, NONE, WRONG),
        (NONE, ADDRESS, ADDRESS),
        (NONE, NONE, NONE),
    ] {
        assert_eq!(answer(&part(a).or(part(b))), one, "{a:?} or {b:?}");
    }
}

#[test]
fn an_address_refusal_wins_in_nested_proofs_too() {
    let nested = part(WRONG)
        .and(part(Body))
        .and(part(Yes).and(part(ADDRESS)));
    assert_eq!(answer(&nested), ADDRESS);
    let nested = part(ADDRESS).and(part(WRONG).or(part(Yes)));
    assert_eq!(answer(&nested), ADDRESS);
}

#[test]
fn both_parts_are_always_asked() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = |answer| {
        let (asked, part) = (asked.clone(), part(answer));
        verify_fn(move |presented: &Presented<'_>| {
            asked.fetch_add(1, Ordering::Relaxed);
            part.verify(presented)
        })
    };
    for a in [Yes, WRONG, ADDRESS, Body] {
        for b in [Yes, WRONG, ADDRESS, Body] {
            asked.store(0, Ordering::Relaxed);
            answer(&counting(a).and(counting(b)));
            assert_eq!(asked.load(Ordering::Relaxed), 2, "{a:?} and {b:?}");
        }
    }
}

fn says(verified: Verified) -> impl Verify {
    verify_fn(move |_| Verdict::Accept(verified.clone()))
}

#[test]
fn what_both_parts_say_is_kept() {
    let proof = says(
        Verified::assertion()
            .with_label("a")
            .with_correlation("order-7"),
    )
    .and(says(
        Verified::assertion().with_label("b").with_subject("t"),
    ))
    .and(says(
        Verified::assertion()
            .with_correlation("order-7")
            .with_subject("t"),
    ));
    let verified = accepted(ask(&proof, &head("/", &[])));
    assert_eq!(verified.labels().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(verified.correlation(), Some("order-7"));
    assert_eq!(verified.subject(), Some("t"));
}

#[test]
fn two_different_correlations_or_subjects_are_refused() {
    let correlation = |id| says(Verified::assertion().with_correlation(id));
    let subject = |id| says(Verified::assertion().with_subject(id));

    let refusal = refused(ask(
        &correlation("a").and(correlation("b")),
        &head("/", &[]),
    ));
    assert_eq!(refusal.kind(), RefusalKind::Contradiction);
    assert_eq!(refusal.part(), "correlation");

    let refusal = refused(ask(&subject("a").and(subject("b")), &head("/", &[])));
    assert_eq!(refusal.kind(), RefusalKind::Contradiction);
    assert_eq!(refusal.part(), "subject");
}

#[test]
fn with_or_the_first_that_accepts_speaks() {
    let proof = part(WRONG)
        .or(says(Verified::assertion().with_label("a")))
        .or(says(Verified::assertion().with_label("b")));
    let verified = accepted(ask(&proof, &head("/", &[])));
    assert_eq!(verified.labels().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn a_proof_that_needs_the_body_is_asked_again_with_it() {
    let signed = verify_fn(|presented| match presented.body() {
        None => Verdict::NeedsBody,
        Some(b"signed") => Verdict::Accept(Verified::assertion()),
        Some(_) => Verdict::Refuse(Refusal::new(RefusalKind::Mismatch, "signature")),
    });
    let proof = part(Yes).and(signed);
    let head = head("/", &[]);
    let presented = Presented::new(&head, SystemTime::UNIX_EPOCH);
    assert!(matches!(proof.verify(&presented), Verdict::NeedsBody));
    let _ = accepted(proof.verify(&presented.with_body(b"signed")));
    let refusal = refused(proof.verify(&presented.with_body(b"forged")));
    assert_eq!(refusal.part(), "signature");
}

#[test]
fn a_function_sees_what_the_caller_presents() {
    let proof = verify_fn(|presented| {
        assert_eq!(presented.method(), http::Method::POST);
        assert_eq!(presented.uri(), "/c?x=1");
        assert_eq!(presented.headers()["x-id"], "7");
        assert_eq!(presented.extensions().get(), Some(&7_u8));
        assert_eq!(presented.segment(), Some("c"));
        assert_eq!(presented.arrived(), SystemTime::UNIX_EPOCH);
        assert_eq!(presented.body(), None);
        Verdict::Accept(Verified::assertion())
    });
    let mut head = head("/c?x=1", &[("x-id", "7")]);
    head.extensions.insert(7_u8);
    let _ = accepted(ask(&proof, &head));
}

/// A proof with a horizon, or with a problem in its settings.
struct Settings {
    horizon: Option<u64>,
    problem: Option<&'static str>,
}

impl Verify for Settings {
    fn verify(&self, _: &Presented<'_>) -> Verdict {
        Verdict::NeedsBody
    }
    fn horizon(&self) -> Option<Duration> {
        self.horizon.map(Duration::from_secs)
    }
    fn check(&self, _: &Setup<'_>) -> Result<(), BuildError> {
        match self.problem {
            Some(problem) => Err(BuildError::new("part", problem)),
            None => Ok(()),
        }
    }
}

#[test]
fn the_horizon_is_the_shorter_of_both_and_the_longer_of_either() {
    let seconds = |horizon| Settings {
        horizon,
        problem: None,
    };
    for (a, b, and, or) in [
        (None, None, None, None),
        (Some(1), None, Some(1), Some(1)),
        (None, Some(2), Some(2), Some(2)),
        (Some(1), Some(2), Some(1), Some(2)),
        (Some(2), Some(1), Some(1), Some(2)),
    ] {
        let (and, or) = (and.map(Duration::from_secs), or.map(Duration::from_secs));
        assert_eq!(seconds(a).and(seconds(b)).horizon(), and, "{a:?} and {b:?}");
        assert_eq!(seconds(a).or(seconds(b)).horizon(), or, "{a:?} or {b:?}");
    }
}

#[test]
fn a_problem_in_either_part_is_a_build_error() {
    let part = |problem| Settings {
        horizon: None,
        problem,
    };
    let setup = Setup::leaf("e");
    for (a, b) in [(Some("bad"), None), (None, Some("bad"))] {
        assert!(part(a).and(part(b)).check(&setup).is_err());
        assert!(part(a).or(part(b)).check(&setup).is_err());
    }
    assert!(
        part(None)
            .and(part(None))
            .or(part(None))
            .check(&setup)
            .is_ok()
    );
}

#[test]
fn a_boxed_or_shared_proof_is_the_proof() {
    let settings = || Settings {
        horizon: Some(1),
        problem: Some("bad"),
    };
    let boxed: Box<dyn Verify> = Box::new(settings());
    let shared: Arc<dyn Verify> = Arc::new(settings());
    for proof in [&boxed as &dyn Verify, &shared as &dyn Verify] {
        assert_eq!(proof.horizon(), Some(Duration::from_secs(1)));
        assert!(proof.check(&Setup::leaf("e")).is_err());
    }
    assert_eq!(answer(&boxed), Body);
    assert_eq!(answer(&shared), Body);
    assert_eq!(answer(&boxed.and(part(WRONG))), WRONG);
}
