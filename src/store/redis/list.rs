//! Lists, in pages; and where records are, which is found by going through them.

use std::collections::HashMap;

use super::{
    Shared,
    inspect::{remembered, summary},
    layout::{self, HEAD, Remembered, Stored, damaged},
    scripts::{Arg, LIST},
};
use crate::store::{
    Queue, RecordId, State, StoreError,
    hash::KeyHash,
    inspect::{Cursor, Listing, Page, Summary},
};

/// How many records one script goes through: the server does nothing else meanwhile.
const STEP: usize = 500;
/// How many one page goes through.
const MAX_LOOKED_AT: usize = 5000;
/// How often records are looked for while they are moved about.
const MAX_SEARCHES: usize = 10;

/// The parts of a list, in order: what is alive, what is dead, what is done and has its body, and what
/// is done and lost it.
const PARTS: [u8; 4] = *b"axlk";

/// A place in a list: in which part, and behind which entry of it.
#[derive(Clone, Copy)]
struct Place {
    part: u8,
    at: u64,
    /// A sequence, or how many entries of a list came before it.
    number: u64,
    /// What is done and was told last: its settlement, and its key's hash. Bodies may be purged
    /// between two pages, and with them entries go over from one list to the other.
    told: Option<(u64, KeyHash)>,
}

/// An entry of a list.
struct Entry {
    at: u64,
    number: u64,
    /// `None` where the entry leads nowhere any more.
    found: Option<(KeyHash, Summary)>,
}

pub(super) async fn list(
    shared: &Shared,
    queue: &Queue,
    listing: &Listing,
) -> Result<Page, StoreError> {
    let mut place = match &listing.after {
        Some(cursor) => Place::read(cursor)?,
        None => Place::first(b'a'),
    };
    let mut records = Vec::new();
    let mut looked_at = 0;
    loop {
        let wanted = match (listing.state, place.part) {
            (None, _) => true,
            (Some(State::Pending | State::Leased), part) => part == b'a',
            (Some(State::Dead), part) => part == b'x',
            (Some(State::Done), part) => part == b'l' || part == b'k',
        };
        let last = if wanted {
            let step = step(shared, queue, place).await?;
            let skipped = already_told(&place, &step.entries);
            for (index, entry) in step.entries.into_iter().enumerate() {
                looked_at += 1;
                place.at = entry.at;
                place.number = entry.number;
                let Some((k, summary)) = entry.found.filter(|_| index >= skipped) else {
                    continue;
                };
                if matches!(place.part, b'l' | b'k') {
                    place.told = Some((entry.at, k));
                }
                if listing.state.is_none_or(|state| state == summary.state) {
                    records.push(summary);
                }
                if records.len() >= listing.limit() {
                    return Ok(Page::new(records, Some(place.cursor())));
                }
            }
            step.last
        } else {
            true
        };
        if last && !place.go_on() {
            return Ok(Page::new(records, None));
        }
        if looked_at >= MAX_LOOKED_AT {
            return Ok(Page::new(records, Some(place.cursor())));
        }
    }
}

/// How many of these entries were told from the other list before they went over.
fn already_told(place: &Place, entries: &[Entry]) -> usize {
    let (Some((at, k)), b'k', u64::MAX) = (place.told, place.part, place.number) else {
        return 0;
    };
    let is_last = |entry: &Entry| entry.found.as_ref().is_some_and(|(found, _)| *found == k);
    let later = |entry: &Entry| entry.found.is_none() || entry.at > at;
    match entries.iter().position(is_last) {
        Some(position) => position + 1,
        None => entries.iter().take_while(|entry| later(entry)).count(),
    }
}

/// Some entries behind a place.
struct Step {
    entries: Vec<Entry>,
    /// Whether these were the last ones of the part.
    last: bool,
    /// How often, ever, something may have gone back to where a search has been.
    revision: u64,
}

async fn step(shared: &Shared, queue: &Queue, place: Place) -> Result<Step, StoreError> {
    let name = layout::queue_name(queue);
    let args = [
        Arg::Bytes(&name),
        Arg::Bytes(&[place.part]),
        Arg::Number(place.at),
        // No list and no sequence is that long.
        Arg::Number(place.number.min(1 << 52)),
        Arg::Number(STEP as u64),
    ];
    let answer = shared.rest.run(&shared.servers, &LIST, &args).await;
    let (head, parts) = read(answer.map_err(StoreError::from)?)?;
    let [now, last, revision] = head;
    let mut entries = Vec::with_capacity(parts.len() / 5);
    let mut parts = parts.into_iter();
    while let (Some(at), Some(number), Some(first), Some(second), Some(failure)) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) {
        let at = layout::number(&at.unwrap_or_default())?;
        let number = layout::number(&number.unwrap_or_default())?;
        let (first, second) = (first.unwrap_or_default(), second.unwrap_or_default());
        let found = if first.is_empty() {
            None
        } else if place.part == b'k' {
            let known = Remembered::read(&second, &first)?;
            let k: KeyHash = first.as_slice().try_into().map_err(|_| damaged())?;
            Some((k, remembered(&known, now)))
        } else {
            let head = second.get(..HEAD).ok_or_else(damaged)?.to_vec();
            let record = Stored::read_without_payload(&first, &head, second)?;
            let due = (place.part == b'a').then_some(at);
            Some((
                record.key_hash(),
                summary(&record, due, failure.as_deref(), now),
            ))
        };
        entries.push(Entry { at, number, found });
    }
    Ok(Step {
        entries,
        last: last == 1,
        revision,
    })
}

