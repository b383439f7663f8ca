//! Settling.

use std::{collections::HashMap, time::Duration};

use sqlx::{Row, query};

use super::{Shared, db_error::store_error, rows};
use crate::store::{Action, LeaseToken, Settled, Settlement, StoreError};

/// What the server is told of one lease: the first settlement that ends it, or the last extension.
struct Order {
    seq: i64,
    random: i64,
    action: i16,
    wait: i64,
    error: Option<String>,
}

const EXTEND: i16 = 5;

impl Order {
    fn new(token: LeaseToken, action: &Action) -> Self {
        let (code, wait, error) = match action {
            Action::Done => (1, Duration::ZERO, None),
            Action::Dead { reason } => (2, Duration::ZERO, Some(reason)),
            Action::Disown => (3, Duration::ZERO, None),
            Action::RetryIn { after, error } => (4, *after, Some(error)),
            Action::Extend { ttl } => (EXTEND, *ttl, None),
            Action::Release { after } => (6, *after, None),
        };
        let (seq, random) = rows::halves(token);
        Self {
            seq,
            random,
            action: code,
            wait: rows::millis(wait),
            error: error.map(|error| rows::text(error)),
        }
    }
}

/// What the server answers for one lease.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Lost,
    Applied,
    /// Under this token, by an earlier call.
    Before,
    Held,
}

pub(super) async fn settle(
    shared: &Shared,
    settlements: &[Settlement],
) -> Result<Vec<Settled>, StoreError> {
    if settlements.is_empty() {
        return Ok(Vec::new());
    }
    let mut orders: HashMap<LeaseToken, Order> = HashMap::with_capacity(settlements.len());
    for Settlement { lease, action } in settlements {
        let ended = orders
            .get(&lease.token)
            .is_some_and(|order| order.action != EXTEND);
        if !ended {
            orders.insert(lease.token, Order::new(lease.token, action));
        }
    }
    // Rows are waited for in this order.
    let mut orders: Vec<Order> = orders.into_values().collect();
    orders.sort_by_key(|order| (order.seq, order.random));

    let told = shared
        .calls
        .rows(
            query(shared.statements.settle.sql())
                .bind(orders.iter().map(|order| order.seq).collect::<Vec<_>>())
                .bind(orders.iter().map(|order| order.random).collect::<Vec<_>>())
                .bind(orders.iter().map(|order| order.action).collect::<Vec<_>>())
                .bind(orders.iter().map(|order| order.wait).collect::<Vec<_>>())
                .bind(
                    orders
                        .iter()
                        .map(|order| order.error.as_deref())
                        .collect::<Vec<_>>(),
                )
                .bind(shared.guard.standby)
                .bind(shared.guard.unsafe_fsync)
                .bind(shared.guard.patience),
        )
        .await?;
    let mut answers: HashMap<LeaseToken, Answer> = HashMap::with_capacity(told.len());
    for row in &told {
        let place: i64 = row.try_get(0).map_err(store_error)?;
        let code: i16 = row.try_get(1).map_err(store_error)?;
        let order = usize::try_from(place - 1)
            .ok()
            .and_then(|place| orders.get(place));
        let Some(order) = order else { continue };
        let answer = match code {
            1 => Answer::Applied,
            2 => Answer::Before,
            _ if order.action == EXTEND => Answer::Held,
            // It waits for whoever holds a row, so nobody does.
            _ => return Err(StoreError::unavailable("a settlement was passed over")),
        };
        answers.insert(rows::token(order.seq, order.random), answer);
    }
    Ok(tell(settlements, &answers))
}

/// The answer to each settlement, as if they had come one after the other.
fn tell(settlements: &[Settlement], answers: &HashMap<LeaseToken, Answer>) -> Vec<Settled> {
    let mut ended: HashMap<LeaseToken, bool> = HashMap::new();
    settlements
        .iter()
        .map(|Settlement { lease, action }| {
            let answer = answers.get(&lease.token).copied().unwrap_or(Answer::Lost);
            let extends = matches!(action, Action::Extend { .. });
            let ended = ended.entry(lease.token).or_insert(answer == Answer::Before);
            match answer {
                Answer::Lost => Settled::Stale,
                Answer::Held => Settled::Busy,
                // The lease has ended: there is nothing to extend.
                Answer::Applied | Answer::Before if extends && *ended => Settled::Stale,
                Answer::Applied | Answer::Before => {
                    *ended |= !extends;
                    Settled::Applied
                }
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Lease, Queue, RecordId};

    #[test]
    fn settlements_of_one_lease_are_answered_as_if_one_came_after_the_other() {
        let lease = Lease::new(Queue::events("a"), RecordId::random(), LeaseToken::random());
        let ttl = Duration::ZERO;
        let all = [
            Action::Extend { ttl },
            Action::Done,
            Action::Extend { ttl },
            Action::Done,
        ];
        let all = all.map(|action| Settlement::new(lease.clone(), action));
        let told = |answer| tell(&all, &HashMap::from([(lease.token, answer)]));
        use Settled::{Applied, Busy, Stale};
        assert_eq!(told(Answer::Applied), [Applied, Applied, Stale, Applied]);
        assert_eq!(told(Answer::Before), [Stale, Applied, Stale, Applied]);
        assert_eq!(told(Answer::Lost), [Stale; 4]);
        assert_eq!(told(Answer::Held), [Busy; 4]);
    }
}
