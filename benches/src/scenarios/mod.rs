//! What is counted: each does one thing many times, in this process and over memory, so that it is
//! the same number of instructions every time.

mod foreign;
mod http;
mod parse;
mod proofs;
mod wire;

use tower_callback::BoxError;

/// One thing to count.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Whose cost is taken off this one's, so that only what is its own is left.
    pub(crate) floor: Option<&'static str>,
    /// Somebody else's, for comparison: it has no limit.
    pub(crate) is_peer: bool,
    run: fn(u32),
}

const BARE: Option<&str> = Some("bare hyper");
/// Whoever refuses by the head has no body to read.
const UNREAD: Option<&str> = Some("bare hyper, body unread");

const fn peer(name: &'static str, floor: Option<&'static str>, run: fn(u32)) -> Scenario {
    Scenario {
        name,
        floor,
        is_peer: true,
        run,
    }
}

const fn ours(name: &'static str, floor: Option<&'static str>, run: fn(u32)) -> Scenario {
    Scenario {
        name,
        floor,
        is_peer: false,
        run,
    }
}

pub(crate) const ALL: &[Scenario] = &[
    peer("bare hyper", None, http::bare),
    peer("bare hyper, body unread", None, http::bare_unread),
    ours("accepted", BARE, http::accepted),
    ours("duplicate", BARE, http::duplicate),
    ours("refused", UNREAD, http::refused),
    peer("hand-written, accepted", BARE, http::hand_written_accepted),
    peer("hand-written, refused", UNREAD, http::hand_written_refused),
    peer("axum, accepted", BARE, http::axum_accepted),
    peer("axum, refused", UNREAD, http::axum_refused),
    peer("app alone", None, foreign::app),
    ours(
        "foreign, through the layer",
        Some("app alone"),
        foreign::layered,
    ),
    ours("parse", None, parse::music_video),
    peer(
        "serde_json, borrowed, all fields",
        None,
        parse::serde_json_borrowed,
    ),
    ours("token in the query", None, proofs::query),
    ours("token in the query, wrong", None, proofs::query_wrong),
    ours("token in the path", None, proofs::segment),
    ours("token in a header", None, proofs::header),
    ours("bearer token", None, proofs::bearer),
    ours("address", None, proofs::address),
    ours("signed URL", None, proofs::signed_url),
    ours("signature, kie", None, proofs::kie),
    ours("signature, GitHub", None, proofs::github),
    ours("signature, Stripe", None, proofs::stripe),
    ours(
        "signature, Standard Webhooks",
        None,
        proofs::standard_webhooks,
    ),
];

/// Runs one of them.
pub(crate) fn run(name: &str, times: u32) -> Result<(), BoxError> {
    let scenario = ALL.iter().find(|scenario| scenario.name == name);
    let scenario = scenario.ok_or_else(|| format!("no scenario is called {name:?}"))?;
    (scenario.run)(times);
    Ok(())
}
