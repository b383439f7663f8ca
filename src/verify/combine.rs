//! Proofs made of proofs.

use std::time::Duration;

use super::{Presented, Refusal, RefusalKind, Setup, Verdict, Verify};
use crate::error::BuildError;

/// Both proofs must accept: see [`Verify::and`].
#[derive(Clone, Debug)]
pub struct And<A, B> {
    a: A,
    b: B,
}

impl<A, B> And<A, B> {
    pub(super) fn new(a: A, b: B) -> Self {
        Self { a, b }
    }
}

impl<A: Verify, B: Verify> Verify for And<A, B> {
    fn verify(&self, presented: &Presented<'_>) -> Verdict {
        use Verdict::{Accept, NeedsBody, Refuse};
        match (self.a.verify(presented), self.b.verify(presented)) {
            (Refuse(a), Refuse(b)) => Refuse(if is_address(a) || !is_address(b) {
                a
            } else {
                b
            }),
            (Refuse(refusal), _) | (_, Refuse(refusal)) => Refuse(refusal),
            (NeedsBody, _) | (_, NeedsBody) => NeedsBody,
            (Accept(a), Accept(b)) => match a.merge(b) {
                Ok(both) => Accept(both),
                Err(contradiction) => Refuse(contradiction),
            },
        }
    }

    /// A captured request is accepted only as long as both accept it.
    fn horizon(&self) -> Option<Duration> {
        match (self.a.horizon(), self.b.horizon()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn check(&self, setup: &Setup<'_>) -> Result<(), BuildError> {
        self.a.check(setup)?;
        self.b.check(setup)
    }
}

/// One of the proofs must accept: see [`Verify::or`].
#[derive(Clone, Debug)]
pub struct Or<A, B> {
    a: A,
    b: B,
}

impl<A, B> Or<A, B> {
    pub(super) fn new(a: A, b: B) -> Self {
        Self { a, b }
    }
}

impl<A: Verify, B: Verify> Verify for Or<A, B> {
    fn verify(&self, presented: &Presented<'_>) -> Verdict {
        use Verdict::{Accept, NeedsBody, Refuse};
        match (self.a.verify(presented), self.b.verify(presented)) {
            (Accept(verified), _) | (_, Accept(verified)) => Accept(verified),
            (NeedsBody, _) | (_, NeedsBody) => NeedsBody,
            // What was wrong says more than what was not there.
            (Refuse(a), Refuse(b)) => Refuse(if a.kind() == RefusalKind::Missing {
                b
            } else {
                a
            }),
        }
    }

    /// A captured request is accepted as long as one of the two accepts it.
    fn horizon(&self) -> Option<Duration> {
        self.a.horizon().max(self.b.horizon())
    }

    fn check(&self, setup: &Setup<'_>) -> Result<(), BuildError> {
        self.a.check(setup)?;
        self.b.check(setup)
    }
}

fn is_address(refusal: Refusal) -> bool {
    refusal.kind() == RefusalKind::Address
}
