//! What anybody and his proxies write about who is calling.

use std::{net::SocketAddr, time::SystemTime};

use http::{HeaderValue, Request, request};
use tower_callback::verify::{IpAllowlist, PeerAddr, Presented, TrustedProxies, Verdict, Verify};

const CALLER: &str = "198.51.100.1";
const ANOTHER: &str = "203.0.113.9";
const PROXY: &str = "10.0.0.1";
const PROXIES: [&str; 2] = ["10.0.0.0/8", "2001:db8:ffff::/48"];

/// Holds the laws of addresses behind proxies against a header: lines of it, one for each line of
/// the input.
///
/// # Panics
///
/// When a law is broken.
pub fn forwarded(input: &[u8]) {
    let lines: Vec<&[u8]> = input
        .split(|byte| *byte == b'\n')
        .filter(|line| HeaderValue::from_bytes(line).is_ok())
        .collect();
    list(
        &lines,
        "x-forwarded-for",
        &TrustedProxies::x_forwarded_for(PROXIES),
        &[
            PROXY,
            "10.255.0.1:80",
            "[2001:db8:ffff::1]:80",
            "::ffff:10.0.0.1",
        ],
        str::to_owned,
    );
    list(
        &lines,
        "forwarded",
        &TrustedProxies::forwarded(PROXIES),
        &[
            "for=10.0.0.1",
            "For=\"10.255.0.1:_port\";by=_x",
            "host=\"a,\\\"b\\\\\";for=\"[2001:db8:ffff::1]:80\"",
        ],
        |address| format!("for={address}"),
    );
    single(&lines);
}

/// A header that is a list, to which the proxies add at the right.
fn list(
    lines: &[&[u8]],
    name: &'static str,
    proxies: &TrustedProxies,
    hops: &[&str],
    element: fn(&str) -> String,
) {
    let judged = |lines: &[Vec<u8>]| judge(proxies, name, lines, PROXY);
    let written: Vec<Vec<u8>> = lines.iter().map(|line| line.to_vec()).collect();
    let found = judged(&written);

    // What the nearest proxy says of its caller decides, whatever stands to the left of it.
    for (address, expected) in [(CALLER, Found::Caller), (ANOTHER, Found::Another)] {
        let mut own_line = written.clone();
        own_line.push(element(address).into_bytes());
        assert_eq!(judged(&own_line), expected);
        assert_eq!(judged(&appended(&written, &element(address))), expected);

        // And so does what it says through others that are trusted.
        for hop in hops {
            own_line.push((*hop).into());
            assert_eq!(judged(&own_line), expected);
            let both = format!("{},{hop}", element(address));
            assert_eq!(judged(&appended(&written, &both)), expected);
        }
    }
    // A hop that is no address hides everything to the left of it.
    for junk in [
        "",
        "unknown",
        &element("unknown"),
        &element("_x"),
        "\"",
        "\\",
    ] {
        assert_eq!(judged(&appended(&written, junk)), Found::Nobody);
    }
    if found != Found::Nobody {
        // Whoever was found is found through one more hop as well, and with anything to his left.
        for hop in hops {
            assert_eq!(judged(&appended(&written, hop)), found);
        }
        for junk in [
            "",
            "unknown",
            "\"",
            "\\",
            &element(CALLER),
            &element(ANOTHER),
            &element(PROXY),
        ] {
            let mut more = vec![junk.as_bytes().to_vec()];
            more.extend(written.iter().cloned());
            assert_eq!(judged(&more), found);
            let mut more = written.clone();
            let first = more.first_mut().expect("somebody was found in a line");
            *first = [junk.as_bytes(), b", ", first].concat();
            assert_eq!(judged(&more), found);
        }
    }
    strangers(proxies, name, &written);
}

/// A header with one value, which a proxy replaces.
fn single(lines: &[&[u8]]) {
    let name = "x-real-ip";
    let proxies = TrustedProxies::header(name, PROXIES);
    let written: Vec<Vec<u8>> = lines.iter().map(|line| line.to_vec()).collect();
    let found = judge(&proxies, name, &written, PROXY);
    if written.len() != 1 || written[0].contains(&b',') {
        assert_eq!(found, Found::Nobody, "one value, or none");
    }
    strangers(&proxies, name, &written);
}

/// The headers of a peer that is no trusted proxy do not count.
fn strangers(proxies: &TrustedProxies, name: &'static str, lines: &[Vec<u8>]) {
    assert_eq!(judge(proxies, name, lines, ANOTHER), Found::Another);
    assert_eq!(judge(proxies, name, lines, CALLER), Found::Caller);
}

/// The lines with something added to the end of the last one.
fn appended(lines: &[Vec<u8>], element: &str) -> Vec<Vec<u8>> {
    let mut lines = lines.to_vec();
    match lines.last_mut() {
        Some(last) => last.extend([b", ", element.as_bytes()].concat()),
        None => lines.push(element.as_bytes().to_vec()),
    }
    lines
}

#[derive(Debug, PartialEq, Eq)]
enum Found {
    Caller,
    Another,
    Nobody,
}

fn judge(proxies: &TrustedProxies, name: &'static str, lines: &[Vec<u8>], peer: &str) -> Found {
    let proof = IpAllowlist::new([CALLER], PeerAddr::of).behind(proxies.clone());
    let head = head(name, lines, peer);
    match proof.verify(&Presented::new(&head, SystemTime::UNIX_EPOCH)) {
        Verdict::Accept(_) => Found::Caller,
        Verdict::Refuse(refusal) if refusal.part() == "address" => Found::Another,
        Verdict::Refuse(refusal) => {
            assert_eq!(refusal.part(), "forwarded");
            Found::Nobody
        }
        Verdict::NeedsBody => panic!("an address needs no body"),
    }
}

fn head(name: &'static str, lines: &[Vec<u8>], peer: &str) -> request::Parts {
    let mut request = Request::post("/");
    for line in lines {
        request = request.header(name, HeaderValue::from_bytes(line).expect("checked before"));
    }
    let (mut head, ()) = request.body(()).expect("a request").into_parts();
    let peer = SocketAddr::new(peer.parse().expect("an address"), 1);
    head.extensions.insert(PeerAddr(peer));
    head
}
