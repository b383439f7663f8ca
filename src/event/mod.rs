//! What a callback says: [`Event`], the view it is read from, and the key that says which callbacks
//! are the same event.
//!
//! This room is pure and synchronous, and knows nothing of stores or sockets. An event of your own
//! is a serde type and two lines:
//!
//! ```
//! use serde::Deserialize;
//! use tower_callback::{Callback, Event, EventKey, event::{InvalidKey, ParseError}};
//!
//! #[derive(Deserialize)]
//! struct OrderPaid {
//!     order_id: String,
//!     cents: u64,
//! }
//!
//! impl Event for OrderPaid {
//!     fn parse(callback: &Callback<'_>) -> Result<Self, ParseError> {
//!         callback.json()
//!     }
//!     fn key(&self) -> Result<EventKey, InvalidKey> {
//!         EventKey::new(&self.order_id)
//!     }
//! }
//! ```

mod callback;
mod identity;
pub(crate) mod json;
mod key;
mod meta;
mod parse_error;
mod trace_context;

pub use self::{
    callback::Callback,
    identity::Identity,
    key::{EventKey, InvalidKey, Rank},
    meta::Source,
    parse_error::{ParseError, ParseErrorKind},
    trace_context::{InvalidTraceContext, TraceContext},
};
pub(crate) use self::{
    callback::listed_headers,
    meta::{Meta, millis, stored_precision},
};

/// One kind of event, as it arrives at an endpoint.
///
/// # Contract
///
/// - [`parse`](Self::parse) and [`key`](Self::key) are functions of the callback alone: the front
///   reads an event before it answers, the worker reads it again before it handles it, maybe after
///   a restart with newer code.
/// - Two callbacks with equal keys are the same event. The one with the higher
///   [rank](EventKey::with_rank) wins, and the first one among equals.
/// - A panic in here is answered with 503 at the front, and is a failed attempt at the worker.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no `Event`: callbacks cannot be read as it",
    label = "implement `Event` for it",
    note = "`parse` and `key` make an event of a serde type, in two lines: `callback.json()` and `EventKey::new(..)`; `MusicVideo` is one"
)]
pub trait Event: Sized + Send + 'static {
    /// The request headers that [`parse`](Self::parse) may look at, in lower case, such as
    /// `&["webhook-id"]`. They are kept with the record; no other header is.
    ///
    /// Together they may take 8 KiB as they are stored; a request that has more is answered with 413.
    /// Do not list a header that carries a secret.
    const HEADERS: &'static [&'static str] = &[];

    /// Reads the event from a callback.
    ///
    /// # Errors
    ///
    /// [`ParseErrorKind::Syntax`] is answered with 400, [`ParseErrorKind::Unprocessable`] with 422.
    /// In both cases the callback is kept in quarantine.
    fn parse(callback: &Callback<'_>) -> Result<Self, ParseError>;

    /// Which callbacks are the same event, and which of them wins.
    ///
    /// # Errors
    ///
    /// [`EventKey::new`] says what a key may be. A bad key is answered with 422, and the callback is
    /// kept in quarantine.
    fn key(&self) -> Result<EventKey, InvalidKey>;

    /// The id that a proof may have signed.
    ///
    /// # Security
    ///
    /// Where the [proof](crate::verify) signs an id, an event whose subject is another one, or
    /// that has none, is refused: whoever captured the proof of one task must not pass off another.
    fn subject(&self) -> Option<&str> {
        None
    }

    /// The key and the subject of a callback's event: all that a front needs whose events go into a store.
    ///
    /// An event whose identity can be had for less than the whole of it may say how. By default it is read
    /// with [`parse`](Self::parse).
    ///
    /// # Contract
    ///
    /// It says of every callback what `parse`, [`key`](Self::key) and [`subject`](Self::subject) say, and
    /// fails where `parse` fails.
    ///
    /// # Errors
    ///
    /// Those of `parse`.
    fn identify<'a>(callback: &Callback<'a>) -> Result<Identity<'a>, ParseError> {
        let event = Self::parse(callback)?;
        let subject = event.subject().map(str::to_owned);
        Ok(Identity::new(event.key()).with_subject(subject))
    }
}
