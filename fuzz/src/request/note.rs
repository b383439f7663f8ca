//! An event of a user's own: its id stands in a header, and its reading can panic.

use tower_callback::{
    Callback, Event, EventKey,
    event::{InvalidKey, ParseError},
};

pub(super) struct Note {
    id: String,
}

impl Event for Note {
    const HEADERS: &'static [&'static str] = &["x-id"];

    fn parse(callback: &Callback<'_>) -> Result<Self, ParseError> {
        match callback.body() {
            b"panic" => panic!("the event was told to panic"),
            b"" => return Err(ParseError::syntax("an empty note")),
            _ => {}
        }
        assert_eq!(
            callback.headers().keys_len(),
            usize::from(callback.headers().contains_key("x-id"))
        );
        let id = callback
            .headers()
            .get("x-id")
            .and_then(|id| id.to_str().ok());
        let id = id.ok_or_else(|| ParseError::unprocessable("no id"))?;
        Ok(Self { id: id.to_owned() })
    }

    fn key(&self) -> Result<EventKey, InvalidKey> {
        EventKey::new(&self.id)
    }

    fn subject(&self) -> Option<&str> {
        Some(&self.id)
    }
}
