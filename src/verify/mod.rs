//! Who is calling: [`Verify`], what it looks at, what it answers, and the proofs that ship with
//! the crate.
//!
//! A proof is a pure, synchronous function of what a caller presents. It is asked as soon as the
//! request's head is there, and again with the body if it says that it needs it. Proofs compose:
//!
//! ```
//! use tower_callback::verify::{IpAllowlist, PeerAddr, Token, Verify};
//!
//! # let (new, old) = ("secret-of-november-2026", "secret-of-october-2026");
//! let proof = Token::query("token", [("2026-11", new), ("2026-10", old)])
//!     .and(IpAllowlist::new(["203.0.113.0/24"], PeerAddr::of));
//! ```
//!
#![doc = include_str!("../../docs/choosing-a-proof.md")]

mod address;
mod combine;
mod mac;
mod presented;
mod secret;
mod signature;
mod signed_url;
mod single;
mod token;
mod verdict;
mod verify_fn;

#[cfg(feature = "testing")]
pub(crate) use self::mac::sign as hmac_sha256;
#[cfg(feature = "client")]
pub(crate) use self::secret::parse_time;
pub use self::{
    address::{IpAllowlist, PeerAddr, TrustedProxies},
    combine::{And, Or},
    presented::Presented,
    secret::{Secret, Secrets, SecretsError},
    signature::{Encoding, Signature},
    signed_url::{DangerousSignedUrl, MintError, SignedUrl},
    token::Token,
    verdict::{Refusal, RefusalKind, Verdict, Verified},
    verify_fn::{Unverified, VerifyFn, verify_fn},
};
pub(crate) use self::{
    signature::{Keys, Tolerance, unix_seconds},
    single::header as single_header,
};

use std::time::Duration;

use crate::error::BuildError;

/// Decides whether a caller is the provider.
///
/// # Contract
///
/// - First asked without the body. Whoever needs it answers [`Verdict::NeedsBody`], and is asked
///   again with it; answering `NeedsBody` with the body present is a refusal.
/// - A function of [`Presented`] alone: no clock, no network, no blocking. The arrival time is
///   presented.
/// - A panic is answered with 503.
///
/// # Security
///
/// Compare secrets in constant time, as [`Token`] does. A [`Verified`] can be made only by
/// [`Verified::assertion`]: grep for it to find every place where a caller is let in.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no proof of who is calling",
    label = "give it a proof, such as `Token::query(\"token\", secret)`",
    note = "a check of your own is `verify_fn(..)`, one chosen at run time a `Box<dyn Verify>`; no proof at all is `Callbacks::dangerous().unverified(name)`"
)]
pub trait Verify: Send + Sync + 'static {
    /// Looks at what the caller presents.
    fn verify(&self, presented: &Presented<'_>) -> Verdict;

    /// How long after its first arrival a captured request may still be accepted, where that is
    /// bounded: the life of a signed URL, the tolerance of a signed timestamp.
    ///
    /// The builder refuses to forget keys sooner than that.
    fn horizon(&self) -> Option<Duration> {
        None
    }

    /// Checks the proof's own settings against where it is used, when the endpoint is built.
    ///
    /// # Errors
    ///
    /// Names the setting and how to mend it.
    fn check(&self, setup: &Setup<'_>) -> Result<(), BuildError> {
        let _ = setup;
        Ok(())
    }

    /// Both must accept.
    ///
    /// Both are always asked. The refusal of an address wins over other refusals, and any refusal
    /// wins over [`Verdict::NeedsBody`]: who is refused by his head costs no body. Two that verify
    /// different correlation ids or different subjects refuse.
    fn and<V: Verify>(self, other: V) -> And<Self, V>
    where
        Self: Sized,
    {
        And::new(self, other)
    }

    /// One must accept.
    ///
    /// An acceptance wins, then [`Verdict::NeedsBody`].
    fn or<V: Verify>(self, other: V) -> Or<Self, V>
    where
        Self: Sized,
    {
        Or::new(self, other)
    }
}

impl<V: Verify + ?Sized> Verify for Box<V> {
    fn verify(&self, presented: &Presented<'_>) -> Verdict {
        (**self).verify(presented)
    }
    fn horizon(&self) -> Option<Duration> {
        (**self).horizon()
    }
    fn check(&self, setup: &Setup<'_>) -> Result<(), BuildError> {
        (**self).check(setup)
    }
}

impl<V: Verify + ?Sized> Verify for std::sync::Arc<V> {
    fn verify(&self, presented: &Presented<'_>) -> Verdict {
        (**self).verify(presented)
    }
    fn horizon(&self) -> Option<Duration> {
        (**self).horizon()
    }
    fn check(&self, setup: &Setup<'_>) -> Result<(), BuildError> {
        (**self).check(setup)
    }
}

/// Where a proof is used, for [`Verify::check`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Setup<'a> {
    /// The endpoint's name.
    pub endpoint: &'a str,
    /// Whether the mount's path has a `{token}` segment. `None` for the leaf, whose router knows.
    pub has_segment: Option<bool>,
}

impl<'a> Setup<'a> {
    /// The setup of an endpoint mounted as a leaf.
    pub fn leaf(endpoint: &'a str) -> Self {
        Self {
            endpoint,
            has_segment: None,
        }
    }

    /// The setup of an endpoint mounted as a layer, at a path with or without a `{token}` segment.
    pub fn layer(endpoint: &'a str, has_segment: bool) -> Self {
        Self {
            endpoint,
            has_segment: Some(has_segment),
        }
    }
}
