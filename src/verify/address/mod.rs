//! From which addresses the provider calls, also when proxies stand between.

mod elements;
mod networks;
mod node;
mod proxies;
#[cfg(test)]
mod tests;

pub use self::proxies::TrustedProxies;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use http::Extensions;

use self::networks::Networks;
use super::{Presented, Refusal, RefusalKind, Setup, Verdict, Verified, Verify};
use crate::error::BuildError;

/// Lets in only callers from certain networks.
///
/// The peer's address comes from the server, which puts it into the request's extensions; the
/// second argument says where. A peer that is not known is refused. IPv4 addresses written as IPv6
/// (`::ffff:203.0.113.7`) count as IPv4.
///
/// ```
/// # use tower_callback::verify::{IpAllowlist, PeerAddr};
/// # use std::net::SocketAddr;
/// # #[derive(Clone)] struct ConnectInfo<T>(T); // axum::extract::ConnectInfo
/// // axum, served with `into_make_service_with_connect_info::<SocketAddr>()`:
/// let proof = IpAllowlist::new(["203.0.113.0/24", "2001:db8::/32"], |extensions| {
///     extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
/// });
///
/// // hyper, where the accept loop inserts `PeerAddr(address)` into each request:
/// let proof = IpAllowlist::new(["203.0.113.7"], PeerAddr::of);
/// ```
///
/// Behind a proxy, each caller has the proxy's address, and the proxy says in a header who called
/// it. [`behind`](Self::behind) says which proxies are believed, and in which header:
///
/// ```
/// # use tower_callback::verify::{IpAllowlist, PeerAddr, TrustedProxies};
/// let proof = IpAllowlist::new(["203.0.113.0/24"], PeerAddr::of)
///     .behind(TrustedProxies::x_forwarded_for(["10.1.0.0/16"]));
/// ```
///
/// # Security
///
/// Without `behind`, only the socket's peer counts and no header does. An address proves a network
/// and not a caller: whoever shares the provider's network, or makes the provider's servers call a
/// URL of his choice, is let in. A captured request is worth nothing outside of that network.
/// Combine it with a proof that knows a secret.
#[derive(Clone)]
pub struct IpAllowlist {
    networks: Result<Networks, String>,
    proxies: Proxies,
    peer: Arc<Peer>,
}

type Peer = dyn Fn(&Extensions) -> Option<IpAddr> + Send + Sync;

#[derive(Clone)]
enum Proxies {
    None,
    Trusted(TrustedProxies),
    /// Two of them would be two answers to one question.
    Twice,
}

impl IpAllowlist {
    /// Networks as CIDR (`"203.0.113.0/24"`) or single addresses, and where the peer's address is found.
    ///
    /// What is no network is an error of `build`, and so is an empty list.
    pub fn new<N: AsRef<str>>(
        networks: impl IntoIterator<Item = N>,
        peer: impl Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        Self {
            networks: Networks::parse(networks),
            proxies: Proxies::None,
            peer: Arc::new(peer),
        }
    }

    /// Believes these proxies when they say who called them.
    ///
    /// A peer that is none of them speaks for himself, and his headers do not count. A list of
    /// addresses is walked from the right, where the nearest proxy wrote, to the first address that
    /// is no trusted proxy: that is the caller. What stands to the left of it, he may have written
    /// himself, and nobody looks at it. Several lines of a header are one list.
    ///
    /// Refused is who cannot be told for sure: when the header is missing (or, for a single value,
    /// there twice); when the walk meets something that is no address (a name, `unknown`, an
    /// obfuscated identifier, nothing between two commas); and when it meets trusted proxies only.
    /// Ports, and the zones of link-local addresses, are left out.
    ///
    /// These are errors of `build`: a second call of `behind`; no proxy, or one that cannot be read;
    /// trust in everybody (`0.0.0.0/0`); a network of callers that lies within those of the proxies.
    #[must_use]
    pub fn behind(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = match self.proxies {
            Proxies::None => Proxies::Trusted(proxies),
            Proxies::Trusted(_) | Proxies::Twice => Proxies::Twice,
        };
        self
    }

    fn admit(&self, presented: &Presented<'_>) -> Result<(), &'static str> {
        let networks = self.networks.as_ref().map_err(|_| "address")?;
        let peer = (self.peer)(presented.extensions()).ok_or("peer")?;
        let caller = match &self.proxies {
            Proxies::None => peer.to_canonical(),
            Proxies::Trusted(proxies) => proxies
                .caller(peer, presented.headers())
                .ok_or("forwarded")?,
            Proxies::Twice => return Err("forwarded"),
        };
        if networks.contain(caller) {
            Ok(())
        } else {
            Err("address")
        }
    }
}

impl Verify for IpAllowlist {
    fn verify(&self, presented: &Presented<'_>) -> Verdict {
        match self.admit(presented) {
            Ok(()) => Verdict::Accept(Verified::assertion()),
            Err(part) => Verdict::Refuse(Refusal::new(RefusalKind::Address, part)),
        }
    }

    fn check(&self, _: &Setup<'_>) -> Result<(), BuildError> {
        let networks = self.networks.as_ref();
        let networks =
            networks.map_err(|problem| BuildError::new("IpAllowlist", problem.clone()))?;
        if networks.is_empty() {
            return Err(BuildError::new(
                "IpAllowlist",
                "has no network, so nobody could call: give it at least one",
            ));
        }
        match &self.proxies {
            Proxies::None => Ok(()),
            Proxies::Trusted(proxies) => proxies.check(networks),
            Proxies::Twice => Err(BuildError::new(
                "behind",
                "was called twice: name all proxies in one call, with the one header that they write",
            )),
        }
    }
}

impl fmt::Debug for IpAllowlist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proxies = match &self.proxies {
            Proxies::None => None,
            Proxies::Trusted(proxies) => Some(Ok(proxies)),
            Proxies::Twice => Some(Err("called twice")),
        };
        f.debug_struct("IpAllowlist")
            .field("networks", &self.networks)
            .field("behind", &proxies)
            .finish_non_exhaustive()
    }
}

/// The socket's peer, for servers that have no type of their own for it: insert it into the
/// extensions of each request in the accept loop, and give [`PeerAddr::of`] to [`IpAllowlist::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

impl PeerAddr {
    /// The address that was inserted.
    pub fn of(extensions: &Extensions) -> Option<IpAddr> {
        extensions.get::<Self>().map(|peer| peer.0.ip())
    }
}
