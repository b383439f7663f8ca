//! Where the records of given ids are. Ids are no key of anything: operators ask for them, and what
//! they ask for most is in an index.

use std::collections::HashMap;

use sqlx::{Row, SqliteConnection, query};

use super::rows::{self, KeyHash};
use crate::store::{Queue, RecordId};

/// The row of a record, where it has one, and its key's hash, by which it is remembered.
pub(super) struct Found {
    pub(super) seq: Option<i64>,
    pub(super) k: KeyHash,
}

/// Packed ids (`?1`, `?2` of them).
macro_rules! with_ids {
    ($($rest:tt)*) => {
        concat!(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2),
            wanted(id) AS (SELECT substr(?1, i * 16 + 1, 16) FROM n) ",
            $($rest)*
        )
    };
}

/// From the cheapest to the dearest.
const PLACES: [&str; 3] = [
    with_ids!(
        "SELECT r.id, r.seq, r.k
        FROM wanted w CROSS JOIN tower_callback_record r INDEXED BY tower_callback_id
            ON r.id = w.id AND r.state IN (2, 3)
        WHERE +r.queue = ?3"
    ),
    with_ids!(
        "SELECT id, seq, k FROM tower_callback_record
        WHERE +queue = ?3 AND +state IN (0, 1) AND id IN (SELECT id FROM wanted)"
    ),
    with_ids!(
        "SELECT s.id, r.seq, s.k FROM tower_callback_seen s
        LEFT JOIN tower_callback_record r ON r.seq = s.seq AND r.k = s.k AND r.state = 4
        WHERE +s.queue = ?3 AND s.state = 4 AND s.id IN (SELECT id FROM wanted)"
    ),
];

/// The queue's number, and what there is of these ids in it; `None` where there is no such queue.
pub(super) async fn locate(
    conn: &mut SqliteConnection,
    queue: &Queue,
    ids: &[RecordId],
) -> Result<Option<(i64, HashMap<RecordId, Found>)>, sqlx::Error> {
    let number = query("SELECT id FROM tower_callback_queue WHERE endpoint = ?1 AND kind = ?2")
        .bind(queue.endpoint())
        .bind(queue.kind().as_str())
        .fetch_optional(&mut *conn)
        .await?;
    let Some(number) = number else {
        return Ok(None);
    };
    let number: i64 = number.try_get(0)?;
    let mut found = HashMap::with_capacity(ids.len());
    let mut missing = ids.to_vec();
    for place in PLACES {
        if missing.is_empty() {
            break;
        }
        let packed: Vec<u8> = missing.iter().flat_map(|id| id.to_bytes()).collect();
        let rows = query(place)
            .bind(packed)
            .bind(i64::try_from(missing.len()).unwrap_or(i64::MAX))
            .bind(number)
            .fetch_all(&mut *conn)
            .await?;
        for row in rows {
            let k: &[u8] = row.try_get(2)?;
            let k: KeyHash = k.try_into().map_err(rows::damaged)?;
            let seq = row.try_get(1)?;
            found.insert(rows::id(row.try_get(0)?)?, Found { seq, k });
        }
        missing.retain(|id| !found.contains_key(id));
    }
    Ok(Some((number, found)))
}