type Parts = Vec<Option<Vec<u8>>>;

/// Three numbers, and then parts.
fn read(answer: redis::Value) -> Result<([u64; 3], Parts), StoreError> {
    let redis::Value::Array(mut values) = answer else {
        return Err(damaged());
    };
    if values.len() < 3 {
        return Err(damaged());
    }
    let parts = values.split_off(3);
    let number = |value: redis::Value| {
        redis::from_redis_value::<u64>(value).map_err(StoreError::unavailable)
    };
    let mut head = values.into_iter();
    let (Some(now), Some(last), Some(revision)) = (head.next(), head.next(), head.next()) else {
        return Err(damaged());
    };
    let head = [number(now)?, number(last)?, number(revision)?];
    let parts: Result<Parts, _> = parts.into_iter().map(redis::from_redis_value).collect();
    Ok((head, parts.map_err(StoreError::unavailable)?))
}

/// The hashes of the keys of the records with these ids, as far as the queue has them.
pub(super) async fn locate(
    shared: &Shared,
    queue: &Queue,
    ids: &[RecordId],
) -> Result<HashMap<RecordId, KeyHash>, StoreError> {
    let mut located = HashMap::new();
    let mut place = Place::first(b'a');
    let mut searches = 1;
    let mut began_at = None;
    loop {
        let step = step(shared, queue, place).await?;
        let began = *began_at.get_or_insert(step.revision);
        for entry in step.entries {
            place.at = entry.at;
            place.number = entry.number;
            if let Some((k, summary)) = entry.found
                && ids.contains(&summary.id)
            {
                located.insert(summary.id, k);
            }
        }
        if ids.iter().all(|id| located.contains_key(id)) {
            return Ok(located);
        }
        if step.last && !place.go_on() {
            // What was requeued meanwhile, say, is where the search has been.
            if step.revision == began || searches == MAX_SEARCHES {
                return Ok(located);
            }
            searches += 1;
            place = Place::first(b'a');
            began_at = None;
        }
    }
}

impl Place {
    /// Before the first entry of a part.
    fn first(part: u8) -> Self {
        let forwards = part == b'a';
        Self {
            part,
            at: if forwards { 0 } else { u64::MAX >> 12 },
            number: if forwards { 0 } else { u64::MAX },
            told: None,
        }
    }

    /// Goes to the next part, if there is one.
    fn go_on(&mut self) -> bool {
        let next = PARTS.iter().skip_while(|part| **part != self.part).nth(1);
        let Some(next) = next else {
            return false;
        };
        *self = Self {
            told: self.told,
            ..Self::first(*next)
        };
        true
    }

    fn cursor(self) -> Cursor {
        let mut bytes = vec![self.part];
        bytes.extend(self.at.to_be_bytes());
        bytes.extend(self.number.to_be_bytes());
        if let Some((at, k)) = self.told {
            bytes.extend(at.to_be_bytes());
            bytes.extend(k);
        }
        Cursor::from_bytes(bytes)
    }

    fn read(cursor: &Cursor) -> Result<Self, StoreError> {
        Self::from_bytes(cursor.as_bytes())
            .ok_or_else(|| StoreError::rejected("the cursor is none of this store's"))
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&part, rest) = bytes.split_first()?;
        let (at, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let told = match rest.split_first_chunk() {
            Some((at, k)) => Some((u64::from_be_bytes(*at), k.try_into().ok()?)),
            None if rest.is_empty() => None,
            None => return None,
        };
        let at = u64::from_be_bytes(*at);
        (PARTS.contains(&part) && at <= u64::MAX >> 12).then(|| Self {
            part,
            at,
            number: u64::from_be_bytes(*number),
            told,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_from_its_cursor_and_from_nothing_else() {
        for told in [None, Some((9, [7; 16]))] {
            let place = Place {
                part: b'l',
                at: 3,
                number: 5,
                told,
            };
            let back = Place::read(&place.cursor()).unwrap();
            assert_eq!((back.part, back.at, back.number), (b'l', 3, 5));
            assert_eq!(back.told, told);
        }
        let bytes = Place::first(b'a').cursor().as_bytes().to_vec();
        for wrong in [&[][..], &bytes[1..], &bytes[..16], &[0; 17]] {
            assert!(Place::from_bytes(wrong).is_none(), "{wrong:?}");
        }
    }
}
