//! A file that has no name yet by which anybody looks for it.
//!
//! Its writer holds a lock on it, which the system takes away when the process ends, however it ends.
//! A staged file without a lock is therefore one that nobody writes.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

const PREFIX: &str = ".tower-callback-";
const SUFFIX: &str = ".part";

/// Removed when it is dropped, unless it was published.
#[derive(Debug)]
pub(super) struct Staged {
    file: File,
    path: PathBuf,
    is_published: bool,
}

impl Staged {
    pub(super) fn create(directory: &Path) -> io::Result<Self> {
        loop {
            let number = getrandom::u64().map_err(io::Error::other)?;
            let path = directory.join(format!("{PREFIX}{number:016x}{SUFFIX}"));
            let created = File::options().write(true).create_new(true).open(&path);
            let file = match created {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            };
            let staged = Self {
                file,
                path,
                is_published: false,
            };
            // Where a file system has no locks, `sweep` can lock nothing and removes nothing.
            let locked = !matches!(staged.file.try_lock(), Err(TryLockError::WouldBlock));
            // A sweep may have been faster than the lock, and has then removed the file.
            if locked && staged.path.try_exists()? {
                return Ok(staged);
            }
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Gives it its name, when all of it is on disk. What had the name before is replaced.
    pub(super) fn publish(mut self, name: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, name)?;
        self.is_published = true;
        sync_directory(name.parent().unwrap_or(Path::new(".")))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_published {
            // What cannot be removed now is removed by a sweep.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}

/// Removes what writers left behind that were killed.
pub(super) fn sweep(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if is_staged(entry.file_name().to_str()) && entry.file_type()?.is_file() {
            // Somebody else may sweep as well.
            let _ = remove_if_left(&entry.path());
        }
    }
    Ok(())
}

fn is_staged(name: Option<&str>) -> bool {
    name.and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX))
        .is_some_and(|number| {
            number.len() == 16 && number.bytes().all(|digit| digit.is_ascii_hexdigit())
        })
}

fn remove_if_left(path: &Path) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    if file.try_lock().is_ok() {
        fs::remove_file(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let name =
            |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = entries.map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_sweep_removes_what_nobody_writes_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let left = at(".tower-callback-0123456789abcdef.part");
        let others = [
            ".tower-callback-0123456789abcde.part",
            ".tower-callback-0123456789abcdeg.part",
            "a.mp4",
            "a.part",
        ];
        for name in others.map(&at).iter().chain([&left]) {
            fs::write(name, "x").unwrap();
        }
        let held = Staged::create(directory.path()).unwrap();
        assert_eq!(names(directory.path()).len(), others.len() + 2);
        sweep(directory.path()).unwrap();
        assert!(!left.exists());
        assert!(held.path.exists());
        drop(held);
        assert_eq!(names(directory.path()), others);
    }

    #[test]
    fn a_file_has_its_name_only_when_it_is_published() {
        let directory = tempfile::tempdir().unwrap();
        let name = directory.path().join("a.mp4");
        let mut staged = Staged::create(directory.path()).unwrap();
        staged.write(b"whole").unwrap();
        assert!(!name.exists());
        staged.publish(&name).unwrap();
        assert_eq!(fs::read(&name).unwrap(), b"whole");
        assert_eq!(names(directory.path()), ["a.mp4"]);
        let mut again = Staged::create(directory.path()).unwrap();
        again.write(b"other").unwrap();
        again.publish(&name).unwrap();
        assert_eq!(fs::read(&name).unwrap(), b"other");
    }
}
