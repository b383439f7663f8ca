//! File systems in user space all have one magic number. Which one it is, the mount's type tells.

use std::{borrow::Cow, fs, io, os::unix::fs::MetadataExt, path::Path};

pub(super) const MAGIC: u32 = 0x6573_5546;

/// How the names of those begin that lead to another machine, or out of a virtual one.
const NETWORKS: &[&str] = &[
    "afpfs",
    "blobfuse",
    "ceph",
    "curlftpfs",
    "cvmfs",
    "davfs",
    "fuse-nfs",
    "fuse_dfs",
    "gcsfuse",
    "glusterfs",
    "goofys",
    "gvfsd",
    "hdfs",
    "juicefs",
    "lizardfs",
    "mfs",
    "moosefs",
    "mount-s3",
    "mountpoint-s3",
    "nfs",
    "rclone",
    "s3fs",
    "s3ql",
    "seaweedfs",
    "smbnetfs",
    "sshfs",
    "vmhgfs-fuse",
    "weed",
];

/// The name of a network file system in user space. One whose type nobody tells is taken for one.
pub(super) fn network(path: &Path) -> io::Result<Option<Cow<'static, str>>> {
    let device = fs::metadata(path)?.dev();
    let device = (rustix::fs::major(device), rustix::fs::minor(device));
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    Ok(match mount(&mounts, device) {
        None => Some(Cow::Borrowed("FUSE, which one cannot be told")),
        Some(mount) => mount.network().map(|name| Cow::Owned(name.to_owned())),
    })
}

#[derive(Debug, PartialEq)]
struct Mount<'a> {
    /// `fuseblk`, `fuse`, `fuse.` and a name, or `virtiofs`.
    kind: &'a str,
    source: &'a str,
}

/// The mount of a device: see `proc_pid_mountinfo(5)`. Several mounts of one device are of one type.
fn mount(mounts: &str, (major, minor): (u32, u32)) -> Option<Mount<'_>> {
    let device = format!("{major}:{minor}");
    mounts.lines().find_map(|line| {
        // There may be any number of fields before the dash. Blanks inside a field are escaped.
        let (mount, file_system) = line.split_once(" - ")?;
        if mount.split(' ').nth(2)? != device {
            return None;
        }
        let mut fields = file_system.split(' ');
        Some(Mount {
            kind: fields.next()?,
            source: fields.next().unwrap_or_default(),
        })
    })
}

impl<'a> Mount<'a> {
    fn network(&self) -> Option<&'a str> {
        let name = match self.kind {
            // A disk.
            "fuseblk" => return None,
            // Only the source says what it is.
            "fuse" => self.source,
            kind => kind.strip_prefix("fuse.").unwrap_or(kind),
        };
        let is_network = NETWORKS.iter().any(|network| {
            let start = name.get(..network.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(network))
        });
        // Not the source, in which there may be a password.
        let shown = if self.kind == "fuse" { "FUSE" } else { name };
        (is_network || self.source.contains("://")).then_some(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw,discard
40 27 0:50 / /mnt/a\\040-\\040b rw,nosuid shared:9 - fuse.sshfs me@host:/srv rw,user_id=0
41 27 8:1 / /mnt/disk rw - fuseblk /dev/sda1 rw
42 27 0:5 / /mnt/short rw - fuse
43 27 0:500 /sub /mnt/bound rw - fuse.bindfs /srv rw
";

    fn network(kind: &str, source: &str) -> bool {
        Mount { kind, source }.network().is_some()
    }

    #[test]
    fn the_mount_of_a_device_is_found_by_its_whole_number() {
        let kind = |device| mount(MOUNTS, device).map(|mount| mount.kind);
        assert_eq!(kind((254, 0)), Some("ext4"));
        assert_eq!(kind((0, 50)), Some("fuse.sshfs"));
        assert_eq!(kind((8, 1)), Some("fuseblk"));
        assert_eq!(kind((0, 5)), Some("fuse"));
        assert_eq!(kind((0, 500)), Some("fuse.bindfs"));
        assert_eq!(kind((0, 51)), None);
        let source = mount(MOUNTS, (0, 50)).unwrap().source;
        assert_eq!(source, "me@host:/srv");
        assert_eq!(mount("", (0, 5)), None);
        assert_eq!(mount("a line\n1 2 0:5 /", (0, 5)), None);
    }

    #[test]
    fn the_mount_of_the_root_is_found() {
        let device = fs::metadata("/proc/self").unwrap().dev();
        let device = (rustix::fs::major(device), rustix::fs::minor(device));
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert_eq!(mount(&mounts, device).unwrap().kind, "proc");
    }

    #[test]
    fn networks_in_user_space_are_told_from_disks_by_their_names() {
        for kind in [
            "fuse.sshfs",
            "fuse.glusterfs",
            "fuse.ceph-fuse",
            "fuse.rclone",
            "fuse.s3fs",
            "fuse.JuiceFS",
        ] {
            assert!(network(kind, "there"), "{kind}");
        }
        assert!(network("fuse", "mountpoint-s3"));
        assert!(network("fuse", "https://me:secret@dav.example/files"));
        for kind in ["fuseblk", "fuse.bindfs", "fuse.ntfs-3g", "virtiofs", "fuse"] {
            assert!(!network(kind, "/dev/sda1"), "{kind}");
        }
    }

    #[test]
    fn the_source_of_a_mount_is_not_told() {
        let mount = Mount {
            kind: "fuse",
            source: "https://me:secret@dav.example/files",
        };
        assert_eq!(mount.network(), Some("FUSE"));
    }
}
