//! Addresses.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use tower_callback::verify::{IpAllowlist, PeerAddr, RefusalKind, Setup, Verify};

use super::{ask, head, outcome, refused};

fn lets_in(networks: &[&str], peer: &str) -> bool {
    let proof = IpAllowlist::new(networks, PeerAddr::of);
    proof.check(&Setup::leaf("e")).unwrap();
    let mut head = head("/", &[]);
    let peer: IpAddr = peer.parse().unwrap();
    head.extensions
        .insert(PeerAddr(SocketAddr::new(peer, 4711)));
    match outcome(ask(&proof, &head)) {
        Ok(labels) => {
            assert!(labels.is_empty());
            true
        }
        Err(kind) => {
            assert_eq!(kind, RefusalKind::Address);
            false
        }
    }
}

#[test]
fn a_peer_inside_a_network_is_let_in_and_its_neighbour_is_not() {
    assert!(lets_in(&["203.0.113.0/24"], "203.0.113.0"));
    assert!(lets_in(&["203.0.113.0/24"], "203.0.113.255"));
    assert!(!lets_in(&["203.0.113.0/24"], "203.0.114.0"));
    assert!(!lets_in(&["203.0.113.0/24"], "203.0.112.255"));
    assert!(lets_in(&["203.0.113.7"], "203.0.113.7"));
    assert!(!lets_in(&["203.0.113.7"], "203.0.113.8"));
    assert!(
        lets_in(&["203.0.113.99/24"], "203.0.113.7"),
        "host bits are no matter"
    );

    assert!(lets_in(&["2001:db8::/32"], "2001:db8:ffff::1"));
    assert!(!lets_in(&["2001:db8::/32"], "2001:db9::1"));
    assert!(lets_in(&["2001:db8::7"], "2001:db8::7"));
    assert!(!lets_in(&["2001:db8::7"], "2001:db8::8"));
}

#[test]
fn any_of_several_networks_is_enough() {
    let networks = ["198.51.100.7", "203.0.113.0/24", "2001:db8::/32"];
    for peer in ["198.51.100.7", "203.0.113.1", "2001:db8::1"] {
        assert!(lets_in(&networks, peer), "{peer}");
    }
    assert!(!lets_in(&networks, "198.51.100.8"));
}

#[test]
fn ipv4_written_as_ipv6_is_ipv4_both_as_peer_and_as_network() {
    for network in [
        "203.0.113.0/24",
        "::ffff:203.0.113.0/120",
        "::ffff:cb00:7100/120",
    ] {
        for peer in ["203.0.113.7", "::ffff:203.0.113.7", "::ffff:cb00:7107"] {
            assert!(lets_in(&[network], peer), "{peer} in {network}");
        }
        for peer in ["203.0.114.7", "::ffff:203.0.114.7", "::203.0.113.7"] {
            assert!(!lets_in(&[network], peer), "{peer} in {network}");
        }
    }
    assert!(lets_in(&["::ffff:203.0.113.7"], "203.0.113.7"));
    assert!(lets_in(&["203.0.113.7"], "::ffff:203.0.113.7"));
    assert!(lets_in(&["::ffff:0:0/96"], "203.0.113.7"));
    // Wider than all of IPv4: a network of IPv6, in which no peer is whose address is compared as IPv4.
    assert!(!lets_in(&["::ffff:0:0/95"], "203.0.113.7"));
    assert!(lets_in(&["::ffff:0:0/95"], "::fffe:0:7"));
}

#[test]
fn everything_of_one_family_is_nothing_of_the_other() {
    assert!(lets_in(&["0.0.0.0/0"], "203.0.113.7"));
    assert!(lets_in(&["0.0.0.0/0"], "::ffff:203.0.113.7"));
    assert!(!lets_in(&["0.0.0.0/0"], "2001:db8::1"));
    assert!(lets_in(&["::/0"], "2001:db8::1"));
    assert!(!lets_in(&["::/0"], "203.0.113.7"));
}

#[test]
fn a_peer_that_is_not_known_is_refused_whatever_headers_say() {
    let proof = IpAllowlist::new(["0.0.0.0/0", "::/0"], PeerAddr::of);
    let head = head(
        "/",
        &[
            ("x-forwarded-for", "203.0.113.7"),
            ("forwarded", "for=203.0.113.7"),
        ],
    );
    let refusal = refused(ask(&proof, &head));
    assert_eq!(refusal.kind(), RefusalKind::Address);
    assert_eq!(refusal.part(), "peer");
}

#[test]
fn the_extractor_says_where_the_peer_is() {
    #[derive(Clone)]
    struct ProxySays(IpAddr);
    let proof = IpAllowlist::new(["203.0.113.7"], |extensions| {
        extensions.get::<Arc<ProxySays>>().map(|says| says.0)
    });
    let mut head = head("/", &[]);
    head.extensions
        .insert(PeerAddr("203.0.113.7:1".parse().unwrap()));
    assert_eq!(outcome(ask(&proof, &head)), Err(RefusalKind::Address));
    head.extensions
        .insert(Arc::new(ProxySays("203.0.113.7".parse().unwrap())));
    assert_eq!(outcome(ask(&proof, &head)), Ok(vec![]));
}

#[test]
fn a_list_that_cannot_be_right_is_a_build_error_and_lets_nobody_in() {
    for bad in [
        "",
        " ",
        "localhost",
        "203.0.113.0/33",
        "203.0.113/24",
        "2001:db8::/129",
        "203.0.113.7 ",
        "203.0.113.0-255",
    ] {
        let proof = IpAllowlist::new(["0.0.0.0/0", bad], PeerAddr::of);
        let error = proof.check(&Setup::leaf("e")).unwrap_err();
        assert_eq!(error.setting(), "IpAllowlist");
        assert!(error.to_string().contains(&format!("{bad:?}")), "{error}");

        let mut head = head("/", &[]);
        head.extensions
            .insert(PeerAddr("203.0.113.7:1".parse().unwrap()));
        assert_eq!(outcome(ask(&proof, &head)), Err(RefusalKind::Address));
    }
    let error = IpAllowlist::new([] as [&str; 0], PeerAddr::of)
        .check(&Setup::leaf("e"))
        .unwrap_err();
    assert!(error.to_string().contains("no network"), "{error}");
}
