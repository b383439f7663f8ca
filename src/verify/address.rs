//! From which addresses the provider calls.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use http::Extensions;
use ipnet::IpNet;

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
/// # Security
///
/// Only the socket's peer counts, no header: behind a proxy, every caller has the proxy's address.
#[derive(Clone)]
pub struct IpAllowlist {
    networks: Result<Vec<IpNet>, String>,
    peer: Arc<Peer>,
}

type Peer = dyn Fn(&Extensions) -> Option<IpAddr> + Send + Sync;

impl IpAllowlist {
    /// Networks as CIDR (`"203.0.113.0/24"`) or single addresses, and where the peer's address is found.
    ///
    /// What is no network is an error of `build`, and so is an empty list.
    pub fn new<N: AsRef<str>>(
        networks: impl IntoIterator<Item = N>,
        peer: impl Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        Self {
            networks: networks
                .into_iter()
                .map(|net| parse(net.as_ref()))
                .collect(),
            peer: Arc::new(peer),
        }
    }
}

impl Verify for IpAllowlist {
    fn verify(&self, presented: &Presented<'_>) -> Verdict {
        let allowed = (self.peer)(presented.extensions()).is_some_and(|peer| {
            let peer = peer.to_canonical();
            self.networks
                .as_ref()
                .is_ok_and(|networks| networks.iter().any(|network| network.contains(&peer)))
        });
        if allowed {
            Verdict::Accept(Verified::assertion())
        } else {
            Verdict::Refuse(Refusal::new(RefusalKind::Address, "address"))
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
        Ok(())
    }
}

impl fmt::Debug for IpAllowlist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IpAllowlist")
            .field("networks", &self.networks)
            .finish_non_exhaustive()
    }
}

fn parse(network: &str) -> Result<IpNet, String> {
    let net = match network.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => network.parse().map_err(|_| {
            format!("{network:?} is no network: write it as 203.0.113.0/24, 2001:db8::/32 or 203.0.113.7")
        })?,
    };
    // ::ffff:203.0.113.0/120 is 203.0.113.0/24, since peers are compared in their canonical form.
    match net {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => match v6.addr().to_ipv4_mapped() {
            Some(v4) => IpNet::new(v4.into(), v6.prefix_len() - 96)
                .map_err(|_| format!("{network:?} is no network")),
            None => Ok(net),
        },
        net => Ok(net),
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
