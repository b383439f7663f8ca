//! The error of the builders.

use std::{error::Error as StdError, fmt};

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
