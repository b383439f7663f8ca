//! Where a proven callback goes.

use std::{pin::Pin, sync::Arc};

use tokio::sync::Notify;

use super::Unreadable;
use crate::{
    event::{Callback, EventKey},
    store::Committer,
};

pub(crate) enum Sink {
    /// Into the store, and from there to the worker, which is woken.
    Store {
        read: fn(&Callback<'_>, Option<&str>) -> Result<EventKey, Unreadable>,
        committer: Committer,
        wake: Arc<Notify>,
        /// A callback is no event yet, but a hint: a record among the tracked tasks, whose key is
        /// this and the event's.
        hint: Option<&'static str>,
    },
    /// To the user's function, in the request's future.
    Accept(Accepting),
}

/// Reads an event and starts the user's function on it. An error's text is traced.
pub(crate) type Accepting = Box<
    dyn Fn(
            &Callback<'_>,
            Option<&str>,
        ) -> Result<Pin<Box<dyn Future<Output = Result<(), String>> + Send>>, Unreadable>
        + Send
        + Sync,
>;
