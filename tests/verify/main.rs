//! Who is let in, and who is not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod address;
mod build;
mod combine;
mod forwarded;
mod secrets;
mod signature;
mod signed_url;
mod token;
mod verified;

use std::time::SystemTime;

use http::{Request, request};
use tower_callback::verify::{Presented, Refusal, RefusalKind, Verdict, Verified, Verify};

/// A request's head.
fn head(uri: &str, headers: &[(&str, &str)]) -> request::Parts {
    let mut request = Request::post(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn ask(proof: &impl Verify, head: &request::Parts) -> Verdict {
    proof.verify(&Presented::new(head, SystemTime::UNIX_EPOCH))
}

#[track_caller]
fn accepted(verdict: Verdict) -> Verified {
    match verdict {
        Verdict::Accept(verified) => verified,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(verdict: Verdict) -> Refusal {
    match verdict {
        Verdict::Refuse(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

/// The labels of an accepted caller, or why he was refused.
fn outcome(verdict: Verdict) -> Result<Vec<String>, RefusalKind> {
    match verdict {
        Verdict::Accept(verified) => Ok(verified.labels().map(str::to_owned).collect()),
        Verdict::Refuse(refusal) => Err(refusal.kind()),
        Verdict::NeedsBody => panic!("this proof needs no body"),
    }
}
