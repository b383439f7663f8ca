//! HMAC-SHA256, as every proof with a signature uses it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The length of a tag, in bytes.
pub(super) const TAG: usize = 32;

/// The tag over all parts, one after the other. Where a part ends is not told: parts that can vary
/// in length need a length or a separator between them.
pub(crate) fn sign(key: &[u8], parts: &[&[u8]]) -> [u8; TAG] {
    over(key, parts).finalize().into_bytes().into()
}

/// Whether this is the tag over all parts, in constant time. A tag of another length is not.
pub(super) fn verify(key: &[u8], parts: &[&[u8]], tag: &[u8]) -> bool {
    over(key, parts).verify_slice(tag).is_ok()
}

fn over(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex(hex: &str) -> Vec<u8> {
        assert!(hex.len().is_multiple_of(2));
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    }

    /// Key, data and HMAC-SHA-256 of each test case. The fifth is cut to 128 bits.
    fn rfc_4231() -> [(Vec<u8>, Vec<u8>, &'static str); 7] {
        [
            (
                vec![0x0b; 20],
                b"Hi There".to_vec(),
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe".to_vec(),
                b"what do ya want for nothing?".to_vec(),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xaa; 20],
                vec![0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            ),
            (
                (1..=25).collect(),
                vec![0xcd; 50],
                "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
            ),
            (
                vec![0x0c; 20],
                b"Test With Truncation".to_vec(),
                "a3b6167473100ee06e0c796c2955552b",
            ),
            (
                vec![0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                vec![0xaa; 131],
                b"This is a test using a larger than block-size key and a larger than block-size \
                  data. The key needs to be hashed before being used by the HMAC algorithm."
                    .to_vec(),
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ]
    }

    #[test]
    fn the_vectors_of_rfc_4231_are_met_in_one_part_and_in_many() {
        for (key, data, expected) in rfc_4231() {
            let expected = unhex(expected);
            let bytes: Vec<&[u8]> = data.chunks(1).collect();
            for parts in [&[data.as_slice()][..], &bytes] {
                let tag = sign(&key, parts);
                assert_eq!(tag[..expected.len()], expected);
                assert!(verify(&key, parts, &tag));
            }
        }
    }

    #[test]
    fn a_tag_that_is_cut_lengthened_or_changed_in_one_bit_is_wrong() {
        let (key, parts) = (b"key", [b"a".as_slice(), b"bc"]);
        let tag = sign(key, &parts);
        for len in 0..TAG {
            assert!(!verify(key, &parts, &tag[..len]));
        }
        assert!(!verify(key, &parts, &[&tag[..], &[0]].concat()));
        for bit in 0..TAG * 8 {
            let mut tag = tag;
            tag[bit / 8] ^= 1 << (bit % 8);
            assert!(!verify(key, &parts, &tag));
        }
        assert!(!verify(b"kez", &parts, &tag));
    }
}
