//! What the file system must be and have, and whether the file is still the one that was opened.

#[cfg(target_os = "linux")]
mod fuse;

use std::{borrow::Cow, io, path::Path};

/// Which file a path leads to: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

#[cfg(unix)]
pub(super) fn identity(path: &Path) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;

    let metadata = std::fs::metadata(path)?;
    Ok(Identity(metadata.dev(), metadata.ino()))
}

/// Without inodes only a missing file is noticed.
#[cfg(not(unix))]
pub(super) fn identity(path: &Path) -> io::Result<Identity> {
    std::fs::metadata(path).map(|_| Identity(0, 0))
}

/// The database's file, or where it is going to be: which file system is asked about.
pub(super) fn place(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !path.exists() => parent,
        _ => path,
    }
}

/// The name of the network or shared file system that a path is on, if it is on one: their
/// locks and shared memory do not do what SQLite's write-ahead log needs.
#[cfg(target_os = "linux")]
pub(super) fn network(path: &Path) -> io::Result<Option<Cow<'static, str>>> {
    let stat = rustix::fs::statfs(path)?;
    // The field's width and sign differ between architectures; all magic numbers have 32 bits.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let magic = stat.f_type as u32;
    if magic == fuse::MAGIC {
        return fuse::network(path);
    }
    Ok(network_name(magic).map(Cow::Borrowed))
}

#[cfg(target_os = "linux")]
fn network_name(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x517b => "SMB",
        0xff53_4d42 => "CIFS",
        0xfe53_4d42 => "SMB2",
        0x564c => "NCP",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x7375_7245 => "Coda",
        0x0102_1997 => "9P",
        0x786f_4256 => "VirtualBox shared folder",
        0x00c3_6400 => "Ceph",
        0x0bd0_0bd0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x1983_0326 => "BeeGFS",
        0x0116_1970 => "GFS2",
        0x7461_636f => "OCFS2",
        _ => return None,
    })
}

#[cfg(any(target_os = "macos", target_os = "ios"))]
pub(super) fn network(path: &Path) -> io::Result<Option<Cow<'static, str>>> {
    const MNT_LOCAL: u32 = 0x1000;
    let stat = rustix::fs::statfs(path)?;
    Ok((stat.f_flags & MNT_LOCAL == 0).then_some(Cow::Borrowed("network volume")))
}

#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "ios")))]
pub(super) fn network(_path: &Path) -> io::Result<Option<Cow<'static, str>>> {
    Ok(None)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_told_from_local_ones() {
        assert_eq!(network_name(0x6969), Some("NFS"));
        assert_eq!(network_name(0xff53_4d42), Some("CIFS"));
        assert_eq!(network_name(0xef53), None, "ext4");
        assert_eq!(network_name(0x0102_1994), None, "tmpfs");
        assert_eq!(network(Path::new("/")).unwrap(), None);
    }

    #[test]
    fn a_file_that_is_yet_to_be_made_is_judged_by_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        assert_eq!(place(&path), dir.path());
        std::fs::write(&path, "").unwrap();
        assert_eq!(place(&path), path);
    }

    #[test]
    fn another_file_at_the_same_path_is_told_from_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        std::fs::write(&path, "a").unwrap();
        let first = identity(&path).unwrap();
        std::fs::write(&path, "b").unwrap();
        assert_eq!(identity(&path).unwrap(), first);
        std::fs::rename(&path, dir.path().join("old.db")).unwrap();
        assert!(identity(&path).is_err());
        std::fs::write(&path, "a").unwrap();
        assert_ne!(identity(&path).unwrap(), first);
    }
}
