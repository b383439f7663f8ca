//! Settling.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{Row, query};

use super::{
    Shared,
    db_error::{is_lock_timeout, store_error},
    rows,
};
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

    fn token(&self) -> LeaseToken {
        rows::token(self.seq, self.random)
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
    let mut orders: Vec<Order> = orders.into_values().collect();
    // Rows are waited for in this order.
    orders.sort_by_key(|order| (order.seq, order.random));
    Ok(tell(settlements, &ask_by_parts(shared, orders).await?))
}

/// Records that somebody else was seen to hold for longer than is waited: they are settled apart from
/// others, which would wait for them each time.
#[derive(Debug, Default)]
pub(super) struct HeldUp(Mutex<HashSet<LeaseToken>>);

impl HeldUp {
    /// So many are remembered, or else none: it only costs time.
    const MOST: usize = 10_000;

    fn lock(&self) -> MutexGuard<'_, HashSet<LeaseToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, token: LeaseToken) {
        let mut tokens = self.lock();
        if tokens.len() >= Self::MOST {
            tokens.clear();
        }
        tokens.insert(token);
    }
}

/// Waits for locks, and where that takes too long, once more by halves: one record that is held by a
/// transaction without an end keeps no other from being settled. It alone is busy.
async fn ask_by_parts(
    shared: &Shared,
    orders: Vec<Order>,
) -> Result<HashMap<LeaseToken, Answer>, StoreError> {
    let patience = shared.guard.patience;
    let (held_up, free): (Vec<_>, Vec<_>) = {
        let tokens = shared.held_up.lock();
        let orders = orders.into_iter();
        orders.partition(|order| tokens.contains(&order.token()))
    };
    let mut parts = vec![(held_up, false), (free, true)];
    let mut answers = HashMap::new();
    let mut in_haste_from: Option<Instant> = None;
    while let Some((mut orders, first)) = parts.pop() {
        if orders.is_empty() {
            continue;
        }
        let in_haste = in_haste_from.is_some_and(|from| Instant::now() >= from);
        // A lock of our own statements' lasts for a moment: what was waited for in vain once is worth
        // little more.
        let wait = match (first, in_haste) {
            (true, _) => patience,
            (false, false) => (patience / 20).max(1),
            (false, true) => patience.min(10),
        };
        match ask(shared, &orders, wait).await {
            Ok(told) => {
                let mut tokens = shared.held_up.lock();
                for order in &orders {
                    tokens.remove(&order.token());
                }
                answers.extend(told);
            }
            Err(error) if is_lock_timeout(&error) => {
                in_haste_from
                    .get_or_insert_with(|| Instant::now() + rows::duration(patience.into()));
                match &orders[..] {
                    [alone] => {
                        shared.held_up.add(alone.token());
                        answers.insert(alone.token(), Answer::Held);
                    }
                    _ => {
                        let half = orders.split_off(orders.len() / 2);
                        parts.extend([(half, false), (orders, false)]);
                    }
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(answers)
}

async fn ask(
    shared: &Shared,
    orders: &[Order],
    wait: i32,
) -> Result<HashMap<LeaseToken, Answer>, StoreError> {
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
                .bind(wait),
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
        answers.insert(order.token(), answer);
    }
    Ok(answers)
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
