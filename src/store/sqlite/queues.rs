//! The queues of a database: their numbers, how many live records they have, and the latest time
//! that was written.

use sqlx::{Row, SqliteConnection, query, sqlite::SqliteRow};

use super::{rows::json_pairs, schema};
use crate::store::{Queue, QueueKind};

/// Reads every queue and the tables' version; to be told from other rows of the same round trip by
/// their first column.
macro_rules! select_queues {
    () => {
        "SELECT -3, max(version) FROM tower_callback_schema;
        SELECT -1, id, endpoint, kind, live, clock FROM tower_callback_queue;"
    };
}
pub(super) use select_queues;

/// Writes the time and the [changes](Queues::changes), and commits: for the end of a statement, by the
/// names of its parameters. Counters are kept by whoever writes: counting a backlog takes as long as the
/// backlog is.
macro_rules! commit {
    ($now:literal, $changes:literal) => {
        concat!(
            "UPDATE tower_callback_queue AS q SET
                clock = max(clock, ",
            $now,
            "), live = live + (j.value ->> 1)
            FROM json_each(",
            $changes,
            ") j WHERE q.id = (j.value ->> 0);
            COMMIT"
        )
    };
}
pub(super) use commit;

/// The queues as they were read in a transaction, and how they change in it.
#[derive(Default)]
pub(super) struct Queues(Vec<Known>);

struct Known {
    number: i64,
    endpoint: String,
    kind: String,
    live: i64,
    clock: i64,
    change: i64,
}

impl Queues {
    /// Takes in a row of `select_queues`.
    pub(super) fn read(&mut self, row: &SqliteRow) -> Result<(), sqlx::Error> {
        if row.try_get::<i64, _>(0)? == -3 {
            return schema::check(row.try_get(1)?);
        }
        self.0.push(Known {
            number: row.try_get(1)?,
            endpoint: row.try_get(2)?,
            kind: row.try_get(3)?,
            live: row.try_get(4)?,
            clock: row.try_get(5)?,
            change: 0,
        });
        Ok(())
    }

    /// The latest time that was written.
    pub(super) fn clock(&self) -> i64 {
        self.0.iter().map(|queue| queue.clock).max().unwrap_or(0)
    }

    /// How many records are pending or leased, with or without quarantine.
    pub(super) fn live(&self, with_quarantine: bool) -> u64 {
        let quarantine = QueueKind::Quarantine.as_str();
        self.0
            .iter()
            .filter(|queue| with_quarantine || queue.kind != quarantine)
            .map(|queue| u64::try_from(queue.live).unwrap_or(0))
            .sum()
    }

    /// The number of a queue, which is made if it is new.
    pub(super) async fn number(
        &mut self,
        conn: &mut SqliteConnection,
        queue: &Queue,
    ) -> Result<i64, sqlx::Error> {
        let kind = queue.kind().as_str();
        let known = self
            .0
            .iter()
            .find(|known| known.endpoint == queue.endpoint() && known.kind == kind);
        if let Some(known) = known {
            return Ok(known.number);
        }
        let number =
            query("INSERT INTO tower_callback_queue (endpoint, kind) VALUES (?, ?) RETURNING id")
                .bind(queue.endpoint())
                .bind(kind)
                .fetch_one(conn)
                .await?
                .try_get(0)?;
        self.0.push(Known {
            number,
            endpoint: queue.endpoint().to_owned(),
            kind: kind.to_owned(),
            live: 0,
            clock: 0,
            change: 0,
        });
        Ok(number)
    }

    /// Notes that a queue has more live records, or fewer.
    pub(super) fn change(&mut self, number: i64, by: i64) {
        match self.0.iter_mut().find(|queue| queue.number == number) {
            Some(queue) => queue.change += by,
            // Nobody read the queues: only the change is needed.
            None => self.0.push(Known {
                number,
                endpoint: String::new(),
                kind: String::new(),
                live: 0,
                clock: 0,
                change: by,
            }),
        }
    }

    /// The quarantines that hold more than `most`, by number, name and excess.
    pub(super) fn overfull(&self, most: u64) -> Vec<(i64, Queue, i64)> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.0
            .iter()
            .filter(|queue| queue.kind == QueueKind::Quarantine.as_str())
            .filter(|queue| queue.change > 0 && queue.live + queue.change > most)
            .map(|queue| {
                let name = Queue::quarantine(queue.endpoint.as_str());
                (queue.number, name, queue.live + queue.change - most)
            })
            .collect()
    }

    /// How the numbers of live records have changed.
    pub(super) fn changes(&self) -> String {
        let changed = self.0.iter().filter(|queue| queue.change != 0);
        json_pairs(changed.map(|queue| (queue.number, queue.change)))
    }

    /// Writes the changes and the time, and commits.
    pub(super) async fn commit(
        &self,
        conn: &mut SqliteConnection,
        now: i64,
    ) -> Result<(), sqlx::Error> {
        let statement = query(commit!("?1", "?2")).bind(now).bind(self.changes());
        statement.execute(conn).await?;
        Ok(())
    }
}
