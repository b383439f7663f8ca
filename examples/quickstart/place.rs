//! Where the database is, and the secret that goes with it.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;
use tower_callback::BoxError;

/// A database for once, removed at the end, or one that stays.
pub(crate) struct Place {
    database: PathBuf,
    temporary: Option<TempDir>,
}

impl Place {
    /// What the command line says.
    pub(crate) fn from_arguments() -> Result<Self, BoxError> {
        let mut place = Self {
            database: "quickstart.db".into(),
            temporary: None,
        };
        for argument in std::env::args().skip(1) {
            if argument == "--once" {
                let directory = tempfile::tempdir()?;
                place.database = directory.path().join("quickstart.db");
                place.temporary = Some(directory);
            } else if argument.starts_with('-') {
                return Err(format!("{argument}: give --once, or a path, or nothing").into());
            } else {
                place.database = argument.into();
            }
        }
        Ok(place)
    }

    pub(crate) fn database(&self) -> &Path {
        &self.database
    }

    /// Whether this is for once.
    pub(crate) fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    /// How long an event takes to handle: long enough for a kill, where there is a next run.
    pub(crate) fn work(&self) -> Duration {
        if self.is_temporary() {
            Duration::ZERO
        } else {
            Duration::from_secs(1)
        }
    }

    /// The secret of the callback URL, made by the first run and kept in a file beside the database.
    pub(crate) fn secret(&self) -> Result<String, BoxError> {
        let path = self.database.with_extension("secret");
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&path) {
            Ok(mut file) => {
                let secret = random_secret()?;
                file.write_all(secret.as_bytes())?;
                Ok(secret)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Ok(std::fs::read_to_string(path)?)
            }
            Err(error) => Err(format!("{}: {error}", path.display()).into()),
        }
    }
}

/// 32 random characters.
fn random_secret() -> Result<String, BoxError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(random)))
}
