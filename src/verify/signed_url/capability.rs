//! The capability that a signed URL carries.
//!
//! ```text
//! version 1 | expiry 8 | length of the key id 1 | key id | correlation id | tag 32      base64url
//! ```
//!
//! The tag is over a name for its purpose, the endpoint and everything before the tag, each with its
//! length in front, so that no two of them can be taken for one another.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::verify::mac;

/// The most bytes of a correlation id.
pub(super) const MAX_CORRELATION: usize = 128;
/// The most bytes of a key's id.
pub(super) const MAX_KEY_ID: usize = 64;

const VERSION: u8 = 1;
const PURPOSE: &[u8] = b"tower-callback signed url";
const HEAD: usize = 1 + 8 + 1;
const MAX: usize = HEAD + MAX_KEY_ID + MAX_CORRELATION + mac::TAG;
const MAX_TEXT: usize = MAX.div_ceil(3) * 4;

/// What a capability says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Capability<'a> {
    pub(super) key_id: &'a str,
    /// In seconds since 1970: good before, not any more at it.
    pub(super) expires: u64,
    pub(super) correlation: &'a str,
}

impl Capability<'_> {
    /// As text. The key id has at most [`MAX_KEY_ID`] bytes, the correlation id at most [`MAX_CORRELATION`].
    pub(super) fn seal(&self, endpoint: &str, key: &[u8]) -> String {
        let id_len = u8::try_from(self.key_id.len()).expect("the caller has checked it");
        let mut bytes = Vec::with_capacity(MAX);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.expires.to_be_bytes());
        bytes.push(id_len);
        bytes.extend_from_slice(self.key_id.as_bytes());
        bytes.extend_from_slice(self.correlation.as_bytes());
        let tag = over(endpoint, &bytes, |parts| mac::sign(key, parts));
        bytes.extend_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

/// A text that could be a capability, of which nothing is proved yet.
pub(super) struct Opened {
    bytes: [u8; MAX_TEXT / 4 * 3],
    /// Where the tag begins, and where it ends.
    tag: usize,
    end: usize,
}

/// Takes a text apart, unless it is longer than any of ours. No two texts come to the same bytes.
pub(super) fn open(text: &[u8]) -> Option<Opened> {
    let mut bytes = [0; MAX_TEXT / 4 * 3];
    let end = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    let tag = end.checked_sub(mac::TAG)?;
    Some(Opened { bytes, tag, end })
}

impl Opened {
    /// What it says, true or not.
    pub(super) fn claim(&self) -> Option<Capability<'_>> {
        let (head, rest) = self.bytes[..self.tag].split_first_chunk::<HEAD>()?;
        let [VERSION, expires @ .., id_len] = head else {
            return None;
        };
        let (key_id, correlation) = rest.split_at_checked(usize::from(*id_len))?;
        if correlation.len() > MAX_CORRELATION {
            return None;
        }
        Some(Capability {
            key_id: str::from_utf8(key_id).ok()?,
            expires: u64::from_be_bytes(*expires),
            correlation: str::from_utf8(correlation).ok()?,
        })
    }

    /// Whether it is true.
    pub(super) fn is_sealed_by(&self, endpoint: &str, key: &[u8]) -> bool {
        let (said, tag) = self.bytes[..self.end].split_at(self.tag);
        over(endpoint, said, |parts| mac::verify(key, parts, tag))
    }
}

/// Everything that the tag is over.
fn over<T>(endpoint: &str, said: &[u8], mac: impl FnOnce(&[&[u8]]) -> T) -> T {
    let endpoint = endpoint.as_bytes();
    let [a, b, c] = [PURPOSE, endpoint, said].map(|part| (part.len() as u64).to_be_bytes());
    mac(&[&a, PURPOSE, &b, endpoint, &c, said])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &[u8] = b"a key of 32 bytes, for the tests";

    /// URLs in flight must outlive an upgrade: a change here is a new version beside the old one.
    #[test]
    fn the_format_of_version_1_stays_as_it_is() {
        let capability = Capability {
            key_id: "2026-11",
            expires: 1_735_661_400,
            correlation: "order-1742",
        };
        let text = capability.seal("music-video", KEY);
        assert_eq!(
            text,
            "AQAAAABndBdYBzIwMjYtMTFvcmRlci0xNzQyTLK3i6VVH_kiGDz6xGTMOk0StcbCT3a6aSeV6Di1TDQ"
        );
        let opened = open(text.as_bytes()).unwrap();
        assert_eq!(opened.claim(), Some(capability));
        assert!(opened.is_sealed_by("music-video", KEY));
        assert!(!opened.is_sealed_by("music-vide", KEY));
        assert!(!opened.is_sealed_by("music-video", &KEY[1..]));
    }

    #[test]
    fn the_longest_one_fits_and_there_is_no_more_room() {
        let (key_id, correlation) = ("k".repeat(MAX_KEY_ID), "c".repeat(MAX_CORRELATION));
        let capability = Capability {
            key_id: &key_id,
            expires: u64::MAX,
            correlation: &correlation,
        };
        let text = capability.seal("e", KEY);
        assert_eq!(text.len(), MAX_TEXT);
        assert_eq!(open(text.as_bytes()).unwrap().claim(), Some(capability));
    }

    proptest! {
        #[test]
        fn no_bytes_and_no_text_panic_and_no_two_texts_are_the_same(
            bytes in proptest::collection::vec(any::<u8>(), 0..MAX + 8),
            text in "[A-Za-z0-9_-]{0,330}",
        ) {
            for text in [text.into_bytes(), bytes.clone(), URL_SAFE_NO_PAD.encode(&bytes).into_bytes()] {
                if let Some(opened) = open(&text) {
                    let _ = opened.claim();
                    prop_assert!(!opened.is_sealed_by("e", KEY));
                    prop_assert_eq!(
                        URL_SAFE_NO_PAD.encode(&opened.bytes[..opened.end]).into_bytes(),
                        text
                    );
                }
            }
        }
    }
}
