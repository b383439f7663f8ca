//! Lists, in pages.

use std::{collections::BTreeMap, ops::Bound, time::Duration};

use super::{
    alive::Order,
    index::{Ending, Spot},
    log::short,
    state::Inner,
};
use crate::store::{
    Queue, State, StoreError,
    inspect::{Cursor, Listing, Page, Summary},
};

/// The most records that one page looks at, because the lock is held meanwhile.
const MAX_LOOKED_AT: usize = 10_000;

/// Where a page ended: behind this one.
#[derive(Clone, Copy)]
enum Place {
    Alive(Order),
    Settled(Ending, u64),
}

/// Goes through records until the page is full, or enough were looked at.
struct Walk<'a> {
    inner: &'a Inner,
    listing: &'a Listing,
    now: Duration,
    looked_at: usize,
    records: Vec<Summary>,
}

impl Inner {
    pub(super) fn list(
        &self,
        queue: &Queue,
        listing: &Listing,
        now: Duration,
    ) -> Result<Page, StoreError> {
        let after = listing.after.as_ref().map(Place::read).transpose()?;
        let Some(&number) = self.names.get(queue) else {
            return Ok(Page::default());
        };
        let mut walk = Walk {
            inner: self,
            listing,
            now,
            looked_at: 0,
            records: Vec::new(),
        };
        let end = walk.alive(number, after);
        let end = end.or_else(|| walk.settled(number, Ending::Dead, after));
        let end = end.or_else(|| walk.settled(number, Ending::Done, after));
        Ok(Page::new(walk.records, end.map(Place::cursor)))
    }
}

impl Walk<'_> {
    /// Where the page ends, if it ends here.
    fn alive(&mut self, number: u16, after: Option<Place>) -> Option<Place> {
        let from = match after {
            None => Bound::Unbounded,
            Some(Place::Alive(order)) => Bound::Excluded(order),
            Some(Place::Settled(..)) => return None,
        };
        if matches!(self.listing.state, Some(State::Done | State::Dead)) {
            return None;
        }
        let state = &self.inner.queues[usize::from(number)];
        let most = match self.listing.state {
            None => self.listing.limit(),
            Some(_) => MAX_LOOKED_AT,
        };
        let entries = |orders: &BTreeMap<Order, u32>| {
            let some = orders.range((from, Bound::Unbounded)).take(most);
            some.map(|(&order, &slot)| (order, slot))
                .collect::<Vec<_>>()
        };
        let mut all = entries(&state.waiting);
        all.extend(entries(&state.held));
        all.sort_unstable();
        all.into_iter()
            .find_map(|(order, slot)| self.take(Spot::Alive(slot)).then_some(Place::Alive(order)))
    }

    fn settled(&mut self, number: u16, ending: Ending, after: Option<Place>) -> Option<Place> {
        let before = match (after, ending) {
            (Some(Place::Settled(at, position)), _) if at == ending => position,
            (Some(Place::Settled(Ending::Done, _)), Ending::Dead) => return None,
            _ => u64::MAX,
        };
        let state = match ending {
            Ending::Dead => State::Dead,
            Ending::Done => State::Done,
        };
        if self.listing.state.is_some_and(|wanted| wanted != state) {
            return None;
        }
        let inner = self.inner;
        let mut entries = inner.log(ending).newest_before(before);
        entries.find_map(|(position, entry)| {
            let spot = Spot::Settled(ending, short(position));
            let ours = entry.queue() == number && inner.leads_to(entry.hash().place, spot);
            let full = if ours { self.take(spot) } else { self.looked() };
            full.then_some(Place::Settled(ending, position))
        })
    }

    /// Takes a record if it is in the state that is asked for. Whether the page ends behind it.
    fn take(&mut self, spot: Spot) -> bool {
        let state = self.inner.known(spot, self.now).state;
        if self.listing.state.is_none_or(|wanted| wanted == state) {
            self.records.push(self.inner.summary(spot, self.now));
        }
        self.looked() || self.records.len() >= self.listing.limit()
    }

    fn looked(&mut self) -> bool {
        self.looked_at += 1;
        self.looked_at >= MAX_LOOKED_AT
    }
}

impl Place {
    fn cursor(self) -> Cursor {
        let mut bytes = Vec::with_capacity(21);
        match self {
            Self::Alive((at, sequence)) => {
                bytes.push(0);
                bytes.extend(at.as_secs().to_be_bytes());
                bytes.extend(at.subsec_nanos().to_be_bytes());
                bytes.extend(sequence.to_be_bytes());
            }
            Self::Settled(ending, position) => {
                bytes.push(match ending {
                    Ending::Dead => 1,
                    Ending::Done => 2,
                });
                bytes.extend(position.to_be_bytes());
            }
        }
        Cursor::from_bytes(bytes)
    }

    fn read(cursor: &Cursor) -> Result<Self, StoreError> {
        Self::from_bytes(cursor.as_bytes())
            .ok_or_else(|| StoreError::rejected("the cursor is none of this store's"))
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&phase, rest) = bytes.split_first()?;
        if phase > 0 {
            let ending = match phase {
                1 => Ending::Dead,
                2 => Ending::Done,
                _ => return None,
            };
            let position = u64::from_be_bytes(rest.try_into().ok()?);
            return Some(Self::Settled(ending, position));
        }
        let (secs, rest) = rest.split_first_chunk()?;
        let (nanos, sequence) = rest.split_first_chunk()?;
        let nanos = u32::from_be_bytes(*nanos);
        let at = Duration::new(u64::from_be_bytes(*secs), 0);
        // More would be whole seconds, which no store of ours writes there.
        let at = (nanos < 1_000_000_000).then(|| at + Duration::new(0, nanos))?;
        let sequence = u64::from_be_bytes(sequence.try_into().ok()?);
        Some(Self::Alive((at, sequence)))
    }
}
