//! Settling.

use super::{
    Shared,
    layout::{self, damaged},
    scripts::{Arg, SETTLE},
};
use crate::store::{Action, Settled, Settlement, StoreError};

/// The most that one script settles: the server does nothing else meanwhile.
const MAX_SETTLEMENTS: usize = 1000;
/// A settlement without its text, in bytes.
const PACKED: usize = 23;
/// The longest error that is kept, in bytes.
const MAX_ERROR: usize = 4096;

pub(super) async fn settle(
    shared: &Shared,
    settlements: &[Settlement],
) -> Result<Vec<Settled>, StoreError> {
    let mut settled = Vec::with_capacity(settlements.len());
    for chunk in settlements.chunks(MAX_SETTLEMENTS) {
        settled.extend(settle_chunk(shared, chunk).await?);
    }
    Ok(settled)
}

async fn settle_chunk(
    shared: &Shared,
    settlements: &[Settlement],
) -> Result<Vec<Settled>, StoreError> {
    let mut packed = Vec::with_capacity(settlements.len() * PACKED);
    let mut texts = Vec::new();
    for settlement in settlements {
        let (fixed, text) = pack(settlement);
        packed.extend_from_slice(&fixed);
        texts.extend(text.map(Arg::Bytes));
    }
    let mut args = vec![Arg::Bytes(&packed)];
    args.extend(texts);
    let answer = shared.rest.run(&shared.servers, &SETTLE, &args).await;
    let answer: Vec<u8> = redis::from_redis_value(answer.map_err(StoreError::from)?)
        .map_err(StoreError::unavailable)?;
    if answer.len() != settlements.len() {
        return Err(damaged());
    }
    let settled = |code| match code {
        b'A' => Settled::Applied,
        _ => Settled::Stale,
    };
    Ok(answer.into_iter().map(settled).collect())
}

/// Token, action, duration; and the text that says why, if there is to be one.
fn pack(settlement: &Settlement) -> ([u8; PACKED], Option<&[u8]>) {
    let (action, duration, text) = match &settlement.action {
        Action::Done => (b'D', None, None),
        Action::RetryIn { after, error } => (b'R', Some(*after), Some(error.as_str())),
        Action::Release { after } => (b'B', Some(*after), None),
        Action::Dead { reason } => (b'X', None, Some(reason.as_str())),
        Action::Disown => (b'O', None, None),
        Action::Extend { ttl } => (b'E', Some(*ttl), None),
    };
    let mut fixed = [0; PACKED];
    fixed[..16].copy_from_slice(&settlement.lease.token.to_bytes());
    fixed[16] = action;
    fixed[17..].copy_from_slice(&layout::six(duration.map_or(0, layout::millis)));
    let text = text.map(|text| &text.as_bytes()[..text.floor_char_boundary(MAX_ERROR)]);
    (fixed, text)
}
