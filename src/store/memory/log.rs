//! What is settled, in the order of settlement.

use std::{collections::VecDeque, time::Duration};

use super::{
    alive::Texts,
    failures::Failures,
    index::{KeyHash, POSITION_MASK},
};
use crate::{event::Rank, store::RecordId};

/// All that is remembered of a settled record, in 56 bytes: there may be a million of them.
#[derive(Clone)]
pub(super) struct Entry {
    hash: [u8; 16],
    pub(super) id: RecordId,
    digest: [u8; 8],
    /// The serial number of the last lease.
    serial: [u8; 6],
    /// In ticks of the store's clock.
    settled: [u8; 6],
    rank: [u8; 2],
    queue: [u8; 2],
}

/// In microseconds: six bytes of them last for 142 years.
const TICK: u64 = 16;

impl Entry {
    pub(super) fn new(
        hash: KeyHash,
        id: RecordId,
        digest: u64,
        serial: u64,
        settled: Duration,
        rank: Rank,
        queue: u16,
    ) -> Self {
        let ticks = u64::try_from(settled.as_micros()).unwrap_or(u64::MAX) / TICK;
        Self {
            hash: hash.to_bytes(),
            id,
            digest: digest.to_ne_bytes(),
            serial: low_six(serial),
            settled: low_six(ticks),
            rank: rank.to_ne_bytes(),
            queue: queue.to_ne_bytes(),
        }
    }

    pub(super) fn hash(&self) -> KeyHash {
        KeyHash::from_bytes(self.hash)
    }

    pub(super) fn digest(&self) -> u64 {
        u64::from_ne_bytes(self.digest)
    }

    pub(super) fn serial(&self) -> u64 {
        from_six(self.serial)
    }

    pub(super) fn settled(&self) -> Duration {
        Duration::from_micros(from_six(self.settled) * TICK)
    }

    pub(super) fn rank(&self) -> Rank {
        Rank::from_ne_bytes(self.rank)
    }

    pub(super) fn queue(&self) -> u16 {
        u16::from_ne_bytes(self.queue)
    }
}

fn low_six(value: u64) -> [u8; 6] {
    let [a, b, c, d, e, f, ..] = value.to_le_bytes();
    [a, b, c, d, e, f]
}

fn from_six([a, b, c, d, e, f]: [u8; 6]) -> u64 {
    u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
}

/// What is kept of a settled record's content.
pub(super) struct Payload {
    pub(super) texts: Texts,
    pub(super) born: Duration,
    pub(super) attempt: u32,
    pub(super) expiries: u32,
    pub(super) failures: Failures,
}

/// Entries in order of settlement, in chunks, so that growth copies nothing. The newest have their
/// payload.
///
/// A record that lives again leaves its entry behind; the [`Index`](super::index::Index) no longer
/// leads there, and it goes when it is the oldest.
pub(super) struct Log {
    chunks: VecDeque<Vec<Entry>>,
    /// Entries of the first chunk that are gone.
    gone: usize,
    /// The position of the oldest entry, counted from the first ever.
    front: u64,
    len: usize,
    /// Those of the newest entries.
    payloads: VecDeque<Option<Payload>>,
}

const CHUNK: usize = 1024;

impl Log {
    pub(super) fn new() -> Self {
        Self {
            chunks: VecDeque::new(),
            gone: 0,
            front: 0,
            len: 0,
            payloads: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The position to find it by.
    pub(super) fn push(&mut self, entry: Entry, payload: Payload, keep: usize) -> u32 {
        match self.chunks.back_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(entry),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(entry);
                self.chunks.push_back(chunk);
            }
        }
        let position = short(self.front + self.len as u64);
        self.len += 1;
        self.payloads.push_back(Some(payload));
        // Twice, so that a lowered limit is reached step by step.
        for _ in 0..2 {
            if self.payloads.len() > keep {
                self.payloads.pop_front();
            }
        }
        position
    }

    pub(super) fn get(&self, position: u32) -> &Entry {
        self.nth(self.offset(position))
    }

    pub(super) fn payload(&self, position: u32) -> Option<&Payload> {
        let without = self.len - self.payloads.len();
        let nth = self.offset(position).checked_sub(without)?;
        self.payloads[nth].as_ref()
    }

    /// Takes the payload of a record that lives again, or is forgotten.
    pub(super) fn take_payload(&mut self, position: u32) -> Option<Payload> {
        let without = self.len - self.payloads.len();
        let nth = self.offset(position).checked_sub(without)?;
        self.payloads[nth].take()
    }

    /// The entries, the newest first, from the one before `end` on. Positions here are counted from
    /// the first ever.
    pub(super) fn newest_before(&self, end: u64) -> impl Iterator<Item = (u64, &Entry)> {
        let len = self.len as u64;
        let end = end.clamp(self.front, self.front + len);
        (self.front..end).rev().map(move |position| {
            // Less than `len`.
            let offset = (position - self.front) as usize;
            (position, self.nth(offset))
        })
    }

    /// When the oldest was settled.
    pub(super) fn oldest(&self) -> Option<Duration> {
        (self.len > 0).then(|| self.nth(0).settled())
    }

    /// When the oldest that still has its payload was settled.
    pub(super) fn oldest_payload(&self) -> Option<Duration> {
        let without = self.len - self.payloads.len();
        (without < self.len).then(|| self.nth(without).settled())
    }

    /// Whether there was one.
    pub(super) fn pop_payload(&mut self) -> bool {
        self.payloads.pop_front().flatten().is_some()
    }

    /// The place and the queue of the oldest entry, and the position it had.
    pub(super) fn pop(&mut self) -> Option<(KeyHash, u16, u32)> {
        if self.len == 0 {
            return None;
        }
        let oldest = self.nth(0);
        let popped = (oldest.hash(), oldest.queue(), short(self.front));
        if self.payloads.len() == self.len {
            self.payloads.pop_front();
        }
        self.front += 1;
        self.len -= 1;
        self.gone += 1;
        if self.gone == CHUNK {
            self.chunks.pop_front();
            self.gone = 0;
        }
        Some(popped)
    }

    fn offset(&self, position: u32) -> usize {
        (position.wrapping_sub(short(self.front)) & POSITION_MASK) as usize
    }

    fn nth(&self, offset: usize) -> &Entry {
        let nth = self.gone + offset;
        &self.chunks[nth / CHUNK][nth % CHUNK]
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.chunks
            .iter()
            .map(|chunk| chunk.capacity() * size_of::<Entry>() + size_of::<Vec<Entry>>())
            .sum()
    }
}

/// The low bits, which tell positions apart while the log is shorter than all of them.
pub(super) fn short(position: u64) -> u32 {
    (position & u64::from(POSITION_MASK)) as u32
}
