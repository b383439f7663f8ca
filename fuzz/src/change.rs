//! One change of some bytes, written as bytes.

/// What is changed: four bytes of an input say it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    kind: u8,
    place: u16,
    byte: u8,
}

impl Change {
    /// Takes a change from the front of an input.
    pub(crate) fn take(input: &[u8]) -> Option<(Self, &[u8])> {
        let (&[kind, high, low, byte], rest) = input.split_first_chunk()?;
        let place = u16::from_be_bytes([high, low]);
        Some((Self { kind, place, byte }, rest))
    }

    /// The bytes with one of them replaced, put in, taken out or swapped with the next, or without
    /// their end. The same bytes, if that is no change.
    pub(crate) fn of(self, bytes: &[u8]) -> Vec<u8> {
        let mut changed = bytes.to_vec();
        let place = usize::from(self.place) % (bytes.len() + 1);
        match self.kind % 5 {
            0 if place < bytes.len() => changed[place] = self.byte,
            1 => changed.insert(place, self.byte),
            2 if place < bytes.len() => drop(changed.remove(place)),
            3 if place + 1 < bytes.len() => changed.swap(place, place + 1),
            4 => changed.truncate(place),
            _ => {}
        }
        changed
    }
}
