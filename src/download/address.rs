//! Where a download may go: https, and public addresses.

use std::{
    error::Error as StdError,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use ipnet::IpNet;
use reqwest::Url;

/// What is asked of every URL and every address, on the first request as after every redirect.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) http: bool,
    pub(super) networks: Vec<IpNet>,
}

/// Why somewhere is nowhere to go to. Says nothing of the URL: it may hold a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    NoUrl,
    Scheme,
    Credentials,
    NotPublic,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoUrl => "this is no URL of a host",
            Self::Scheme => "only https is allowed",
            Self::Credentials => "a user name or a password in a URL is not allowed",
            Self::NotPublic => "the host has no public address",
        })
    }
}

impl StdError for Refusal {}

impl Rules {
    pub(super) fn parse(&self, url: &str) -> Result<Url, Refusal> {
        let url = Url::parse(url).map_err(|_| Refusal::NoUrl)?;
        self.check(&url)?;
        Ok(url)
    }

    /// Names are not resolved here: the resolver asks [`allow`](Self::allow) about what it finds.
    pub(super) fn check(&self, url: &Url) -> Result<(), Refusal> {
        match url.scheme() {
            "https" => {}
            "http" if self.http => {}
            _ => return Err(Refusal::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Credentials);
        }
        let host = url.host_str().ok_or(Refusal::NoUrl)?;
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        match IpAddr::from_str(literal) {
            Ok(address) if !self.allow(address) => Err(Refusal::NotPublic),
            _ => Ok(()),
        }
    }

    pub(super) fn allow(&self, address: IpAddr) -> bool {
        let listed = || {
            self.networks
                .iter()
                .any(|network| network.contains(&address))
        };
        is_public(address) || listed()
    }
}

/// Whether an address is somebody's on the public internet: where a [`Downloader`](super::Downloader) goes,
/// and where a provider can call.
///
/// An address of version 6 that leads to one of version 4 (mapped, 6to4, NAT64, Teredo) is not: it
/// would be a way around.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

#[expect(clippy::unnested_or_patterns, reason = "a line for each kind")]
fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        // This network, private, shared (CGNAT), loopback, link-local.
        [0 | 10 | 127, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 168, ..]
            // Protocol assignments, documentation, relays of 6to4, benchmarks.
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [198, 18..=19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            // Multicast, reserved, broadcast.
            | [224..=255, ..]
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    // Only 2000::/3 is given out; loopback, ULA, link-local, multicast, mapped and NAT64 are outside.
    first & 0xe000 == 0x2000
        // Protocol assignments (Teredo, benchmarks, ORCHID), documentation, 6to4.
        && !(first == 0x2001 && second < 0x0200)
        && !(first == 0x2001 && second == 0x0db8)
        && first != 0x2002
        && !(first == 0x3fff && second < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for address in [
            "8.8.8.8",
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.0.0.1",
            "128.0.0.1",
            "169.253.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.0.1",
            "192.169.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "198.51.99.1",
            "203.0.112.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2a00::1",
            "2001:200::1",
            "3fff:1000::1",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::8.8.8.8",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "3fff:fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
            "4000::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_url_is_checked_for_its_scheme_credentials_and_a_literal_address() {
        let rules = Rules::default();
        for url in [
            "https://example.com/v.mp4?sig=x",
            "https://8.8.8.8/",
            "https://[2606:4700::1111]:8443/",
        ] {
            assert!(rules.parse(url).is_ok(), "{url}");
        }
        for (url, refusal) in [
            ("video_url_847715e66259", Refusal::NoUrl),
            ("", Refusal::NoUrl),
            ("https://", Refusal::NoUrl),
            ("/v.mp4", Refusal::NoUrl),
            ("http://example.com/", Refusal::Scheme),
            ("file:///etc/passwd", Refusal::Scheme),
            ("ftp://example.com/", Refusal::Scheme),
            ("data:video/mp4,x", Refusal::Scheme),
            ("https://user@example.com/", Refusal::Credentials),
            ("https://:secret@example.com/", Refusal::Credentials),
            ("https://127.0.0.1/", Refusal::NotPublic),
            ("https://2130706433/", Refusal::NotPublic),
            ("https://0x7f.1/", Refusal::NotPublic),
            ("https://0177.0.0.1/", Refusal::NotPublic),
            ("https://[::1]/", Refusal::NotPublic),
            ("https://[::ffff:10.0.0.1]/", Refusal::NotPublic),
            ("https://169.254.169.254/latest/", Refusal::NotPublic),
        ] {
            assert_eq!(rules.parse(url).unwrap_err(), refusal, "{url}");
        }
    }

    #[test]
    fn only_what_is_allowed_is_allowed_besides() {
        let rules = Rules {
            http: true,
            networks: vec!["10.1.0.0/16".parse().unwrap()],
        };
        assert!(rules.parse("http://10.1.2.3/").is_ok());
        assert_eq!(
            rules.parse("http://10.2.0.1/").unwrap_err(),
            Refusal::NotPublic
        );
        assert_eq!(rules.parse("file:///x").unwrap_err(), Refusal::Scheme);
        assert_eq!(
            rules.parse("http://[::ffff:10.1.2.3]/").unwrap_err(),
            Refusal::NotPublic
        );
    }
}
