//! Lists, in pages.

use sqlx::{Row, SqliteConnection, query, sqlite::SqliteRow};

use super::{
    Shared,
    db_error::store_error,
    inspect::{read_summary, summary, summary_of_seen},
    rows::DISOWNED,
};
use crate::store::{
    Queue, QueueKind, State, StoreError,
    inspect::{Cursor, Listing, Page},
};

/// How many rows are read at once, and how often for one page: what is asked for may be rare.
const CHUNK: usize = 1000;
const CHUNKS: usize = 10;

/// `?1`: the queue, `?2` and `?3`: the place to go on behind, `?4`: how many.
const ALIVE: &str = summary!(
    "FROM tower_callback_record r INDEXED BY tower_callback_due
    CROSS JOIN tower_callback_payload p ON p.seq = r.seq
    WHERE r.queue = ?1 AND r.due IS NOT NULL AND (r.due, r.seq) > (?2, ?3)
    ORDER BY r.due, r.seq LIMIT ?4"
);

const IN_QUARANTINE: &str = summary!(
    "FROM tower_callback_record r INDEXED BY tower_callback_kept
    CROSS JOIN tower_callback_payload p ON p.seq = r.seq
    WHERE ?1 AND r.state = 2 AND r.at IS NOT NULL AND (r.at, r.seq) > (?2, ?3)
    ORDER BY r.at, r.seq LIMIT ?4"
);

const DEAD_ONES: &str = summary!(
    "FROM tower_callback_record r INDEXED BY tower_callback_kept
    CROSS JOIN tower_callback_payload p ON p.seq = r.seq
    WHERE ?1 AND r.state = 3 AND r.at IS NOT NULL AND (r.at, r.seq) < (?2, ?3)
    ORDER BY r.at DESC, r.seq DESC LIMIT ?4"
);

const DONE_ONES: &str = summary_of_seen!(
    "FROM (SELECT * FROM tower_callback_seen INDEXED BY tower_callback_seen_at
        WHERE ?1 AND (at, k) < (?2, ?3) ORDER BY at DESC, k DESC LIMIT ?4) s
    LEFT JOIN tower_callback_record r ON r.seq = s.seq AND r.k = s.k AND r.state = 4
    LEFT JOIN tower_callback_payload p ON p.seq = r.seq
    ORDER BY s.at DESC, s.k DESC"
);

/// The parts of a list, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Alive,
    Quarantine,
    Dead,
    Done,
}

/// Behind which row of a part a page goes on.
#[derive(Clone)]
struct Place {
    part: Part,
    time: i64,
    tie: Tie,
}

#[derive(Clone)]
enum Tie {
    Seq(i64),
    Key(Vec<u8>),
}

impl Part {
    const ALL: [Self; 4] = [Self::Alive, Self::Quarantine, Self::Dead, Self::Done];

    fn sql(self) -> &'static str {
        match self {
            Self::Alive => ALIVE,
            Self::Quarantine => IN_QUARANTINE,
            Self::Dead => DEAD_ONES,
            Self::Done => DONE_ONES,
        }
    }

    /// Whether there can be what is asked for.
    fn is_asked_for(self, kind: QueueKind, state: Option<State>) -> bool {
        let quarantine = kind == QueueKind::Quarantine;
        match self {
            Self::Alive => {
                !quarantine && matches!(state, None | Some(State::Pending | State::Leased))
            }
            Self::Quarantine => quarantine && matches!(state, None | Some(State::Pending)),
            Self::Dead => !quarantine && matches!(state, None | Some(State::Dead)),
            Self::Done => !quarantine && matches!(state, None | Some(State::Done)),
        }
    }

    fn begin(self) -> Place {
        let (time, tie) = match self {
            Self::Alive | Self::Quarantine => (i64::MIN, Tie::Seq(i64::MIN)),
            Self::Dead => (i64::MAX, Tie::Seq(i64::MAX)),
            // Beyond any hash of 16 bytes.
            Self::Done => (i64::MAX, Tie::Key(vec![0xff; 17])),
        };
        Place {
            part: self,
            time,
            tie,
        }
    }
}

pub(super) async fn list(
    shared: &Shared,
    queue: &Queue,
    listing: &Listing,
) -> Result<Page, StoreError> {
    let after = listing.after.as_ref().map(Place::read).transpose()?;
    let mut held = shared.connections.reader().await?;
    let page = run(held.conn(), queue, listing, after, shared.clock.now()).await;
    shared.connections.finish(held, page.map_err(store_error))
}

