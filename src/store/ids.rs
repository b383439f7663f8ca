//! Opaque 128-bit values.

use std::{fmt, str::FromStr};

macro_rules! opaque {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The value as a store keeps it.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The value for a store to keep.
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0
            }

            /// A value that nobody else has.
            ///
            /// # Panics
            ///
            /// When the operating system has no randomness to give.
            pub fn random() -> Self {
                let mut bytes = [0; 16];
                getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
                Self(bytes)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", u128::from_be_bytes(self.0))
            }
        }
    };
}

opaque! {
    /// Names one insert of one record. Chosen at random by whoever inserts, so that an insert whose
    /// outcome was lost can be repeated. Compared for equality only.
    RecordId
}

/// A text that no id was written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a record is 32 hexadecimal digits")]
#[non_exhaustive]
pub struct InvalidRecordId;

/// As it is displayed.
impl FromStr for RecordId {
    type Err = InvalidRecordId;

    fn from_str(text: &str) -> Result<Self, InvalidRecordId> {
        let all_digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u128::from_str_radix(text, 16) {
            Ok(number) if all_digits => Ok(Self(number.to_be_bytes())),
            _ => Err(InvalidRecordId),
        }
    }
}

opaque! {
    /// The fencing token of a lease. Chosen by the store, never twice. Compared for equality only; a
    /// store may hide a locator of its own in it.
    LeaseToken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_back_from_its_text() {
        let id = RecordId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        let short = "1".repeat(31);
        for text in [
            "",
            &short,
            &format!("+{short}"),
            &format!("{short}11"),
            &format!("{short}g"),
        ] {
            assert_eq!(text.parse::<RecordId>(), Err(InvalidRecordId), "{text}");
        }
    }
}
