//! A batch of new records, key by key: the server is asked once for each key, and every record is
//! answered as if they had come one after the other.

use std::collections::HashMap;

use super::db_error::collision;
use crate::{
    event::Rank,
    store::{
        Inserted, NewRecord, RecordId, State, StoreError,
        hash::{self, KeyHash},
    },
};

/// What is known of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) id: RecordId,
    pub(super) rank: Rank,
    pub(super) digest: i64,
    pub(super) state: State,
}

/// What became of a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Fresh,
    Full,
    /// It was known, and is as it was.
    Known(Standing),
    /// It was known, and was replaced.
    Upgraded(Standing),
    /// It was known, and somebody holds it.
    Busy(Standing),
}

/// The records of one key.
pub(super) struct Group<'a> {
    pub(super) k: KeyHash,
    /// Their numbers in the batch, in order.
    members: Vec<usize>,
    /// The one that it comes to: each replaces one of a lower rank, unless it is the very same.
    pub(super) best: &'a NewRecord,
    pub(super) digest: i64,
}

pub(super) struct Batch<'a> {
    records: &'a [NewRecord],
    digests: Vec<i64>,
    pub(super) groups: Vec<Group<'a>>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(records: &'a [NewRecord]) -> Result<Self, StoreError> {
        let digests: Vec<i64> = records
            .iter()
            .map(|record| hash::digest(&record.body))
            .collect();
        let mut groups: Vec<Group<'a>> = Vec::with_capacity(records.len());
        let mut places: HashMap<KeyHash, usize> = HashMap::with_capacity(records.len());
        for (index, record) in records.iter().enumerate() {
            let k = hash::key_hash(&record.queue, &record.key);
            let place = *places.entry(k).or_insert(groups.len());
            let Some(group) = groups.get_mut(place) else {
                groups.push(Group {
                    k,
                    members: vec![index],
                    best: record,
                    digest: digests[index],
                });
                continue;
            };
            if group.best.key != record.key {
                return Err(collision());
            }
            group.members.push(index);
            if record.rank > group.best.rank && record.id != group.best.id {
                group.best = record;
                group.digest = digests[index];
            }
        }
        Ok(Self {
            records,
            digests,
            groups,
        })
    }

    /// Whether any record of a group replaces what is known of its key; the last that does is what it
    /// comes to then.
    pub(super) fn replaces(&mut self, group: usize, known: Standing) -> bool {
        let group = &mut self.groups[group];
        let (mut id, mut rank) = (known.id, known.rank);
        for &member in &group.members {
            let record = &self.records[member];
            if record.rank > rank && record.id != id {
                (id, rank) = (record.id, record.rank);
                (group.best, group.digest) = (record, self.digests[member]);
            }
        }
        rank > known.rank
    }

    /// The answers, from what became of each group.
    pub(super) fn answers(&self, fates: &[Fate]) -> Vec<Inserted> {
        let mut answers = vec![Inserted::Full; self.records.len()];
        for (group, fate) in self.groups.iter().zip(fates) {
            let mut now = match fate {
                Fate::Fresh | Fate::Full => None,
                Fate::Known(standing) | Fate::Upgraded(standing) | Fate::Busy(standing) => {
                    Some(*standing)
                }
            };
            for &member in &group.members {
                answers[member] = self.answer(member, fate, &mut now);
            }
        }
        answers
    }

    fn answer(&self, member: usize, fate: &Fate, now: &mut Option<Standing>) -> Inserted {
        let record = &self.records[member];
        let digest = self.digests[member];
        let (answer, state) = match now {
            None if matches!(fate, Fate::Full) => return Inserted::Full,
            None => (Inserted::Fresh, State::Pending),
            Some(known) if known.id == record.id => return Inserted::Fresh,
            Some(known) if record.rank <= known.rank => {
                return Inserted::Duplicate {
                    id: known.id,
                    rank: known.rank,
                    state: known.state,
                    differs: known.digest != digest,
                };
            }
            Some(_) if matches!(fate, Fate::Busy(_)) => return Inserted::Busy,
            Some(known) if known.state == State::Leased => (Inserted::Upgraded, State::Leased),
            Some(_) => (Inserted::Upgraded, State::Pending),
        };
        *now = Some(Standing {
            id: record.id,
            rank: record.rank,
            digest,
            state,
        });
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Queue;

    fn record(key: &'static str, rank: Rank) -> NewRecord {
        NewRecord::new(Queue::events("a"), key, format!("{rank}")).with_rank(rank)
    }

    #[test]
    fn a_key_is_asked_for_once_by_the_first_record_of_the_highest_rank() {
        let records = [
            record("a", 0),
            record("b", 0),
            record("a", 2),
            record("a", 2),
            record("a", 1),
        ];
        let batch = Batch::new(&records).unwrap();
        let best: Vec<_> = batch.groups.iter().map(|group| group.best.id).collect();
        assert_eq!(best, [records[2].id, records[1].id]);
        let answers = batch.answers(&[Fate::Fresh, Fate::Full]);
        let duplicate = |differs| Inserted::Duplicate {
            id: records[2].id,
            rank: 2,
            state: State::Pending,
            differs,
        };
        assert_eq!(
            answers,
            [
                Inserted::Fresh,
                Inserted::Full,
                Inserted::Upgraded,
                duplicate(false),
                duplicate(true),
            ]
        );
    }

    #[test]
    fn the_very_same_record_with_another_rank_replaces_nothing_but_what_others_had() {
        let first = record("a", 1);
        let mut same = record("a", 2);
        same.id = first.id;
        let records = [first, same];
        let mut batch = Batch::new(&records).unwrap();
        assert_eq!(batch.groups[0].best.rank, 1);
        assert_eq!(batch.answers(&[Fate::Fresh]), [Inserted::Fresh; 2]);
        let mut known = Standing {
            id: records[0].id,
            rank: 1,
            digest: 0,
            state: State::Pending,
        };
        assert!(!batch.replaces(0, known));
        // But it replaces what came after it, as anybody would.
        let mut again = record("a", 3);
        again.id = known.id;
        let later = [record("a", 2), again];
        let mut between = Batch::new(&later).unwrap();
        assert!(between.replaces(0, known));
        assert_eq!(between.groups[0].best.rank, 3);
        let answers = between.answers(&[Fate::Upgraded(known)]);
        assert_eq!(answers, [Inserted::Upgraded; 2]);
        known.id = RecordId::random();
        assert!(batch.replaces(0, known));
        assert_eq!(batch.groups[0].best.rank, 2);
        let answers = batch.answers(&[Fate::Upgraded(known)]);
        assert!(matches!(answers[0], Inserted::Duplicate { rank: 1, .. }));
        assert_eq!(answers[1], Inserted::Upgraded);
    }

    #[test]
    fn what_somebody_holds_is_busy_only_for_who_would_replace_it() {
        let records = [record("a", 0), record("a", 2)];
        let batch = Batch::new(&records).unwrap();
        let known = Standing {
            id: RecordId::random(),
            rank: 1,
            digest: 0,
            state: State::Leased,
        };
        let answers = batch.answers(&[Fate::Busy(known)]);
        assert!(matches!(answers[0], Inserted::Duplicate { rank: 1, .. }));
        assert_eq!(answers[1], Inserted::Busy);
    }
}
