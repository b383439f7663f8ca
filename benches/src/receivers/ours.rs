//! Ours.

use tower_callback::{
    BuildError, CallbackService, Callbacks, MemoryStore, MusicVideo, Token, store::Inbox,
};

use crate::payload::SECRET;

pub(crate) const ENDPOINT: &str = "music-video";

/// An endpoint that nothing has been set of.
pub(crate) fn endpoint() -> Callbacks<MusicVideo> {
    Callbacks::new(ENDPOINT, Token::query("token", SECRET))
}

/// A front alone.
pub(crate) fn front(store: impl Inbox) -> Result<CallbackService, BuildError> {
    endpoint().store(store).build_front()
}

/// A memory store with room for everything that a benchmark sends.
pub(crate) fn memory() -> MemoryStore {
    MemoryStore::new().with_capacity(100_000_000)
}
