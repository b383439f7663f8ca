//! Values of the command line that may be somewhere else.

use std::{convert::Infallible, env, fs, path::PathBuf, str::FromStr};

use zeroize::Zeroizing;

use crate::stop::{Result, Stop};

/// A value, or where it is: `env:NAME`, `file:PATH`.
///
/// It is read only when it is used, and so no message about a command line can repeat it.
#[derive(Clone)]
pub(crate) enum Given {
    Here(String),
    Env(String),
    File(PathBuf),
}

impl FromStr for Given {
    type Err = Infallible;

    fn from_str(text: &str) -> std::result::Result<Self, Infallible> {
        Ok(match text.split_once(':') {
            Some(("env", name)) => Self::Env(name.to_owned()),
            Some(("file", path)) => Self::File(path.into()),
            _ => Self::Here(text.to_owned()),
        })
    }
}

impl Given {
    /// The value, without the line feed at the end of a file.
    pub(crate) fn read(&self) -> Result<Zeroizing<String>> {
        let text = match self {
            Self::Here(text) => text.clone(),
            Self::Env(name) => env::var(name).map_err(|error| {
                // Without the value, where it is not UTF-8.
                let what = match error {
                    env::VarError::NotPresent => "is not set",
                    env::VarError::NotUnicode(_) => "is not UTF-8",
                };
                Stop::usage(format!("the environment variable {name} {what}"))
            })?,
            Self::File(path) => fs::read_to_string(path)
                .map_err(|error| Stop::unavailable(&path.display().to_string(), &error))?,
        };
        let text = Zeroizing::new(text);
        let value = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
        if value.is_empty() {
            return Err(Stop::usage(format!("{} is empty", self.place())));
        }
        Ok(value)
    }

    /// The value of a secret, which is not here.
    pub(crate) fn secret(&self, option: &str) -> Result<Zeroizing<String>> {
        match self {
            Self::Here(_) => Err(Stop::usage(format!(
                "{option} takes no secret, but where it is: env:NAME or file:PATH. Others on this machine \
                 can read the command line"
            ))),
            Self::Env(_) | Self::File(_) => self.read(),
        }
    }

    /// What it is called where it must not be shown.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Here(_) => "a value".to_owned(),
            Self::Env(name) => format!("the environment variable {name}"),
            Self::File(path) => format!("the file {}", path.display()),
        }
    }
}
