//! Video files that nobody stores: every byte follows from a seed.

use std::ops::Range;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::testing::provider::random::SplitMix64;

/// A video file of the simulated provider: an `ftyp` box, and an `mdat` box with noise to the end.
///
/// It is computed where it is read, so that a file of many gigabytes costs no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Video {
    seed: u64,
    length: u64,
}

const FTYP: [u8; 32] = *b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41";

/// The `ftyp` box, and the head of an `mdat` box that has its size in 64 bits.
const HEAD: usize = FTYP.len() + 16;

impl Video {
    pub(super) fn new(seed: u64, length: u64) -> Self {
        Self {
            seed,
            length: length.max(HEAD as u64),
        }
    }

    /// The file's length in bytes, at least 48.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The bytes of a part of the file, cut to where the file ends.
    pub fn part(&self, range: Range<u64>) -> Bytes {
        let end = range.end.min(self.length);
        let mut bytes = Vec::with_capacity(end.saturating_sub(range.start) as usize);
        let noise = SplitMix64::new(self.seed);
        let mut at = range.start;
        while at < end {
            let (first, next) = (at % 8, (at / 8 + 1) * 8);
            let word = match at / 8 * 8 {
                start if start < HEAD as u64 => self.head_word(start as usize),
                start => noise.fork(start).seed().to_le_bytes(),
            };
            let last = 8 - (next - next.min(end));
            bytes.extend_from_slice(&word[first as usize..last as usize]);
            at = next;
        }
        bytes.into()
    }

    /// The whole file, in memory.
    pub fn bytes(&self) -> Bytes {
        self.part(0..self.length)
    }

    /// The SHA-256 of the whole file, computed piece by piece.
    pub fn sha256(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let mut at = 0;
        while at < self.length {
            let part = self.part(at..at + 64 * 1024);
            at += part.len() as u64;
            digest.update(&part);
        }
        digest.finalize().into()
    }

    /// A strong validator: the same for the same bytes only.
    pub(super) fn etag(&self) -> String {
        format!("\"{:016x}-{:x}\"", self.seed, self.length)
    }

    fn head_word(&self, start: usize) -> [u8; 8] {
        let mut head = [0; HEAD];
        head[..32].copy_from_slice(&FTYP);
        head[32..40].copy_from_slice(b"\0\0\0\x01mdat");
        head[40..].copy_from_slice(&(self.length - FTYP.len() as u64).to_be_bytes());
        let mut word = [0; 8];
        word.copy_from_slice(&head[start..start + 8]);
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_the_same_bytes_as_in_the_whole_wherever_it_begins_and_ends() {
        let video = Video::new(7, 101);
        let whole = video.bytes();
        assert_eq!(whole.len(), 101);
        for from in 0..=101 {
            for to in from..=110 {
                let expected = &whole[from..to.min(101)];
                assert_eq!(video.part(from as u64..to as u64), expected, "{from}..{to}");
            }
        }
    }

    #[test]
    fn the_boxes_fill_the_file_to_its_last_byte() {
        let bytes = Video::new(7, 1000).bytes();
        assert_eq!(&bytes[..8], b"\0\0\0\x20ftyp");
        assert_eq!(&bytes[32..40], b"\0\0\0\x01mdat");
        assert_eq!(bytes[40..48], 968_u64.to_be_bytes());
        assert_eq!(
            Video::new(7, 3).length(),
            48,
            "no file is without its boxes"
        );
    }

    #[test]
    fn a_seed_means_the_same_bytes_for_ever_and_the_digest_is_theirs() {
        let video = Video::new(7, 200_000);
        assert_eq!(video.bytes()[48..52], [0x56, 0x9b, 0x72, 0x86]);
        assert_eq!(
            video.sha256(),
            <[u8; 32]>::from(Sha256::digest(video.bytes()))
        );
        assert_ne!(video.bytes(), Video::new(8, 200_000).bytes());
        assert_ne!(video.etag(), Video::new(7, 200_001).etag());
    }
}
