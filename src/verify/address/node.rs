//! How proxies write an address.

use std::net::{IpAddr, Ipv6Addr};

/// Whether an IPv6 address needs its brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Brackets {
    /// As in RFC 7239: without them, where a port begins is anybody's guess.
    Required,
    /// As in `X-Forwarded-For`, whose bare IPv6 addresses have no port.
    Optional,
}

/// The address that a proxy wrote, in canonical form. Its port, and the zone of a link-local
/// address, are left out. Names, `unknown`, obfuscated identifiers and junk are no address.
pub(super) fn address(node: &[u8], brackets: Brackets) -> Option<IpAddr> {
    let node = str::from_utf8(node).ok()?;
    let address = if let Some(rest) = node.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        if !(port.is_empty() || is_port(port.strip_prefix(':')?, brackets)) {
            return None;
        }
        IpAddr::V6(ipv6(address)?)
    } else if node.matches(':').nth(1).is_some() {
        if brackets == Brackets::Required {
            return None;
        }
        IpAddr::V6(ipv6(node)?)
    } else {
        let address = match node.split_once(':') {
            Some((address, port)) => is_port(port, brackets).then_some(address)?,
            None => node,
        };
        IpAddr::V4(address.parse().ok()?)
    };
    Some(address.to_canonical())
}

/// An address with or without a zone, which only link-local ones have.
fn ipv6(text: &str) -> Option<Ipv6Addr> {
    let Some((address, zone)) = text.split_once('%') else {
        return text.parse().ok();
    };
    let address: Ipv6Addr = address.parse().ok()?;
    let is_zone = !zone.is_empty()
        && zone
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
    (is_zone && address.is_unicast_link_local()).then_some(address)
}

fn is_port(port: &str, brackets: Brackets) -> bool {
    match port.strip_prefix('_') {
        // RFC 7239, section 6: a port may be obfuscated.
        Some(hidden) => {
            brackets == Brackets::Required
                && !hidden.is_empty()
                && hidden
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        }
        None => {
            (1..=5).contains(&port.len())
                && port.bytes().all(|b| b.is_ascii_digit())
                && port.parse::<u16>().is_ok()
        }
    }
}
