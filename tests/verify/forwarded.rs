//! Addresses behind proxies.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderValue, Request};
use proptest::prelude::*;
use tower_callback::verify::{
    IpAllowlist, PeerAddr, RefusalKind, Setup, TrustedProxies, Verdict, Verify,
};

use super::{ask, refused};

const EDGE: &str = "10.1.0.1";
const PROXIES: [&str; 2] = ["10.0.0.0/8", "2001:db8:ffff::/48"];

type Header<'a> = (&'a str, &'a [u8]);

/// The verdict on a request from a peer, with these header lines, in a list that allows `allowed`.
fn verdict(
    proxies: TrustedProxies,
    allowed: &[&str],
    peer: &str,
    headers: &[Header<'_>],
) -> Verdict {
    let proof = IpAllowlist::new(allowed, PeerAddr::of).behind(proxies);
    proof.check(&Setup::leaf("e")).unwrap();
    let mut request = Request::post("/");
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_bytes(value).unwrap());
    }
    let (mut head, ()) = request.body(()).unwrap().into_parts();
    let peer: IpAddr = peer.parse().unwrap();
    head.extensions.insert(PeerAddr(SocketAddr::new(peer, 1)));
    ask(&proof, &head)
}

/// Who called, as far as a list with one address in it can tell: `Some(true)` is this address,
/// `Some(false)` another one, `None` nobody knows.
fn is_caller(
    proxies: TrustedProxies,
    caller: &str,
    peer: &str,
    headers: &[Header<'_>],
) -> Option<bool> {
    match verdict(proxies, &[caller], peer, headers) {
        Verdict::Accept(_) => Some(true),
        Verdict::Refuse(refusal) => {
            assert_eq!(refusal.kind(), RefusalKind::Address);
            match refusal.part() {
                "address" => Some(false),
                "forwarded" => None,
                part => panic!("{part}"),
            }
        }
        Verdict::NeedsBody => panic!("an address needs no body"),
    }
}

fn x_forwarded_for() -> TrustedProxies {
    TrustedProxies::x_forwarded_for(PROXIES)
}

fn forwarded() -> TrustedProxies {
    TrustedProxies::forwarded(PROXIES)
}

/// With `X-Forwarded-For` as given, one line for each.
#[track_caller]
fn assert_x(lines: &[&str], caller: &str, expected: Option<bool>) {
    let headers: Vec<_> = lines
        .iter()
        .map(|line| ("x-forwarded-for", line.as_bytes()))
        .collect();
    let found = is_caller(x_forwarded_for(), caller, EDGE, &headers);
    assert_eq!(found, expected, "{lines:?}");
}

/// With `Forwarded` as given, one line for each.
#[track_caller]
fn assert_f(lines: &[&str], caller: &str, expected: Option<bool>) {
    let headers: Vec<_> = lines
        .iter()
        .map(|line| ("forwarded", line.as_bytes()))
        .collect();
    let found = is_caller(forwarded(), caller, EDGE, &headers);
    assert_eq!(found, expected, "{lines:?}");
}

#[test]
fn the_caller_is_the_first_untrusted_address_from_the_right() {
    let caller = "203.0.113.7";
    for lines in [
        &["203.0.113.7"] as &[&str],
        &["203.0.113.7, 10.2.0.1"],
        &["203.0.113.7,10.2.0.1,10.3.0.1"],
        &[" 203.0.113.7 ,\t10.2.0.1 "],
        &["198.51.100.1, 203.0.113.7, 10.2.0.1"],
        &["10.9.9.9, 203.0.113.7, 10.2.0.1"],
        &["203.0.113.7", "10.2.0.1"],
        &["198.51.100.1", "203.0.113.7, 10.2.0.1", "10.3.0.1"],
        &["junk, , \", unknown,203.0.113.7"],
        &["203.0.113.7:4711, [2001:db8:ffff::1]:80"],
        &["203.0.113.7, 2001:db8:ffff::1"],
        &["::ffff:203.0.113.7, ::ffff:10.2.0.1"],
    ] {
        assert_x(lines, caller, Some(true));
    }
    for lines in [
        &["198.51.100.1"] as &[&str],
        &["203.0.113.7, 198.51.100.1"],
        &["203.0.113.7, 198.51.100.1, 10.2.0.1"],
        &["203.0.113.7", "198.51.100.1"],
        &["203.0.113.7, 203.0.113.8"],
    ] {
        assert_x(lines, caller, Some(false));
    }
    assert_x(&["2001:db8::7"], "2001:db8::7", Some(true));
    assert_x(&["[2001:db8::7]:80, 10.2.0.1"], "2001:db8::7", Some(true));
    assert_x(&["fe80::7%eth0"], "fe80::7", Some(true));
}

#[test]
fn what_the_trusted_proxies_leave_in_doubt_refuses() {
    for lines in [
        &[] as &[&str],
        &[""],
        &["10.2.0.1"],
        &["10.2.0.1, 10.3.0.1"],
        &["203.0.113.7,"],
        &["203.0.113.7, ,10.2.0.1"],
        &["203.0.113.7", ""],
        &["203.0.113.7, unknown"],
        &["203.0.113.7, unknown, 10.2.0.1"],
        &["203.0.113.7, _hidden"],
        &["203.0.113.7, localhost"],
        &["203.0.113.7, unix:"],
        &["203.0.113.7 10.2.0.1"],
        &["203.0.113.7; 10.2.0.1"],
        &["203.0.113.7, 10.2.0.1:99999"],
        &["203.0.113.7, 10.2.0.01"],
        &["203.0.113.7, 10.2.0.1/32"],
        &["203.0.113.7, [10.2.0.1]"],
        &["203.0.113.7, \"10.2.0.1\""],
        &["203.0.113.7%eth0"],
        &["for=203.0.113.7"],
    ] {
        assert_x(lines, "203.0.113.7", None);
    }
    let obs_text: Header<'_> = ("x-forwarded-for", b"203.0.113.7, \xff");
    let found = is_caller(x_forwarded_for(), "203.0.113.7", EDGE, &[obs_text]);
    assert_eq!(found, None);
}

#[test]
fn forwarded_is_walked_alike() {
    let caller = "203.0.113.7";
    for lines in [
        &["for=203.0.113.7"] as &[&str],
        &["For=\"203.0.113.7:4711\";proto=https;by=10.1.0.1"],
        &["proto=https;host=\"a,b;c\\\"\";for=203.0.113.7, for=10.2.0.1;by=_edge"],
        &["for=203.0.113.7, for=\"[2001:db8:ffff::1]:_port\""],
        &["for=203.0.113.7", "for=10.2.0.1"],
        &["for=198.51.100.1, for=203.0.113.7,for=10.2.0.1"],
        &["for=\"[::ffff:203.0.113.7]\""],
        &["for=\", for=203.0.113.7"],
        &["for=198.51.100.1;x=\"\\, for=203.0.113.7"],
        &["for=\"", "for=203.0.113.7"],
        &["for=unknown, for=_hidden, junk, , for=203.0.113.7"],
    ] {
        assert_f(lines, caller, Some(true));
    }
    for lines in [
        &["for=198.51.100.1"] as &[&str],
        &["for=203.0.113.7, for=198.51.100.1"],
        &["for=198.51.100.1;by=203.0.113.7"],
        &["for=198.51.100.1;host=\"for=203.0.113.7\""],
        &["for=198.51.100.1;x=\", for=203.0.113.7\""],
    ] {
        assert_f(lines, caller, Some(false));
    }
    for lines in [
        &[] as &[&str],
        &[""],
        &["203.0.113.7"],
        &["for=203.0.113.7, for=unknown"],
        &["for=203.0.113.7, for=\"unknown\""],
        &["for=203.0.113.7, for=_hidden"],
        &["for=203.0.113.7, for=\"_hidden:_port\""],
        &["for=203.0.113.7, proto=https"],
        &["for=203.0.113.7, for=10.2.0.1;for=203.0.113.7"],
        &["for=203.0.113.7, for=10.2.0.1;"],
        &["for=203.0.113.7,"],
        &["for=203.0.113.7, for=\"10.2.0.1"],
        &["for=203.0.113.7, for=2001:db8:ffff::1"],
        &["for=203.0.113.7, for=\"2001:db8:ffff::1\""],
        &["for=10.2.0.1"],
    ] {
        assert_f(lines, caller, None);
    }
    assert_f(&["for=\"[2001:db8::7]\""], "2001:db8::7", Some(true));
}

#[test]
fn a_header_with_one_value_is_there_once_and_is_one_address() {
    for name in ["X-Real-IP", "CF-Connecting-IP"] {
        let of = |values: &[&str]| {
            let headers: Vec<_> = values.iter().map(|v| (name, v.as_bytes())).collect();
            let proxies = TrustedProxies::header(name, PROXIES);
            is_caller(proxies, "203.0.113.7", EDGE, &headers)
        };
        assert_eq!(of(&["203.0.113.7"]), Some(true));
        assert_eq!(of(&["203.0.113.7:80"]), Some(true));
        assert_eq!(of(&["::ffff:203.0.113.7"]), Some(true));
        assert_eq!(of(&["203.0.113.8"]), Some(false));
        for doubtful in [
            &[] as &[&str],
            &[""],
            &["203.0.113.7", "203.0.113.7"],
            &["203.0.113.7", "203.0.113.8"],
            &["203.0.113.7, 10.2.0.1"],
            &["203.0.113.7,"],
            &["unknown"],
            &["10.2.0.1"],
        ] {
            assert_eq!(of(doubtful), None, "{doubtful:?}");
        }
    }
}

#[test]
fn the_headers_of_a_peer_that_is_no_trusted_proxy_do_not_count() {
    let headers: [Header<'_>; 3] = [
        ("x-forwarded-for", b"203.0.113.7"),
        ("forwarded", b"for=203.0.113.7"),
        ("x-real-ip", b"203.0.113.7"),
    ];
    for proxies in [x_forwarded_for, forwarded, || {
        TrustedProxies::header("x-real-ip", PROXIES)
    }] {
        for stranger in ["198.51.100.1", "11.1.0.1", "2001:db8:fffe::1", "::1"] {
            assert_eq!(
                is_caller(proxies(), "203.0.113.7", stranger, &headers),
                Some(false)
            );
        }
        for direct in ["203.0.113.7", "::ffff:203.0.113.7"] {
            assert_eq!(
                is_caller(proxies(), "203.0.113.7", direct, &[]),
                Some(true),
                "who calls past the proxies speaks for himself"
            );
        }
        assert_eq!(
            is_caller(proxies(), "203.0.113.7", "::ffff:10.1.0.1", &headers),
            Some(true),
            "a proxy's address may be mapped"
        );
    }
}

#[test]
fn only_the_chosen_header_counts() {
    let headers: [Header<'_>; 3] = [
        ("x-forwarded-for", b"203.0.113.1"),
        ("forwarded", b"for=203.0.113.2"),
        ("x-real-ip", b"203.0.113.3"),
    ];
    let real_ip = TrustedProxies::header("x-real-ip", PROXIES);
    for (proxies, caller) in [
        (x_forwarded_for(), "203.0.113.1"),
        (forwarded(), "203.0.113.2"),
        (real_ip, "203.0.113.3"),
    ] {
        assert_eq!(is_caller(proxies, caller, EDGE, &headers), Some(true));
    }
}

#[test]
fn the_presets_are_the_private_networks_and_nothing_of_the_internet() {
    let trusts = |preset: &[&str], peer: &str| {
        let headers: [Header<'_>; 1] = [("x-forwarded-for", b"203.0.113.7")];
        let proxies = TrustedProxies::x_forwarded_for(preset);
        is_caller(proxies, "203.0.113.7", peer, &headers) == Some(true)
    };
    for peer in ["127.0.0.1", "127.255.255.255", "::1"] {
        assert!(trusts(&TrustedProxies::LOOPBACK, peer), "{peer}");
        assert!(!trusts(&TrustedProxies::PRIVATE, peer), "{peer}");
    }
    for peer in [
        "10.0.0.0",
        "10.255.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.168.0.0",
        "192.168.255.255",
        "fc00::",
        "fdff:ffff::1",
    ] {
        assert!(trusts(&TrustedProxies::PRIVATE, peer), "{peer}");
        assert!(!trusts(&TrustedProxies::LOOPBACK, peer), "{peer}");
    }
    for peer in [
        "9.255.255.255",
        "11.0.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "100.64.0.1",
        "169.254.0.1",
        "::",
        "::2",
        "fbff::1",
        "fe00::1",
        "fe80::1",
        "2001:db8::1",
    ] {
        assert!(!trusts(&TrustedProxies::LOOPBACK, peer), "{peer}");
        assert!(!trusts(&TrustedProxies::PRIVATE, peer), "{peer}");
    }
}

#[test]
fn proxies_that_cannot_be_right_are_a_build_error_and_let_nobody_in() {
    type Proxies = TrustedProxies;
    for (proxies, says) in [
        (Proxies::x_forwarded_for([] as [&str; 0]), "at least one"),
        (Proxies::forwarded(["10.0.0.0/8", "proxy"]), "\"proxy\""),
        (Proxies::x_forwarded_for(["0.0.0.0/0"]), "trusts everybody"),
        (
            Proxies::forwarded(["10.0.0.0/8", "::/0"]),
            "trusts everybody",
        ),
        (Proxies::x_forwarded_for(["203.0.113.7"]), "never a caller"),
        (Proxies::x_forwarded_for(["203.0.0.0/16"]), "never a caller"),
        (Proxies::header("", PROXIES), "header's name"),
        (Proxies::header("x real ip", PROXIES), "header's name"),
        (Proxies::header("X-Forwarded-For", PROXIES), "is a list"),
        (Proxies::header("forwarded", PROXIES), "is a list"),
    ] {
        let proof = IpAllowlist::new(["203.0.113.7"], PeerAddr::of).behind(proxies);
        let error = proof.check(&Setup::leaf("e")).unwrap_err();
        assert_eq!(error.setting(), "behind");
        assert!(error.to_string().contains(says), "{error}");
    }
    let twice = IpAllowlist::new(["203.0.113.7"], PeerAddr::of)
        .behind(x_forwarded_for())
        .behind(forwarded());
    let error = twice.check(&Setup::leaf("e")).unwrap_err();
    assert!(error.to_string().contains("called twice"), "{error}");
    let mut head = super::head("/", &[("x-forwarded-for", "203.0.113.7")]);
    head.extensions
        .insert(PeerAddr(SocketAddr::new(EDGE.parse().unwrap(), 1)));
    assert_eq!(refused(ask(&twice, &head)).part(), "forwarded");
}

#[test]
fn a_refusal_over_the_address_wins_over_the_other_proofs() {
    use tower_callback::Token;
    let proof = Token::query("token", "a-secret-of-32-characters-or-so")
        .and(IpAllowlist::new(["203.0.113.7"], PeerAddr::of).behind(x_forwarded_for()));
    let mut head = super::head("/", &[("x-forwarded-for", "junk")]);
    head.extensions
        .insert(PeerAddr(SocketAddr::new(EDGE.parse().unwrap(), 1)));
    let refusal = refused(ask(&proof, &head));
    assert_eq!(
        (refusal.kind(), refusal.part()),
        (RefusalKind::Address, "forwarded")
    );
}

/// What anybody may write: often something that looks like an address, or opens a quote.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"203.0.113.7".to_vec()),
        Just(b"10.2.0.1".to_vec()),
        Just(b"for=".to_vec()),
        Just(b"for=203.0.113.7".to_vec()),
        Just(b", ".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"\\".to_vec()),
        Just(b";by=".to_vec()),
        Just(b"unknown".to_vec()),
        prop::collection::vec(0x20..=0xff_u8, 0..4)
            .prop_map(|bytes| bytes.into_iter().filter(|b| *b != 0x7f).collect()),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// What trusted proxies write on the right of it, for a caller: their own hops, and how they quote.
fn hops() -> impl Strategy<Value = Vec<(bool, u8)>> {
    prop::collection::vec((any::<bool>(), any::<u8>()), 0..4)
}

fn node(is_v6: bool, n: u8) -> String {
    if is_v6 {
        format!("[2001:db8:ffff::{n:x}]:80")
    } else {
        format!("10.{n}.0.1")
    }
}

proptest! {
    #[test]
    fn the_caller_never_comes_from_left_of_the_first_untrusted_hop(
        left in prop::collection::vec(anything(), 0..3),
        on_the_same_line in anything(),
        is_same_line: bool,
        hops in hops(),
        is_rfc: bool,
    ) {
        // 198.51.100.1 called us. He wrote what stands on the left, in which 203.0.113.7 may occur.
        let mut own = String::new();
        if is_rfc {
            own += "for=198.51.100.1;host=\"a,b\\\"c\"";
            for (is_v6, n) in &hops {
                own += &format!(", for=\"{}\";by=_x", node(*is_v6, *n));
            }
        } else {
            own += "198.51.100.1:4711";
            for (is_v6, n) in &hops {
                own += &format!(", {}", node(*is_v6, *n));
            }
        }
        let name = if is_rfc { "forwarded" } else { "x-forwarded-for" };
        let mut lines = left;
        if is_same_line {
            lines.push([on_the_same_line.as_slice(), b", ", own.as_bytes()].concat());
        } else {
            lines.push(own.into_bytes());
        }
        let headers: Vec<_> = lines.iter().map(|line| (name, line.as_slice())).collect();
        let proxies = || if is_rfc { forwarded() } else { x_forwarded_for() };
        prop_assert_eq!(is_caller(proxies(), "198.51.100.1", EDGE, &headers), Some(true));
        prop_assert_eq!(is_caller(proxies(), "203.0.113.7", EDGE, &headers), Some(false));
    }

    #[test]
    fn no_header_makes_a_panic_or_lets_in_who_is_not_named(
        lines in prop::collection::vec(prop::collection::vec(0x20..=0xff_u8, 0..40), 0..4),
        name in prop::sample::select(vec!["x-forwarded-for", "forwarded", "x-real-ip"]),
    ) {
        let lines: Vec<Vec<u8>> = lines
            .into_iter()
            .map(|line| line.into_iter().filter(|b| *b != 0x7f).collect())
            .collect();
        let headers: Vec<_> = lines.iter().map(|line| (name, line.as_slice())).collect();
        for proxies in [x_forwarded_for(), forwarded(), TrustedProxies::header("x-real-ip", PROXIES)] {
            let found = is_caller(proxies, "2001:db8:7777:7777:7777:7777:7777:7777", EDGE, &headers);
            prop_assert_ne!(found, Some(true));
        }
    }

    #[test]
    fn who_calls_past_the_proxies_is_judged_by_his_own_address_whatever_he_writes(
        line in anything(),
        name in prop::sample::select(vec!["x-forwarded-for", "forwarded", "x-real-ip"]),
        peer: u32,
    ) {
        let peer = IpAddr::V4(peer.into());
        prop_assume!(!peer.to_string().starts_with("10."));
        let headers = [(name, line.as_slice())];
        for proxies in [x_forwarded_for(), forwarded(), TrustedProxies::header("x-real-ip", PROXIES)] {
            let found = is_caller(proxies, "203.0.113.7", &peer.to_string(), &headers);
            prop_assert_eq!(found, Some(peer.to_string() == "203.0.113.7"));
        }
    }
}
