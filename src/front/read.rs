//! Reading an event, before anything is stored.

use crate::event::{Callback, Event, EventKey, InvalidKey, ParseError};

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
    let key = held_against(signed, event.subject(), || event.key())?;
    Ok((event, key))
}

/// The same, for a front that only needs the key: a function pointer hides the event's type.
pub(crate) fn read_key<E: Event>(
    callback: &Callback<'_>,
    signed: Option<&str>,
) -> Result<EventKey, Unreadable> {
    let identity = E::identify(callback).map_err(Unreadable::Parse)?;
    let (key, subject) = identity.into_parts();
    held_against(signed, subject.as_deref(), || key)
}

/// The key of an event, if it has the subject that was signed.
fn held_against(
    signed: Option<&str>,
    subject: Option<&str>,
    key: impl FnOnce() -> Result<EventKey, InvalidKey>,
) -> Result<EventKey, Unreadable> {
    if signed.is_some() && signed != subject {
        return Err(Unreadable::Subject);
    }
    key().map_err(|invalid| Unreadable::Parse(invalid.into()))
}
