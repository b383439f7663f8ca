//! A list that is replaced while it is read, and what is asked of whatever replaces it.

use std::sync::{Arc, PoisonError};

// Of the standard library, or of a test that tries every schedule.
use super::sync::{Mutex, RwLock};

/// What is asked of a list; the error says what is wrong with it.
pub(in crate::verify) type Rule<T> = fn(&[T]) -> Result<(), String>;

pub(super) struct Current<T> {
    /// Read once for each request and held for the clone of an `Arc`, which is why a lock of the
    /// standard library is enough.
    list: RwLock<Arc<[T]>>,
    /// By the name of the setting that asks.
    rules: Mutex<Vec<(&'static str, Rule<T>)>>,
}

impl<T> Current<T> {
    pub(super) fn new(list: Arc<[T]>) -> Self {
        Self {
            list: RwLock::new(list),
            rules: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn get(&self) -> Arc<[T]> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&list)
    }

    /// Puts another list in place of this one, if it keeps `always` and every rule.
    pub(super) fn replace(&self, others: Arc<[T]>, always: Rule<T>) -> Result<(), String> {
        // Held until the new list is in place, so that no rule comes in between.
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        always(&others)?;
        rules.iter().try_for_each(|(_, rule)| rule(&others))?;
        *self.list.write().unwrap_or_else(PoisonError::into_inner) = others;
        Ok(())
    }

    /// Holds the list against `always` and the rule now, and whatever replaces it against the rule.
    pub(super) fn require(
        &self,
        setting: &'static str,
        rule: Rule<T>,
        always: Rule<T>,
    ) -> Result<(), String> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let list = self.get();
        always(&list)?;
        rule(&list)?;
        if rules.iter().all(|(known, _)| *known != setting) {
            rules.push((setting, rule));
        }
        Ok(())
    }
}
