//! The statements, with the name of the schema in them.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

use super::calls::Sql;
use crate::store::{OpenError, OpenErrorKind};

/// The longest name of the server, less what is put behind it.
const MAX_NAME: usize = 63;

/// The name of a schema that needs no quotes: it stands in the text of statements.
pub(super) fn check_schema(name: &str) -> Result<(), OpenError> {
    let mut bytes = name.bytes();
    let first = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let good = bytes.next().is_some_and(first)
        && bytes.all(|byte| first(byte) || byte.is_ascii_digit())
        && name.len() <= MAX_NAME
        && !name.starts_with("pg_");
    if good {
        return Ok(());
    }
    Err(OpenError::new(
        OpenErrorKind::Invalid,
        "the name of a schema is made of a-z, 0-9 and _, begins with a letter or _ but not with pg_, \
         and has at most 63 bytes",
    ))
}

/// Every statement that a store needs again and again.
#[derive(Debug)]
pub(super) struct Statements {
    pub(super) insert: Text,
    pub(super) confirm: Text,
    pub(super) upgrade: Text,
    pub(super) lease: Text,
    pub(super) settle: Text,
    pub(super) find: Text,
    pub(super) purge: Text,
    pub(super) complete: Text,
    pub(super) counts: Text,
    pub(super) queues: Text,
    pub(super) list_alive: Text,
    pub(super) list_quarantine: Text,
    pub(super) list_settled: Text,
    pub(super) look: Text,
    pub(super) requeue: Text,
    pub(super) delete: Text,
}

/// A statement, as often as it is needed.
#[derive(Debug)]
pub(super) struct Text(Arc<str>);

impl Text {
    fn new(schema: &str, text: &str) -> Self {
        Self(text.replace("SCHEMA", schema).into())
    }

    /// The statement. It is made of this crate's own text and a name that was checked.
    pub(super) fn sql(&self) -> Sql {
        AssertSqlSafe(Arc::clone(&self.0))
    }
}

impl Statements {
    pub(super) fn new(schema: &str) -> Self {
        let text = |text| Text::new(schema, text);
        Self {
            insert: text(
                "SELECT * FROM SCHEMA.insert_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
                 $13, $14, $15, $16, $17)",
            ),
            confirm: text("SELECT SCHEMA.confirm_1($1)"),
            upgrade: text(
                "SELECT * FROM SCHEMA.upgrade_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            ),
            lease: text("SELECT * FROM SCHEMA.lease_1($1, $2, $3, $4, $5, $6, $7, $8, $9)"),
            settle: text("SELECT * FROM SCHEMA.settle_1($1, $2, $3, $4, $5, $6, $7, $8)"),
            find: text("SELECT * FROM SCHEMA.find_1($1)"),
            purge: text("SELECT * FROM SCHEMA.purge_1($1, $2, $3, $4, $5, $6, $7, $8)"),
            complete: text("SELECT SCHEMA.complete_1($1, $2)"),
            counts: text(COUNTS),
            queues: text("SELECT endpoint, kind FROM SCHEMA.queue ORDER BY 1, 2"),
            list_alive: text(LIST_ALIVE),
            list_quarantine: text(LIST_QUARANTINE),
            list_settled: text(LIST_SETTLED),
            look: text(LOOK),
            requeue: text("SELECT * FROM SCHEMA.requeue_1($1, $2, $3, $4, $5, $6)"),
            delete: text("SELECT * FROM SCHEMA.delete_1($1, $2, $3, $4, $5, $6)"),
        }
    }
}

const COUNTS: &str = "
SELECT
    (SELECT count(*) FROM SCHEMA.inbox i WHERE i.queue = q.id),
    (SELECT count(*) FROM SCHEMA.inbox i
        WHERE i.queue = q.id AND i.state = 1 AND i.lease_until > now.ms),
    (SELECT count(*) FROM SCHEMA.settled d WHERE d.queue = q.id AND d.state = 3),
    (SELECT count(*) FROM (SELECT FROM SCHEMA.settled d
        WHERE d.queue = q.id AND d.state = 4 LIMIT $3) d),
    now.ms - least(
        (SELECT min(i.due) FROM SCHEMA.inbox i WHERE i.queue = q.id AND i.due <= now.ms),
        (SELECT min(i.born) FROM SCHEMA.inbox i WHERE i.queue = q.id AND i.due IS NULL))
FROM SCHEMA.queue q, (SELECT SCHEMA.clock_1() AS ms OFFSET 0) now
WHERE q.endpoint = $1 AND q.kind = $2";

/// What a list tells of a record that is alive: `$3` the limit, `$4` and `$5` where the page before
/// ended.
const LIST_ALIVE: &str = "
SELECT i.seq, i.due, i.id, i.rank,
    CASE WHEN i.state = 1 AND i.lease_until > now.ms THEN 1 ELSE 0 END::smallint,
    p.key, i.attempt,
    i.expiries + CASE WHEN i.state = 1 AND i.lease_until <= now.ms AND i.next_due IS NULL
        THEN 1 ELSE 0 END,
    now.ms - i.born, greatest(i.due - now.ms, 0), NULL::bigint, i.error
