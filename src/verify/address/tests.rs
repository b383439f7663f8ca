//! What proxies write, taken apart.

use super::{
    elements::{forwarded_for, plain, quoted},
    node::{Brackets, address},
};

fn both(node: &str) -> [Option<String>; 2] {
    [Brackets::Optional, Brackets::Required]
        .map(|brackets| address(node.as_bytes(), brackets).map(|address| address.to_string()))
}

#[test]
fn an_address_is_read_without_its_port_and_zone_in_canonical_form() {
    for (node, expected) in [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:0", "203.0.113.7"),
        ("203.0.113.7:65535", "203.0.113.7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:DB8:0:0::7]", "2001:db8::7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("[::ffff:203.0.113.7]", "203.0.113.7"),
        ("[::ffff:cb00:7107]:80", "203.0.113.7"),
        ("[fe80::1%eth0]", "fe80::1"),
        ("[fe80::1%25eth0]:80", "fe80::1"),
        ("[::1]", "::1"),
    ] {
        assert_eq!(
            both(node),
            [Some(expected.to_owned()), Some(expected.to_owned())],
            "{node}"
        );
    }
}

#[test]
fn brackets_may_lack_only_where_no_port_can_be_meant() {
    for (node, expected) in [
        ("2001:db8::7", "2001:db8::7"),
        ("2001:db8::7:80", "2001:db8::7:80"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::1"),
    ] {
        assert_eq!(both(node), [Some(expected.to_owned()), None], "{node}");
    }
}

#[test]
fn a_port_may_be_hidden_as_rfc_7239_says() {
    for node in ["203.0.113.7:_a", "203.0.113.7:_A.b-c_9", "[2001:db8::7]:_x"] {
        let [plain, rfc] = both(node);
        assert!(plain.is_none() && rfc.is_some(), "{node}");
    }
}

#[test]
fn what_is_no_address_is_none() {
    for node in [
        "",
        " ",
        "unknown",
        "Unknown",
        "_hidden",
        "_",
        "-",
        "localhost",
        "unix:",
        "null",
        "203.0.113",
        "203.0.113.256",
        "203.0.113.7.1",
        "203.0.113.07",
        "0xcb007107",
        "3405803783",
        "203.0.113.7/32",
        " 203.0.113.7",
        "203.0.113.7 ",
        "203.0.113.7:",
        "203.0.113.7:65536",
        "203.0.113.7:+1",
        "203.0.113.7:123456",
        "203.0.113.7:80:80",
        "203.0.113.7:_",
        "203.0.113.7:_a b",
        "[203.0.113.7]",
        "[203.0.113.7]:80",
        "[2001:db8::7",
        "2001:db8::7]",
        "[2001:db8::7]80",
        "[2001:db8::7]:",
        "[2001:db8::7]:x",
        "[[2001:db8::7]]",
        "[]",
        "[]:80",
        "2001:db8::7::1",
        "12345::1",
        ":::1",
        "[2001:db8::7%eth0]",
        "[fe80::1%]",
        "[fe80::1%a%b]",
        "[fe80::1%a b]",
        "203.0.113.7%eth0",
        "203.0.113.7,203.0.113.8",
        "\"203.0.113.7\"",
        "203.0.113.7\0",
        "２０３.0.113.7",
    ] {
        assert_eq!(both(node), [None, None], "{node:?}");
    }
    assert_eq!(address(b"203.0.113.7\xff", Brackets::Optional), None);
}

fn texts<'a>(elements: impl Iterator<Item = &'a [u8]>) -> Vec<&'a str> {
    elements
        .map(|element| str::from_utf8(element).unwrap())
        .collect()
}

#[test]
fn elements_come_from_the_right() {
    assert_eq!(texts(plain(b"a, b ,\tc")), ["c", "b", "a"]);
    assert_eq!(texts(plain(b"a,,\"b,c\"")), ["c\"", "\"b", "", "a"]);
    assert_eq!(texts(plain(b"")), [""]);
    assert_eq!(texts(quoted(b"a, b ,\tc")), ["c", "b", "a"]);
    assert_eq!(texts(quoted(b"a,,b,")), ["", "b", "", "a"]);
    assert_eq!(texts(quoted(b"")), [""]);
}

#[test]
fn a_comma_within_quotes_parts_nothing() {
    assert_eq!(
        texts(quoted(br#"for=a;x=",", for="b,c""#)),
        [r#"for="b,c""#, r#"for=a;x=",""#]
    );
    assert_eq!(
        texts(quoted(br#"x="\",\"", y="\\""#)),
        [r#"y="\\""#, r#"x="\",\"""#]
    );
}

#[test]
fn a_quote_that_the_left_leaves_open_does_not_reach_the_right() {
    for left in [
        r#"for=""#,
        r#"for="a"#,
        r#"for="\"#,
        r#"for=203.0.113.9;x=""#,
        r#"""#,
        r#"\"#,
        r#"\""#,
    ] {
        let line = format!("{left}, for=\"[2001:db8::7]:80\";by=\"a,b\"");
        let first = quoted(line.as_bytes()).next().unwrap();
        assert_eq!(first, br#"for="[2001:db8::7]:80";by="a,b""#, "{line}");
    }
}

fn said(element: &str) -> Option<String> {
    forwarded_for(element.as_bytes()).map(|text| String::from_utf8(text).unwrap())
}

#[test]
fn the_examples_of_rfc_7239_are_read() {
    for (element, expected) in [
        (r#"for="_gazonk""#, "_gazonk"),
        (
            r#"For="[2001:db8:cafe::17]:4711""#,
            "[2001:db8:cafe::17]:4711",
        ),
        ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
        ("for=192.0.2.43", "192.0.2.43"),
        (r#"for="[2001:db8:cafe::17]""#, "[2001:db8:cafe::17]"),
        ("for=unknown", "unknown"),
        ("for=_hidden", "_hidden"),
        ("for=_SEVKISEK", "_SEVKISEK"),
        (
            r#"host="a\"b,c;d"; FOR = x"#.replace(" = ", "=").as_str(),
            "x",
        ),
        (r#"for="192\.0.2.43""#, "192.0.2.43"),
        ("for=[2001:db8::1]:80", "[2001:db8::1]:80"),
        ("proto=https ; for=192.0.2.43", "192.0.2.43"),
    ] {
        assert_eq!(said(element).as_deref(), Some(expected), "{element}");
    }
}

#[test]
fn an_element_that_is_not_written_as_it_should_be_says_nothing() {
    for element in [
        "",
        " ",
        ";",
        "for",
        "for=",
        "for=;",
        "=a",
        "for=\"\"",
        "192.0.2.43",
        "proto=https",
        "for =a",
        "for= a",
        "for=a;",
        "for=a;;proto=b",
        ";for=a",
        "for=a b",
        "for=a for=b",
        "for=a;for=b",
        "for=a;FOR=a",
        "for=\"a",
        "for=a\"",
        "for=\"a\"b",
        "for=\"a\\",
        "for=\"a\\\"",
        "for=a;proto",
        "for=a;proto=\"",
        "for=a=b",
        "for=a,b",
        "for=\\a",
        "fo\u{301}r=a",
        "for=\u{e9}",
        "for=a\0",
        "for=(a)",
    ] {
        assert_eq!(said(element), None, "{element:?}");
    }
}
