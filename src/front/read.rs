//! Reading an event, before anything is stored.

use crate::event::{Callback, Event, EventKey, ParseError};

/// Why a proven caller's callback does not become a record.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// It is no event.
    Parse(ParseError),
    /// It is about another subject than the one that was signed.
    Subject,
}

/// Reads the event and its key, and holds its subject against the one that was signed.
pub(crate) fn read<E: Event>(
    callback: &Callback<'_>,
    signed: Option<&str>,
) -> Result<(E, EventKey), Unreadable> {
    let event = E::parse(callback).map_err(Unreadable::Parse)?;
    if signed.is_some() && signed != event.subject() {
        return Err(Unreadable::Subject);
    }
    let key = event
        .key()
        .map_err(|invalid| Unreadable::Parse(invalid.into()))?;
    Ok((event, key))
}

/// The same, for a front that only needs the key: a function pointer hides the event's type.
pub(crate) fn read_key<E: Event>(
    callback: &Callback<'_>,
    signed: Option<&str>,
) -> Result<EventKey, Unreadable> {
    read::<E>(callback, signed).map(|(_, key)| key)
}
