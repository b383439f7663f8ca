//! Why a command ends with another code than 0.

use std::{error::Error, io, process::ExitCode};

use crate::text::chain;

pub(crate) type Result<T = ()> = std::result::Result<T, Stop>;

/// The end of a command that did not go well. The codes stand in the help.
#[derive(Debug)]
pub(crate) struct Stop {
    code: u8,
    message: Option<String>,
}

impl Stop {
    fn new(code: u8, message: impl Into<String>) -> Self {
        Self {
            code,
            message: Some(message.into()),
        }
    }

    /// What was asked for is not so, and the output has said it.
    pub(crate) fn told() -> Self {
        Self {
            code: 1,
            message: None,
        }
    }

    pub(crate) fn not_so(message: impl Into<String>) -> Self {
        Self::new(1, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(2, message)
    }

    pub(crate) fn unavailable(what: &str, error: &(dyn Error + 'static)) -> Self {
        Self::new(3, format!("{what}: {}", chain(error)))
    }

    pub(crate) fn unconfirmed(message: impl Into<String>) -> Self {
        Self::new(4, message)
    }

    pub(crate) fn tell(self) -> ExitCode {
        if let Some(message) = self.message {
            anstream::eprintln!("\x1b[1;31merror:\x1b[0m {message}");
        }
        ExitCode::from(self.code)
    }
}

/// Of what is printed: whoever reads it may have read enough.
impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self {
                code: 3,
                message: None,
            };
        }
        Self::unavailable("the output", &error)
    }
}
