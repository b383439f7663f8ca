//! How much happens at once, by key.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// Something shared by all who name the same key at the same time, and forgotten afterwards.
#[derive(Debug)]
pub(super) struct Keyed<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    entries: HashMap<String, Weak<T>>,
    sweep_at: usize,
}

impl<T> Default for Keyed<T> {
    fn default() -> Self {
        Self(Mutex::new(State {
            entries: HashMap::new(),
            sweep_at: 64,
        }))
    }
}

impl<T> Keyed<T> {
    pub(super) fn get(&self, key: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = state.entries.get(key).and_then(Weak::upgrade) {
            return shared;
        }
        let made = Arc::new(make());
        if state.entries.len() >= state.sweep_at {
            state.entries.retain(|_, entry| entry.strong_count() > 0);
            // So that sweeping costs each key a constant.
            state.sweep_at = 64.max(state.entries.len() * 2);
        }
        state.entries.insert(key.to_owned(), Arc::downgrade(&made));
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shared_while_somebody_has_it_and_forgotten_afterwards() {
        let keyed = Keyed::default();
        let first = keyed.get("a", || 1);
        assert!(Arc::ptr_eq(&first, &keyed.get("a", || 2)));
        assert_eq!(*keyed.get("b", || 3), 3);
        drop(first);
        assert_eq!(*keyed.get("a", || 4), 4);
        for key in 0..10_000 {
            keyed.get(&key.to_string(), || key);
        }
        assert!(keyed.0.lock().unwrap().entries.len() <= 64);
    }
}
