//! Sets of networks.

use std::net::IpAddr;

use ipnet::IpNet;

/// Networks, in which IPv4 written as IPv6 is IPv4.
#[derive(Clone, Debug)]
pub(super) struct Networks(Vec<IpNet>);

impl Networks {
    pub(super) fn parse<N: AsRef<str>>(
        networks: impl IntoIterator<Item = N>,
    ) -> Result<Self, String> {
        let networks = networks.into_iter().map(|network| parse(network.as_ref()));
        networks.collect::<Result<_, _>>().map(Self)
    }

    /// Whether a canonical address is in one of them.
    pub(super) fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A network that is all there is.
    pub(super) fn everything(&self) -> Option<IpNet> {
        self.0
            .iter()
            .copied()
            .find(|network| network.prefix_len() == 0)
    }

    /// A network that lies within one of the others.
    pub(super) fn within(&self, others: &Self) -> Option<IpNet> {
        self.0
            .iter()
            .copied()
            .find(|network| others.0.iter().any(|other| other.contains(network)))
    }
}

fn parse(network: &str) -> Result<IpNet, String> {
    let net = match network.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => network.parse().map_err(|_| {
            format!("{network:?} is no network: write it as 203.0.113.0/24, 2001:db8::/32 or 203.0.113.7")
        })?,
    };
    // ::ffff:203.0.113.0/120 is 203.0.113.0/24, since addresses are compared in their canonical form.
    match net {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => match v6.addr().to_ipv4_mapped() {
            Some(v4) => IpNet::new(v4.into(), v6.prefix_len() - 96)
                .map_err(|_| format!("{network:?} is no network")),
            None => Ok(net),
        },
        net => Ok(net),
    }
}
