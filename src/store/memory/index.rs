//! Where the record of a key is.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
};

use hashbrown::HashTable;

use crate::store::Queue;

/// 128 bits of keyed SipHash over the length-prefixed endpoint, kind and key. It never leaves the process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyHash {
    /// Finds the record in the [`Index`]; a part of every token.
    pub(super) place: u64,
    /// Makes two keys at one place differ.
    pub(super) check: u64,
}

impl KeyHash {
    pub(super) fn to_bytes(self) -> [u8; 16] {
        let whole = (u128::from(self.place) << 64) | u128::from(self.check);
        whole.to_ne_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        let whole = u128::from_ne_bytes(bytes);
        // Both casts cut a half out, on purpose.
        Self {
            place: (whole >> 64) as u64,
            check: whole as u64,
        }
    }
}

/// The secret keys of the hashes: nobody outside can choose event keys that collide.
#[derive(Clone)]
pub(super) struct Hashes {
    place: RandomState,
    check: RandomState,
}

impl Hashes {
    pub(super) fn new() -> Self {
        Self {
            place: RandomState::new(),
            check: RandomState::new(),
        }
    }

    /// The place of a key in the [`Index`].
    pub(super) fn place(&self, queue: &Queue, key: &[u8]) -> u64 {
        half(&self.place, queue, key)
    }

    /// The whole hash of a key whose place is known.
    pub(super) fn key_at(&self, place: u64, queue: &Queue, key: &[u8]) -> KeyHash {
        KeyHash {
            place,
            check: half(&self.check, queue, key),
        }
    }

    /// What a long body is compared by. Of a short one it is made when somebody asks for it.
    pub(super) fn long_body(&self, body: &[u8]) -> Option<u64> {
        (body.len() > LONG).then(|| self.body(body))
    }

    /// What a body is compared by when it is gone.
    pub(super) fn body(&self, body: &[u8]) -> u64 {
        let mut hasher = self.check.build_hasher();
        hasher.write(body);
        hasher.finish()
    }
}

/// What is longer takes more than some microseconds.
const LONG: usize = 4096;

fn half(state: &RandomState, queue: &Queue, key: &[u8]) -> u64 {
    let mut hasher = state.build_hasher();
    let endpoint = queue.endpoint().as_bytes();
    hasher.write_usize(endpoint.len());
    hasher.write_u8(queue.kind() as u8);
    hasher.write(endpoint);
    // The last part needs no length: the hash is one of all bytes and their number.
    hasher.write(key);
    hasher.finish()
}

/// Where a record is: alive in the slab, or remembered in one of the two logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    Alive(u32),
    Settled(Ending, u32),
}

/// How a record was settled for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Done,
    Dead,
}

/// A [`Spot`] in four bytes: two bits say where, the others which.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Packed(u32);

/// Positions have this many bits, so at most [`MAX_SPOTS`] records can be told apart.
const POSITION_BITS: u32 = 30;
pub(super) const POSITION_MASK: u32 = (1 << POSITION_BITS) - 1;
/// No limit of the store may exceed this.
pub(super) const MAX_SPOTS: usize = 1 << 28;

impl Packed {
    fn new(spot: Spot) -> Self {
        let (tag, position) = match spot {
            Spot::Alive(slot) => (0, slot),
            Spot::Settled(Ending::Done, position) => (1, position),
            Spot::Settled(Ending::Dead, position) => (2, position),
        };
        Self((tag << POSITION_BITS) | (position & POSITION_MASK))
    }

    fn spot(self) -> Spot {
        let position = self.0 & POSITION_MASK;
        match self.0 >> POSITION_BITS {
            0 => Spot::Alive(position),
            1 => Spot::Settled(Ending::Done, position),
            _ => Spot::Settled(Ending::Dead, position),
        }
    }
}

/// Many small hash tables, so that growing one is a matter of microseconds.
pub(super) struct Index {
    parts: Box<[HashTable<Packed>]>,
}

/// With a million remembered and a hundred thousand pending, a part holds 786 of the 896 entries
/// that fit 1,024 buckets: well filled, and room for chance.
const PARTS: usize = 1400;

impl Index {
    pub(super) fn new() -> Self {
        Self {
            parts: std::iter::repeat_with(HashTable::new).take(PARTS).collect(),
        }
    }

    pub(super) fn find(&self, place: u64, mut is: impl FnMut(Spot) -> bool) -> Option<Spot> {
        self.parts[part(place)]
            .find(place, |packed| is(packed.spot()))
            .map(|packed| packed.spot())
    }

