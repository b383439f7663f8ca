//! Opaque 128-bit values.

use std::{cell::RefCell, fmt, str::FromStr, time::SystemTime};

use crate::event::millis;

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
                fill(&mut bytes);
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

fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives random bytes");
}

opaque! {
    /// Names one insert of one record. Chosen by whoever inserts, so that nobody else has it, and so that
    /// an insert whose outcome was lost can be repeated. Compared for equality only.
    RecordId
}

impl RecordId {
    /// A value that nobody else has, from bytes that a thread fetches for many records at once: to call
    /// the operating system for each would be a fifth of what a callback takes.
    ///
    /// It begins with the time of that, in milliseconds, and has 80 random bits behind it: an index of ids in a
    /// database grows at its end then, instead of dirtying a page for each.
    ///
    /// A process that forks would use some of them twice, and nothing would be lost: an insert is
    /// recognised by its key first, and then by its id.
    pub(super) fn of_next_record() -> Self {
        thread_local! {
            static FETCHED: RefCell<Vec<[u8; 16]>> = const { RefCell::new(Vec::new()) };
        }
        let next = FETCHED.with_borrow_mut(|fetched| {
            if fetched.is_empty() {
                fetched.resize(64, [0; 16]);
                fill(fetched.as_flattened_mut());
                let now = millis(SystemTime::now()).to_be_bytes();
                for id in fetched.iter_mut() {
                    id[..6].copy_from_slice(&now[2..]);
                }
            }
            fetched.pop()
        });
        next.map_or_else(Self::random, Self)
    }
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
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_records_have_one_id() {
        let ids = |_| (0..1000).map(|_| RecordId::of_next_record());
        let others = std::thread::spawn(move || ids(()).collect::<Vec<_>>());
        let mut all: HashSet<_> = ids(()).collect();
        all.extend(others.join().unwrap());
        assert_eq!(all.len(), 2000);
    }

    #[test]
    fn ids_of_records_ascend_with_the_time() {
        let first_bytes = |id: RecordId| {
            let [a, b, c, d, e, f, ..] = id.to_bytes();
            u64::from_be_bytes([0, 0, a, b, c, d, e, f])
        };
        let of_a_thread = || {
            let ids = std::thread::spawn(|| [(); 3].map(|()| RecordId::of_next_record()));
            ids.join().unwrap().map(first_bytes)
        };
        let begun = millis(SystemTime::now());
        let ids = [of_a_thread(), of_a_thread()].concat();
        assert!(ids.is_sorted(), "{ids:?}");
        assert!(ids[0] >= begun && ids[5] <= millis(SystemTime::now()));
    }

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