async fn run(
    conn: &mut SqliteConnection,
    queue: &Queue,
    listing: &Listing,
    after: Option<Place>,
    now: i64,
) -> Result<Page, sqlx::Error> {
    let number = query("SELECT id FROM tower_callback_queue WHERE endpoint = ?1 AND kind = ?2")
        .bind(queue.endpoint())
        .bind(queue.kind().as_str())
        .fetch_optional(&mut *conn)
        .await?;
    let Some(number) = number else {
        return Ok(Page::default());
    };
    let number: i64 = number.try_get(0)?;
    let begun = after.as_ref().map(|place| place.part);
    let mut after = after;
    let mut records = Vec::new();
    let mut chunks = 0;
    for part in Part::ALL {
        if !part.is_asked_for(queue.kind(), listing.state) || begun.is_some_and(|at| part < at) {
            continue;
        }
        let mut place = match after.take() {
            Some(place) if place.part == part => place,
            _ => part.begin(),
        };
        loop {
            // Where every row is one that is asked for, no more are read than the page has room for.
            let most = match (part, listing.state) {
                (Part::Alive, None) => listing.limit() - records.len(),
                _ => CHUNK,
            };
            let rows = place.fetch(conn, number, most).await?;
            for row in &rows {
                place = Place::of(part, row)?;
                let state: i64 = row.try_get(1)?;
                if row.try_get::<i64, _>(0)? != number || state == DISOWNED {
                    continue;
                }
                let summary = read_summary(row, now)?;
                if listing.state.is_none_or(|state| state == summary.state) {
                    records.push(summary);
                }
                if records.len() == listing.limit() {
                    return Ok(Page::new(records, Some(place.cursor())));
                }
            }
            if rows.len() < most {
                break;
            }
            chunks += 1;
            if chunks == CHUNKS {
                return Ok(Page::new(records, Some(place.cursor())));
            }
        }
    }
    Ok(Page::new(records, None))
}

impl Place {
    async fn fetch(
        &self,
        conn: &mut SqliteConnection,
        queue: i64,
        most: usize,
    ) -> Result<Vec<SqliteRow>, sqlx::Error> {
        let query = query(self.part.sql()).bind(queue).bind(self.time);
        let query = match &self.tie {
            Tie::Seq(seq) => query.bind(*seq),
            Tie::Key(k) => query.bind(k.clone()),
        };
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        query.bind(most).fetch_all(conn).await
    }

    fn of(part: Part, row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let tie = match part {
            Part::Done => Tie::Key(row.try_get(14)?),
            _ => Tie::Seq(row.try_get(13)?),
        };
        let time = match part {
            Part::Alive => row.try_get(8)?,
            _ => row.try_get(9)?,
        };
        Ok(Self { part, time, tie })
    }

    fn cursor(&self) -> Cursor {
        let mut bytes = vec![self.part as u8];
        bytes.extend(self.time.to_be_bytes());
        match &self.tie {
            Tie::Seq(seq) => bytes.extend(seq.to_be_bytes()),
            Tie::Key(k) => bytes.extend(k),
        }
        Cursor::from_bytes(bytes)
    }

    fn read(cursor: &Cursor) -> Result<Self, StoreError> {
        Self::from_bytes(cursor.as_bytes())
            .ok_or_else(|| StoreError::rejected("the cursor is none of this store's"))
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&part, rest) = bytes.split_first()?;
        let part = *Part::ALL.get(usize::from(part))?;
        let (time, tie) = rest.split_first_chunk()?;
        let tie = match part {
            Part::Done => Tie::Key(<[u8; 16]>::try_from(tie).ok()?.to_vec()),
            _ => Tie::Seq(i64::from_be_bytes(tie.try_into().ok()?)),
        };
        Some(Self {
            part,
            time: i64::from_be_bytes(*time),
            tie,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place_and_nothing_else_does() {
        for part in Part::ALL {
            let tie = match part {
                Part::Done => Tie::Key(vec![0xab; 16]),
                _ => Tie::Seq(-7),
            };
            let time = 1_735_661_400_000;
            let cursor = Place { part, time, tie }.cursor();
            let read = Place::read(&cursor).unwrap();
            assert!(read.part == part && read.time == time);
            assert_eq!(read.cursor(), cursor);
            let bytes = cursor.as_bytes();
            let longer = [bytes, b"!"].concat();
            for wrong in [
                &bytes[1..],
                &bytes[..bytes.len() - 1],
                &longer,
                b"",
                b"\x09",
            ] {
                let cursor = Cursor::from_bytes(wrong.to_vec());
                assert!(Place::read(&cursor).is_err(), "{part:?} {cursor}");
            }
        }
    }
}
