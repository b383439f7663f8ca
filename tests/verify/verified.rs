//! What an accepted proof carries.

use tower_callback::verify::{Refusal, RefusalKind, Verified};

#[test]
fn an_assertion_says_nothing_by_itself() {
    let verified = Verified::assertion();
    assert_eq!(verified.labels().count(), 0);
    assert_eq!(verified.correlation(), None);
    assert_eq!(verified.subject(), None);
}

#[test]
fn a_refusal_is_told_by_its_part_and_its_kind() {
    for (kind, word) in [
        (RefusalKind::Missing, "missing"),
        (RefusalKind::Mismatch, "mismatch"),
        (RefusalKind::Repeated, "repeated"),
        (RefusalKind::Malformed, "malformed"),
        (RefusalKind::Expired, "expired"),
        (RefusalKind::Early, "early"),
        (RefusalKind::UnknownKey, "unknown_key"),
        (RefusalKind::Address, "address"),
        (RefusalKind::Undecided, "undecided"),
        (RefusalKind::Contradiction, "contradiction"),
        (RefusalKind::Subject, "subject"),
    ] {
        assert_eq!(
            Refusal::new(kind, "part").to_string(),
            format!("part: {word}")
        );
    }
}
