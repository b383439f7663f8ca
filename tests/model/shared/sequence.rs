//! Calls, written as bytes: every byte string is a sequence of them.

use std::time::Duration;

use tower_callback::store::{Action, NewRecord, Queue, RecordId, Retention};

use super::{Limits, UNIT};

/// The most calls of a sequence.
const MAX_CALLS: usize = 64;

/// Keys that a database which compares text would take for one, or cut short.
pub(crate) const KEYS: [&[u8]; 3] = [b"a", b"A", b"a\0"];

/// Two endpoints, of which one has every kind of queue.
pub(crate) fn queues() -> [Queue; 4] {
    [
        Queue::events("model"),
        Queue::tracked("model"),
        Queue::quarantine("model"),
        Queue::events("model:a"),
    ]
}

const QUARANTINE: usize = 2;

/// Calls to a store with this much room.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    pub(crate) limits: Limits,
    pub(crate) calls: Vec<Call>,
}

#[derive(Clone, Debug)]
pub(crate) enum Call {
    Insert(Vec<NewRecord>),
    Lease {
        queue: usize,
        max: usize,
        ttl: Duration,
    },
    /// Of which lease, counted back from the latest.
    Settle(Vec<(usize, Action)>),
    Purge(Retention),
    Requeue {
        queue: usize,
        ids: Vec<RecordId>,
    },
    Delete {
        queue: usize,
        ids: Vec<RecordId>,
    },
    /// Nothing happens for a while.
    Wait(Duration),
    /// Everything that the store tells of this queue.
    Look(usize),
}

impl Sequence {
    pub(crate) fn read(input: &[u8]) -> Self {
        let mut bytes = Bytes(input);
        let limits = match bytes.next() % 2 {
            0 => Limits::WIDE,
            _ => Limits::TIGHT,
        };
        let mut calls = Vec::new();
        while !bytes.0.is_empty() && calls.len() < MAX_CALLS {
            calls.push(bytes.call());
        }
        Self { limits, calls }
    }
}

/// What is left of an input; zeros where nothing is left.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    fn call(&mut self) -> Call {
        match self.next() % 16 {
            0..=4 => self.insert(),
            5..=7 => {
                let byte = self.next();
                Call::Lease {
                    queue: bits(byte, 0, 2),
                    max: bits(byte, 2, 2),
                    ttl: [UNIT, UNIT, 2 * UNIT, Duration::MAX][bits(byte, 4, 2)],
                }
            }
            8..=10 => {
                let count = self.count();
                Call::Settle((0..count).map(|_| self.settlement()).collect())
            }
            11 => {
                let byte = self.next();
                let age = |at| [Duration::MAX, Duration::ZERO, UNIT, 2 * UNIT][bits(byte, at, 2)];
                let retention = Retention::default()
                    .with_bodies(age(0))
                    .with_keys(age(2))
                    .with_dead(age(4))
                    .with_quarantine(age(6));
                Call::Purge(retention)
            }
            12 => {
                let (queue, ids) = self.ids();
                Call::Requeue { queue, ids }
            }
            13 => {
                let (queue, ids) = self.ids();
                Call::Delete { queue, ids }
            }
            14 => Call::Wait(UNIT * (1 + u32::from(self.next() % 3))),
            _ => Call::Look(bits(self.next(), 0, 2)),
        }
    }

    fn insert(&mut self) -> Call {
        let mut records: Vec<NewRecord> = Vec::new();
        for _ in 0..self.count() {
            let (name, content) = (self.next(), self.next());
            let mut queue = bits(name, 0, 2);
            // Whether a full quarantine drops what is older, or what came in the same call, is the
            // store's to choose.
            if queue == QUARANTINE && !records.is_empty() {
                queue = 0;
            }
            let key = bits(name, 2, 2) % KEYS.len();
            let body = vec![b'b'; 1 + bits(content, 6, 2)];
            let mut record = NewRecord::new(queues()[queue].clone(), KEYS[key], body)
                .with_rank([0, 1, 2, 3][bits(content, 0, 2)])
                .with_meta(vec![b'm'; 1 + bits(name, 4, 2)])
                .with_due_in(span(bits(content, 2, 4)));
            record.id = id(queue, key, bits(name, 4, 2));
            records.push(record);
        }
        Call::Insert(records)
    }

    fn settlement(&mut self) -> (usize, Action) {
        let (lease, byte) = (usize::from(self.next()), self.next());
        let after = span(bits(byte, 3, 4));
        let error = |word: &str| format!("{word} {}", bits(byte, 3, 5));
        let action = match byte % 8 {
            0 | 1 => Action::Done,
            2 | 3 => Action::RetryIn {
                after,
                error: error("failed"),
            },
            4 => Action::Release { after },
            5 => Action::Dead {
                reason: error("gave up"),
            },
            6 => Action::Disown,
            _ => Action::Extend {
                ttl: after.max(UNIT),
            },
        };
        (lease, action)
    }

    /// A queue, and ids that are most often its own.
    fn ids(&mut self) -> (usize, Vec<RecordId>) {
        let byte = self.next();
        let queue = bits(byte, 0, 2);
        let ids = (0..1 + bits(byte, 2, 1)).map(|_| {
            let byte = self.next();
            let of = if byte >= 0xe0 { queue + 1 } else { queue };
            id(of % 4, bits(byte, 0, 2) % KEYS.len(), bits(byte, 2, 2))
        });
        (queue, ids.collect())
    }

    fn count(&mut self) -> usize {
        1 + usize::from(self.next() % 3)
    }
}

fn bits(byte: u8, from: u8, count: u8) -> usize {
    usize::from((byte >> from) & ((1 << count) - 1))
}

/// At once, most often.
fn span(choice: usize) -> Duration {
    match choice {
        0..=8 => Duration::ZERO,
        9..=12 => UNIT,
        13 | 14 => 2 * UNIT,
        _ => Duration::MAX,
    }
}

/// Few enough that the same ones come again, each for one key only.
fn id(queue: usize, key: usize, nth: usize) -> RecordId {
    let mut bytes = *b"a record........";
    for (place, part) in bytes[13..].iter_mut().zip([queue, key, nth]) {
        *place = b'0' + part as u8;
    }
    RecordId::from_bytes(bytes)
}