    /// `place_of` tells the place of what is in the index already.
    pub(super) fn insert(&mut self, place: u64, spot: Spot, place_of: impl Fn(Spot) -> u64) {
        let part = &mut self.parts[part(place)];
        let rehash = |packed: &Packed| place_of(packed.spot());
        let most = part.num_buckets() / 8 * 7;
        if part.len() == part.capacity() && part.len() < most / 16 * 15 {
            // What was removed left marks behind. Left alone, the table would double because of them.
            // With few marks it may: clearing them would have to be done again too soon.
            let mut clean = HashTable::with_capacity(most);
            for packed in part.drain() {
                clean.insert_unique(rehash(&packed), packed, rehash);
            }
            *part = clean;
        }
        part.insert_unique(place, Packed::new(spot), rehash);
    }

    pub(super) fn replace(&mut self, place: u64, old: Spot, new: Spot) {
        let old = Packed::new(old);
        if let Some(packed) = self.parts[part(place)].find_mut(place, |packed| *packed == old) {
            *packed = Packed::new(new);
        }
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, place: u64, spot: Spot) -> bool {
        let spot = Packed::new(spot);
        match self.parts[part(place)].find_entry(place, |packed| *packed == spot) {
            Ok(entry) => {
                entry.remove();
                true
            }
            Err(_) => false,
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let tables: usize = self.parts.iter().map(HashTable::allocation_size).sum();
        tables + size_of_val(&*self.parts)
    }
}

/// By bits that the tables use neither for the bucket nor for its mark.
fn part(place: u64) -> usize {
    let middle = (place >> 16) & u64::from(u32::MAX);
    let part = (middle * PARTS as u64) >> 32;
    // Less than `PARTS`.
    part as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places of ids, all of them in the first part.
    fn in_one_part() -> impl Fn(u32) -> u64 {
        let (hashes, queue) = (Hashes::new(), Queue::events("music-video"));
        move |id| hashes.place(&queue, &id.to_ne_bytes()) & !(0xffff_ffff << 16)
    }

    #[test]
    fn a_part_does_not_grow_however_many_records_pass_through() {
        let in_one_part = in_one_part();
        let place_of = |spot| match spot {
            Spot::Alive(id) | Spot::Settled(_, id) => in_one_part(id),
        };
        let mut index = Index::new();
        for id in 0..200_000 {
            index.insert(in_one_part(id), Spot::Settled(Ending::Done, id), place_of);
            if id >= 800 {
                let old = id - 800;
                assert!(index.remove(in_one_part(old), Spot::Settled(Ending::Done, old)));
            }
        }
        assert_eq!(index.parts[0].num_buckets(), 1024);
        for id in 199_200..200_000 {
            let spot = Spot::Settled(Ending::Done, id);
            assert_eq!(index.find(in_one_part(id), |it| it == spot), Some(spot));
        }
    }

    #[test]
    fn however_full_a_part_is_a_record_that_comes_moves_few_others() {
        let in_one_part = in_one_part();
        let moved = std::cell::Cell::new(0);
        let place_of = |spot| match spot {
            Spot::Alive(id) | Spot::Settled(_, id) => {
                moved.set(moved.get() + 1);
                in_one_part(id)
            }
        };
        let mut index = Index::new();
        // Almost as many as 1,024 buckets hold.
        let (kept, all) = (890, 20_000);
        for id in 0..all {
            index.insert(in_one_part(id), Spot::Alive(id), place_of);
            if id >= kept {
                let old = id - kept;
                assert!(index.remove(in_one_part(old), Spot::Alive(old)));
            }
        }
        assert!(moved.get() < 10 * all, "{} moves", moved.get());
    }

    #[test]
    fn records_are_spread_over_all_parts_so_that_none_is_slow_to_grow() {
        let hashes = Hashes::new();
        let queue = Queue::events("music-video");
        let place_of = |spot| match spot {
            Spot::Alive(id) | Spot::Settled(_, id) => hashes.place(&queue, &id.to_ne_bytes()),
        };
        let mut index = Index::new();
        for id in 0..20 * PARTS as u32 {
            let spot = Spot::Alive(id);
            index.insert(place_of(spot), spot, place_of);
        }
        let fullest = index.parts.iter().map(HashTable::len).max();
        assert!(fullest < Some(100), "{fullest:?}");
    }
}
