//! Room on the disk, promised before it is used.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{count, disk::free_space};

/// The free space of a directory's file system, and what of it is promised to downloads that run.
#[derive(Debug)]
pub(super) struct Space {
    directory: PathBuf,
    reserve: u64,
    promised: Mutex<u64>,
}

impl Space {
    pub(super) fn new(directory: PathBuf, reserve: u64) -> Self {
        Self {
            directory,
            reserve,
            promised: Mutex::new(0),
        }
    }

    /// Promises room for a file, if there is that much beside the reserve and all other promises.
    pub(super) fn promise(self: Arc<Self>, bytes: u64) -> io::Result<Promise> {
        {
            let mut promised = self.promised.lock().unwrap_or_else(PoisonError::into_inner);
            let all = promised.saturating_add(bytes);
            self.check(all)?;
            *promised = all;
        }
        Ok(Promise {
            space: self,
            left: bytes,
        })
    }

    fn check(&self, bytes: u64) -> io::Result<()> {
        let needed = self.reserve.saturating_add(bytes);
        let free = free_space(&self.directory)?;
        if let Some(free) = free {
            count::disk("videos", free, self.reserve);
        }
        match free {
            Some(free) if free < needed => Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "the disk has no room for it beside its reserve",
            )),
            _ => Ok(()),
        }
    }
}

/// Room for what is still to be written of one file.
#[derive(Debug)]
pub(super) struct Promise {
    space: Arc<Space>,
    left: u64,
}

impl Promise {
    /// Uses some of it: others may have filled the disk meanwhile.
    pub(super) fn spend(&mut self, bytes: u64) -> io::Result<()> {
        self.space.check(bytes)?;
        let spent = bytes.min(self.left);
        self.left -= spent;
        self.space.release(spent);
        Ok(())
    }
}

impl Space {
    fn release(&self, bytes: u64) {
        *self.promised.lock().unwrap_or_else(PoisonError::into_inner) -= bytes;
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.space.release(self.left);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn room_is_promised_once_and_free_again_when_the_promise_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let there = free_space(directory.path()).unwrap().unwrap();
        let space = Arc::new(Space::new(directory.path().to_owned(), 0));
        // Others write to this disk as well: what is asked for leaves them a quarter of it.
        let half = there / 2;
        let mut first = Arc::clone(&space).promise(half).unwrap();
        let full = Arc::clone(&space).promise(half + GIB).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        first.spend(half / 2).unwrap();
        assert_eq!(*space.promised.lock().unwrap(), half - half / 2);
        first.spend(half).unwrap();
        drop(first);
        assert_eq!(*space.promised.lock().unwrap(), 0);
    }

    #[test]
    fn the_reserve_is_not_given_away() {
        let directory = tempfile::tempdir().unwrap();
        let there = free_space(directory.path()).unwrap().unwrap();
        let space = Arc::new(Space::new(directory.path().to_owned(), there + GIB));
        let full = space.promise(0).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    }
}