FROM (SELECT SCHEMA.clock_1() AS ms OFFSET 0) now,
    LATERAL (
        SELECT x.* FROM SCHEMA.inbox x
        WHERE x.queue = (SELECT id FROM SCHEMA.queue WHERE endpoint = $1 AND kind = $2)
            AND x.due IS NOT NULL AND (x.due, x.seq) > ($4, $5)
        ORDER BY x.due, x.seq LIMIT $3
    ) i
LEFT JOIN SCHEMA.payload p ON p.seq = i.seq
ORDER BY i.due, i.seq";

const LIST_QUARANTINE: &str = "
SELECT i.seq, i.born, i.id, i.rank, 0::smallint, p.key, i.attempt, i.expiries,
    now.ms - i.born, NULL::bigint, NULL::bigint, i.error
FROM (SELECT SCHEMA.clock_1() AS ms OFFSET 0) now,
    LATERAL (
        SELECT x.* FROM SCHEMA.inbox x
        WHERE x.queue = (SELECT id FROM SCHEMA.queue WHERE endpoint = $1 AND kind = $2)
            AND x.due IS NULL AND (x.born, x.seq) > ($4, $5)
        ORDER BY x.born, x.seq LIMIT $3
    ) i
LEFT JOIN SCHEMA.payload p ON p.seq = i.seq
ORDER BY i.born, i.seq";

/// What is settled, `$6` the state: with its body or without, the latest first.
const LIST_SETTLED: &str = "
SELECT d.seq, d.at, s.id, s.rank, d.state, p.key,
    CASE WHEN d.kept THEN d.attempt ELSE 0 END, CASE WHEN d.kept THEN d.expiries ELSE 0 END,
    CASE WHEN d.kept THEN now.ms - d.born END, NULL::bigint, now.ms - d.at, d.error
FROM (SELECT SCHEMA.clock_1() AS ms OFFSET 0) now,
    LATERAL (
        (SELECT x.* FROM SCHEMA.settled x
        WHERE x.queue = (SELECT id FROM SCHEMA.queue WHERE endpoint = $1 AND kind = $2)
            AND x.state = $6 AND x.kept AND (x.at, x.seq) < ($4, $5)
        ORDER BY x.at DESC, x.seq DESC LIMIT $3)
        UNION ALL
        (SELECT x.* FROM SCHEMA.settled x
        WHERE x.queue = (SELECT id FROM SCHEMA.queue WHERE endpoint = $1 AND kind = $2)
            AND x.state = $6 AND NOT x.kept AND (x.at, x.seq) < ($4, $5)
        ORDER BY x.at DESC, x.seq DESC LIMIT $3)
        ORDER BY at DESC, seq DESC LIMIT $3
    ) d
JOIN SCHEMA.seen s ON s.k = d.k
LEFT JOIN SCHEMA.payload p ON p.seq = d.seq
ORDER BY d.at DESC, d.seq DESC";

/// One record by its id, with its failures as parallel lists.
const LOOK: &str = "
SELECT s.seq, now.ms, s.id, s.rank,
    CASE WHEN i.state = 1 AND i.lease_until > now.ms THEN 1
        WHEN i.seq IS NOT NULL THEN 0 ELSE coalesce(d.state, 4) END::smallint,
    p.key,
    coalesce(i.attempt, CASE WHEN d.kept THEN d.attempt ELSE 0 END, 0),
    coalesce(i.expiries + CASE WHEN i.state = 1 AND i.lease_until <= now.ms AND i.next_due IS NULL
        THEN 1 ELSE 0 END, CASE WHEN d.kept THEN d.expiries ELSE 0 END, 0),
    now.ms - coalesce(i.born, CASE WHEN d.kept THEN d.born END),
    greatest(i.due - now.ms, CASE WHEN i.due IS NOT NULL THEN 0 END),
    now.ms - d.at, coalesce(i.error, d.error), p.body, p.meta,
    ARRAY(SELECT f.attempt FROM SCHEMA.failed f WHERE f.seq = s.seq
        ORDER BY f.at DESC, f.attempt DESC LIMIT 16),
    ARRAY(SELECT now.ms - f.at FROM SCHEMA.failed f WHERE f.seq = s.seq
        ORDER BY f.at DESC, f.attempt DESC LIMIT 16),
    ARRAY(SELECT f.error FROM SCHEMA.failed f WHERE f.seq = s.seq
        ORDER BY f.at DESC, f.attempt DESC LIMIT 16)
FROM (SELECT SCHEMA.clock_1() AS ms OFFSET 0) now,
    SCHEMA.by_id_1($1, $2, ARRAY[$3::bytea]) s
LEFT JOIN SCHEMA.inbox i ON i.seq = s.seq
LEFT JOIN SCHEMA.settled d ON d.seq = s.seq
LEFT JOIN SCHEMA.payload p ON p.seq = s.seq";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_be_more_than_a_name_is_refused() {
        for name in [
            "",
            "a b",
            "a\"",
            "A",
            "1a",
            "a;",
            "a.b",
            "pg_x",
            "ä",
            &"a".repeat(64),
        ] {
            let error = check_schema(name).unwrap_err();
            assert_eq!(error.kind(), OpenErrorKind::Invalid, "{name}");
        }
        for name in ["tower_callback", "_a1", &"a".repeat(63)] {
            check_schema(name).unwrap();
        }
    }
}
