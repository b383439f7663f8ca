//! What changes nothing in a JSON body, and what it may cost.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The text of a body that is JSON, without a byte order mark.
pub(crate) fn text(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str::<IgnoredAny>(text).ok().map(|_| text)
}

/// An object with one more member, of a name that nobody reads.
pub(crate) fn wider(text: &str, value: impl fmt::Display) -> String {
    text.replacen('{', &format!(r#"{{"x":{value},"#), 1)
}

/// The members backwards, and those of their objects, repeated ones too: what lies deeper, some events
/// keep as it is. `None` if it is no object.
pub(crate) fn backwards(text: &str) -> Option<String> {
    let mut members = Members::backwards(text)?;
    for (_, value) in &mut members.0 {
        if let Some(inner) = Members::backwards(value.get()) {
            *value = RawValue::from_string(inner.to_string()).expect("JSON");
        }
    }
    Some(members.to_string())
}

/// Reading a body costs a few times its own length in memory, in a bounded number of pieces for each
/// byte, however it is built; and so does a body that is made of many of it.
///
/// Whatever took more than so many steps for each byte would take minutes for the large one: a
/// fuzzer's `-timeout` finds it.
pub(crate) fn linear(body: &[u8], read: impl Fn(&[u8])) {
    bounded(body, &read);
    // Seldom, as it costs a hundred times as much.
    if body.is_empty() || !checksum(body).is_multiple_of(64) {
        return;
    }
    let times = (128 * 1024 / body.len()).clamp(1, 4096);
    bounded(&body.repeat(times), &read);
    if let Some(text) = text(body).filter(|text| text.starts_with('{')) {
        let many = vec![text; times].join(",");
        bounded(wider(text, format_args!("[{many}]")).as_bytes(), &read);
        // As members of `data` too, where a reader looks closer.
        let data = format!(r#""data":{{"data":[{many}],"#);
        let inner = text.replacen(r#""data":{"#, &data, 1);
        bounded(inner.as_bytes(), &read);
    }
}

fn bounded(body: &[u8], read: impl Fn(&[u8])) {
    let measured = allocation_counter::measure(|| read(body));
    let bytes = 64 * body.len() as u64 + 16 * 1024;
    let pieces = 4 * body.len() as u64 + 256;
    assert!(
        measured.bytes_total <= bytes && measured.count_total <= pieces,
        "{measured:?} for {} bytes",
        body.len(),
    );
}

fn checksum(body: &[u8]) -> u8 {
    body.iter().fold(0, |sum, byte| sum.wrapping_mul(31) ^ byte)
}

/// The members of an object as they stand there, repeated ones too.
struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    fn backwards(text: &str) -> Option<Self> {
        let mut members: Self = serde_json::from_str(text).ok()?;
        members.0.reverse();
        Some(members)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (name, value)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let name = serde_json::to_string(name).expect("a string is JSON");
            write!(f, "{comma}{name}:{value}")?;
        }
        f.write_str("}")
    }
}
