//! The error of the builders, and how errors are told.

use std::{
    error::Error as StdError,
    fmt::{self, Write as _},
};

/// Why an endpoint cannot be built: which setting is wrong, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    setting: &'static str,
    problem: String,
}

impl BuildError {
    /// An error about a setting, by the name of the method that sets it. Say what is wrong and what
    /// to do instead; never a secret.
    pub fn new(setting: &'static str, problem: impl Into<String>) -> Self {
        Self {
            setting,
            problem: problem.into(),
        }
    }

    /// The same problem, with a setting that is set by another method.
    #[cfg(feature = "client")]
    pub(crate) fn of(self, setting: &'static str) -> Self {
        Self { setting, ..self }
    }

    /// The setting, by the name of the method that sets it.
    pub fn setting(&self) -> &'static str {
        self.setting
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.setting, self.problem)
    }
}

impl StdError for BuildError {}

/// The texts of an error and its sources, bounded.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = Bounded::default();
    let mut next = Some(error);
    while let Some(error) = next {
        let mut part = Bounded::default();
        // Fails only when it is full.
        let _ = write!(part, "{error}");
        // Many errors repeat their source in their own text.
        if !text.0.ends_with(&part.0) {
            let separator = if text.0.is_empty() { "" } else { ": " };
            if write!(text, "{separator}{}", part.0).is_err() {
                break;
            }
        }
        next = error.source();
    }
    text.0
}

/// The most bytes of an error's text that are kept with a record.
pub(crate) const MAX_TEXT: usize = 4 * 1024;

/// A text that is cut at [`MAX_TEXT`], so that an error which prints a whole body costs no more than that.
#[derive(Default)]
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = MAX_TEXT - self.0.len();
        let cut = part.floor_char_boundary(room);
        self.0.push_str(&part[..cut]);
        if cut < part.len() {
            return Err(fmt::Error);
        }
        Ok(())
    }
}

/// Cuts a text as every kept text is cut.
pub(crate) fn bounded(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    text
}
