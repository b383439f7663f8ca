//! What works on a thread of its own while the next bytes come in.

use std::{io, mem};

use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use super::error::DownloadError;

/// A value that is lent to a thread that may block, for one piece of work after the other.
#[derive(Debug)]
pub(super) enum Lent<T> {
    Here(T),
    Away(JoinHandle<io::Result<T>>),
    Lost,
}

impl<T: Send + 'static> Lent<T> {
    /// Begins a piece of work, as soon as the one before it is done.
    ///
    /// # Errors
    ///
    /// That of the work before.
    pub(super) async fn lend(
        &mut self,
        work: impl FnOnce(&mut T) -> io::Result<()> + Send + 'static,
    ) -> Result<(), DownloadError> {
        let mut value = self.take_back().await?;
        *self = Self::Away(spawn_blocking(move || work(&mut value).map(|()| value)));
        Ok(())
    }

    /// The value, once its work is done.
    ///
    /// # Errors
    ///
    /// That of the work, and of what is asked of the value after that.
    pub(super) async fn take_back(&mut self) -> Result<T, DownloadError> {
        if let Self::Away(working) = self {
            let worked = joined(working.await);
            *self = Self::Lost;
            return worked;
        }
        match mem::replace(self, Self::Lost) {
            Self::Here(value) => Ok(value),
            Self::Away(_) | Self::Lost => Err(DownloadError::storage("it failed before")),
        }
    }
}

/// Does one piece of work that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, DownloadError> {
    joined(spawn_blocking(work).await)
}

fn joined<T>(joined: Result<io::Result<T>, JoinError>) -> Result<T, DownloadError> {
    joined
        .map_err(DownloadError::storage)?
        .map_err(DownloadError::storage)
}
