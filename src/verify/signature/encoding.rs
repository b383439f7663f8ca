//! How a signature is written in a header.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::Tag;

/// How a signature is written in its header.
///
/// Each signature has one spelling: upper case where lower case is meant, missing padding and stray
/// bits at the end are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// 64 digits, `0` to `9` and `a` to `f`.
    Hex,
    /// 64 digits, `0` to `9` and `A` to `F`.
    UpperHex,
    /// 44 characters of the standard alphabet, with padding.
    Base64,
}

impl Encoding {
    pub(crate) fn decode(self, text: &[u8]) -> Option<Tag> {
        let mut tag = Tag::default();
        match self {
            Self::Hex | Self::UpperHex => {
                let ten = if self == Self::Hex { b'a' } else { b'A' };
                if text.len() != 2 * tag.len() {
                    return None;
                }
                for (byte, pair) in tag.iter_mut().zip(text.chunks_exact(2)) {
                    *byte = 16 * digit(pair[0], ten)? + digit(pair[1], ten)?;
                }
            }
            Self::Base64 => {
                // One byte more: 44 characters can hold 33.
                let mut decoded = [0; 33];
                let len = STANDARD.decode_slice(text, &mut decoded).ok()?;
                if len != tag.len() {
                    return None;
                }
                tag.copy_from_slice(&decoded[..len]);
            }
        }
        Some(tag)
    }
}

/// The value of a digit, where `ten` is the letter of ten.
fn digit(digit: u8, ten: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        _ => digit
            .checked_sub(ten)
            .filter(|above| *above < 6)
            .map(|above| above + 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: Tag = [
        0x00, 0x01, 0x0f, 0x10, 0x9a, 0xab, 0xf0, 0xff, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,
        19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
    ];
    const HEX: &str = "00010f109aabf0ff08090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const BASE64: &str = "AAEPEJqr8P8ICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn a_signature_is_read_in_its_one_spelling() {
        assert_eq!(Encoding::Hex.decode(HEX.as_bytes()), Some(TAG));
        let upper = HEX.to_uppercase();
        assert_eq!(Encoding::UpperHex.decode(upper.as_bytes()), Some(TAG));
        assert_eq!(Encoding::Base64.decode(BASE64.as_bytes()), Some(TAG));
    }

    #[test]
    fn every_other_spelling_is_refused() {
        let upper = HEX.to_uppercase();
        for (encoding, texts) in [
            (
                Encoding::Hex,
                vec![
                    upper.clone(),
                    HEX[1..].to_owned(),
                    HEX[2..].to_owned(),
                    format!("{HEX}0"),
                    format!("{HEX}00"),
                    format!(" {}", &HEX[1..]),
                    format!("+{}", &HEX[1..]),
                    format!("g{}", &HEX[1..]),
                    format!("`{}", &HEX[1..]),
                    format!("/{}", &HEX[1..]),
                    format!(":{}", &HEX[1..]),
                    String::new(),
                ],
            ),
            (
                Encoding::UpperHex,
                vec![
                    HEX.to_owned(),
                    format!("@{}", &upper[1..]),
                    format!("G{}", &upper[1..]),
                ],
            ),
            (
                Encoding::Base64,
                vec![
                    BASE64.trim_end_matches('=').to_owned(),
                    format!("{BASE64}="),
                    format!("{BASE64}\n"),
                    format!(" {BASE64}"),
                    // 31 and 33 bytes.
                    "AAEPEJqr8P8ICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==".to_owned(),
                    "AAEPEJqr8P8ICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8A".to_owned(),
                    // The same 32 bytes, with stray bits at the end.
                    BASE64.replace("8=", "9="),
                    // The alphabet for URLs.
                    BASE64.replace('8', "_"),
                    String::new(),
                ],
            ),
        ] {
            for text in texts {
                assert_eq!(
                    encoding.decode(text.as_bytes()),
                    None,
                    "{encoding:?} {text:?}"
                );
            }
        }
    }
}
