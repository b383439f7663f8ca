//! What is left of a disk.

use std::{io, path::Path};

/// How many bytes are left to us on the file system of a path; `None` where nobody can tell.
#[cfg(unix)]
pub(crate) fn free_space(path: &Path) -> io::Result<Option<u64>> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(Some(stat.f_bavail.saturating_mul(stat.f_frsize)))
}

#[cfg(not(unix))]
pub(crate) fn free_space(_path: &Path) -> io::Result<Option<u64>> {
    Ok(None)
}
