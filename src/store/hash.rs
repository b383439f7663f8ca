//! Keys and bodies as databases keep them.

use sha2::{Digest as _, Sha256};

use super::Queue;

/// A key of a queue.
pub(super) type KeyHash = [u8; 16];

/// SHA-256, cut to 128 bits, over the length-prefixed parts: no two lists of parts are the same bytes.
pub(super) fn key_hash(queue: &Queue, key: &[u8]) -> KeyHash {
    let mut hash = Sha256::new();
    for part in [
        queue.endpoint().as_bytes(),
        queue.kind().as_str().as_bytes(),
        key,
    ] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    first(&hash.finalize())
}

/// An 8-byte digest of a body.
pub(super) fn digest(body: &[u8]) -> i64 {
    i64::from_be_bytes(first(&Sha256::digest(body)))
}

fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut first = [0; N];
    first.copy_from_slice(&bytes[..N]);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_queues_and_keys_share_a_hash_input() {
        let a = key_hash(&Queue::events("a"), b"b:c");
        let b = key_hash(&Queue::events("a:b"), b"c");
        let c = key_hash(&Queue::tracked("a"), b"b:c");
        assert!(a != b && a != c && b != c);
    }
}
