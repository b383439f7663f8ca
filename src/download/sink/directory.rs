//! Videos as files of a directory.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use tokio::{
    sync::{OnceCell, oneshot},
    task::spawn_blocking,
};

use super::{
    space::{Promise, Space},
    staged::{self, Staged},
};
use crate::download::{
    digest::{Summary, Summing},
    error::DownloadError,
    lent::{Lent, blocking},
};

/// How much is read at once.
const BUFFER: usize = 1024 * 1024;

#[derive(Debug)]
pub(in crate::download) struct Directory {
    path: PathBuf,
    space: Arc<Space>,
    is_ready: OnceCell<()>,
}

impl Directory {
    pub(in crate::download) fn new(path: PathBuf, reserve: u64) -> Self {
        Self {
            space: Arc::new(Space::new(path.clone(), reserve)),
            path,
            is_ready: OnceCell::new(),
        }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) async fn length(&self, name: &str) -> Result<Option<u64>, DownloadError> {
        let file = self.file(name);
        blocking(move || missing_is_none(fs::metadata(&file).map(|there| there.len()))).await
    }

    pub(super) async fn read(&self, name: &str) -> Result<Option<Summary>, DownloadError> {
        let file = self.file(name);
        // Whoever hangs up ends the reading, too.
        let (caller, _waits) = oneshot::channel();
        blocking(move || missing_is_none(read(&file, &caller))).await
    }

    pub(super) async fn create(
        &self,
        name: &str,
        length: Option<u64>,
    ) -> Result<FileSink, DownloadError> {
        self.is_ready
            .get_or_try_init(|| {
                let path = self.path.clone();
                blocking(move || prepare(&path))
            })
            .await?;
        let (directory, space) = (self.path.clone(), Arc::clone(&self.space));
        let open = blocking(move || {
            Ok(Open {
                room: space.promise(length.unwrap_or_default())?,
                staged: Staged::create(&directory)?,
            })
        });
        Ok(FileSink {
            name: self.file(name),
            open: Lent::Here(open.await?),
        })
    }
}

/// Once for each downloader: what is left behind was left by a process that has ended.
fn prepare(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    if let Err(error) = staged::sweep(path) {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the directory of videos was not searched for what a killed process may have left"
        );
    }
    Ok(())
}

fn missing_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

fn read(file: &Path, caller: &oneshot::Sender<()>) -> io::Result<Summary> {
    let mut file = File::open(file)?;
    let mut summing = Summing::default();
    let mut buffer = vec![0; BUFFER];
    while !caller.is_closed() {
        match file.read(&mut buffer)? {
            0 => return Ok(summing.end()),
            read => summing.add(&buffer[..read]),
        }
    }
    Err(io::ErrorKind::Interrupted.into())
}

/// A file that is being written. The file goes before its room does.
#[derive(Debug)]
struct Open {
    staged: Staged,
    room: Promise,
}

/// Writes one block while the next comes in.
pub(in crate::download) struct FileSink {
    name: PathBuf,
    open: Lent<Open>,
}

impl FileSink {
    pub(super) async fn write(&mut self, block: Bytes) -> Result<(), DownloadError> {
        let write = move |open: &mut Open| {
            open.room.spend(block.len() as u64)?;
            open.staged.write(&block)
        };
        self.open.lend(write).await
    }

    pub(super) async fn publish(mut self) -> Result<(), DownloadError> {
        let Open { staged, room } = self.open.take_back().await?;
        blocking(move || {
            let published = staged.publish(&self.name);
            drop(room);
            published
        })
        .await
    }

    pub(super) async fn discard(mut self) {
        if let Ok(open) = self.open.take_back().await {
            // The runtime may be ending, and then nobody waits for it.
            let _ = spawn_blocking(move || drop(open)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_to_its_end_only_while_somebody_waits() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, b"abc").unwrap();
        let (caller, waits) = oneshot::channel();
        assert_eq!(read(&file, &caller).unwrap().length, 3);
        drop(waits);
        let error = read(&file, &caller).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    }
}
