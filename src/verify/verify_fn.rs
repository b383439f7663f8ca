//! Proofs of the user's own, and none at all.

use std::fmt;

use super::{Presented, Verdict, Verified, Verify};

/// A proof from a function: see [`Verify`] for what it may do.
///
/// ```
/// use tower_callback::verify::{Refusal, RefusalKind, Verdict, Verified, verify_fn};
///
/// // mTLS ends at a proxy that says whose certificate it was.
/// let proof = verify_fn(|presented| match presented.headers().get("x-client-cn") {
///     Some(name) if name == "provider.example" => Verdict::Accept(Verified::assertion()),
///     Some(_) => Verdict::Refuse(Refusal::new(RefusalKind::Mismatch, "client certificate")),
///     None => Verdict::Refuse(Refusal::new(RefusalKind::Missing, "client certificate")),
/// });
/// ```
pub fn verify_fn<F>(f: F) -> VerifyFn<F>
where
    F: Fn(&Presented<'_>) -> Verdict + Send + Sync + 'static,
{
    VerifyFn(f)
}

/// A proof made by [`verify_fn`].
#[derive(Clone, Copy)]
pub struct VerifyFn<F>(F);

impl<F> Verify for VerifyFn<F>
where
    F: Fn(&Presented<'_>) -> Verdict + Send + Sync + 'static,
{
    fn verify(&self, presented: &Presented<'_>) -> Verdict {
        (self.0)(presented)
    }
}

impl<F> fmt::Debug for VerifyFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyFn")
    }
}

/// No proof at all: everybody is the provider. Made only by
/// [`Dangerous::unverified`](crate::callbacks::Dangerous::unverified).
#[derive(Clone, Copy, Debug)]
pub struct Unverified(pub(crate) ());

impl Verify for Unverified {
    fn verify(&self, _: &Presented<'_>) -> Verdict {
        Verdict::Accept(Verified::assertion())
    }
}
