//! The proxies that are believed, and where they say who called them.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    elements::{forwarded_for, plain, quoted},
    networks::Networks,
    node::{Brackets, address},
};
use crate::error::BuildError;

/// The proxies in front of us, and the header in which they say who called them: see
/// [`IpAllowlist::behind`](super::IpAllowlist::behind).
///
/// Each constructor takes the proxies' networks, as [`IpAllowlist::new`](super::IpAllowlist::new)
/// does. [`LOOPBACK`](Self::LOOPBACK) and [`PRIVATE`](Self::PRIVATE) are such lists:
///
/// ```
/// use tower_callback::verify::TrustedProxies;
///
/// // A load balancer in these two networks:
/// let proxies = TrustedProxies::x_forwarded_for(["10.1.0.0/16", "10.2.0.0/16"]);
///
/// // nginx on the same machine, with `proxy_set_header X-Real-IP $remote_addr;`:
/// let proxies = TrustedProxies::header("X-Real-IP", TrustedProxies::LOOPBACK);
/// ```
///
/// # Security
///
/// Whoever calls from one of these networks may claim any address. So list the proxies, and no
/// network that others share with them.
#[derive(Clone, Debug)]
pub struct TrustedProxies {
    networks: Result<Networks, String>,
    header: Header,
}

#[derive(Clone, Debug)]
enum Header {
    XForwardedFor,
    Forwarded,
    Single(String),
}

const X_FORWARDED_FOR: &str = "x-forwarded-for";

impl TrustedProxies {
    /// This machine: `127.0.0.0/8` and `::1`.
    pub const LOOPBACK: [&'static str; 2] = ["127.0.0.0/8", "::1"];

    /// The private networks of RFC 1918 and RFC 4193. Not this machine, no link-local addresses, and
    /// not the addresses that carriers and clouds share (`100.64.0.0/10`).
    ///
    /// # Security
    ///
    /// Believes each machine of your private network. Better list the proxies alone.
    pub const PRIVATE: [&'static str; 4] =
        ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

    /// Proxies that add their caller's address at the right end of `X-Forwarded-For`, as most do.
    pub fn x_forwarded_for<N: AsRef<str>>(networks: impl IntoIterator<Item = N>) -> Self {
        Self::new(Header::XForwardedFor, networks)
    }

    /// Proxies that add their caller's address at the right end of `Forwarded`, as RFC 7239 says.
    pub fn forwarded<N: AsRef<str>>(networks: impl IntoIterator<Item = N>) -> Self {
        Self::new(Header::Forwarded, networks)
    }

    /// Proxies that replace a header by one that has the caller's address and nothing else:
    /// `X-Real-IP`, `CF-Connecting-IP`, `True-Client-IP`.
    ///
    /// # Security
    ///
    /// A proxy that lets the header of its own caller through lets anybody in. The networks are those
    /// of the proxies that call *us*: if one of them only passes on what another wrote, make sure
    /// that nobody reaches it past the other.
    pub fn header<N: AsRef<str>>(
        name: impl Into<String>,
        networks: impl IntoIterator<Item = N>,
    ) -> Self {
        Self::new(Header::Single(name.into()), networks)
    }

    fn new<N: AsRef<str>>(header: Header, networks: impl IntoIterator<Item = N>) -> Self {
        Self {
            networks: Networks::parse(networks),
            header,
        }
    }

    /// Who called the first of the trusted proxies. A pure function of the socket's peer and the headers.
    ///
    /// `None` when a trusted proxy does not say so in a way that leaves no doubt.
    pub(super) fn caller(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        let trusted = self.networks.as_ref().ok()?;
        let peer = peer.to_canonical();
        match &self.header {
            // What a stranger says of himself does not count.
            _ if !trusted.contain(peer) => Some(peer),
            Header::XForwardedFor => {
                let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
                let elements = lines.flat_map(|line| plain(line.as_bytes()));
                first_untrusted(
                    trusted,
                    elements.map(|element| address(element, Brackets::Optional)),
                )
            }
            Header::Forwarded => {
                let lines = headers.get_all(http::header::FORWARDED).iter().rev();
                let elements = lines.flat_map(|line| quoted(line.as_bytes()));
                first_untrusted(
                    trusted,
                    elements.map(|element| address(&forwarded_for(element)?, Brackets::Required)),
                )
            }
            Header::Single(name) => {
                let mut values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
                let (Some(value), None) = (values.next(), values.next()) else {
                    return None;
                };
                first_untrusted(
                    trusted,
                    std::iter::once(address(value.trim_ascii(), Brackets::Optional)),
                )
            }
        }
    }

    /// Errors in what was set, seen together with the callers that shall be let in.
    pub(super) fn check(&self, allowed: &Networks) -> Result<(), BuildError> {
        let error = |problem: String| Err(BuildError::new("behind", problem));
        let trusted = match &self.networks {
            Ok(trusted) => trusted,
            Err(problem) => return error(problem.clone()),
        };
        if trusted.is_empty() {
            return error("has no trusted proxy: leave it out, or give it at least one".to_owned());
        }
        if let Some(all) = trusted.everything() {
            return error(format!(
                "{all} trusts everybody, and so anybody could claim any address: list the proxies"
            ));
        }
        if let Some(network) = allowed.within(trusted) {
            return error(format!(
                "{network} is among the trusted proxies, and so is never a caller: trust a smaller \
                 network"
            ));
        }
        match &self.header {
            Header::Single(name) => match HeaderName::from_bytes(name.as_bytes()) {
                Err(_) => error(format!("{name:?} is no header's name")),
                Ok(name) if name == X_FORWARDED_FOR || name == http::header::FORWARDED => {
                    error(format!(
                        "{name} is a list, whose left end anybody can write: use \
                         `TrustedProxies::x_forwarded_for` or `TrustedProxies::forwarded`"
                    ))
                }
                Ok(_) => Ok(()),
            },
            Header::XForwardedFor | Header::Forwarded => Ok(()),
        }
    }
}

/// Walks from the right, over what the trusted proxies said of each other, to what they said of the
/// first address that is none of them. `None` if there is no such address, or no address before it.
fn first_untrusted(
    trusted: &Networks,
    from_the_right: impl Iterator<Item = Option<IpAddr>>,
) -> Option<IpAddr> {
    for hop in from_the_right {
        let hop = hop?;
        if !trusted.contain(hop) {
            return Some(hop);
        }
    }
    None
}
