//! A server's process, which does not outlive ours, however that ends. The tests use it too.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a module of its own in examples and tests, which use their own part"
)]

use std::{
    fs,
    io::Write,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use tempfile::TempDir;

/// Stops the server by the signal that it is told, or by the first argument when nobody is left to
/// tell it; then the directory that is the second argument is nobody's.
const GUARD: &str = r#"
last=$1; dir=$2; shift 2
"$@" &
server=$!
if read -r signal; then
    kill -s "$signal" "$server"
    wait "$server"
else
    kill -s "$last" "$server"
    wait "$server"
    rm -rf -- "$dir"
fi
"#;

/// Whom servers run as: they refuse to be root, and nobody else has to switch.
#[derive(Clone, Copy, Debug)]
pub struct User(Option<(u32, u32)>);

impl User {
    /// The first of these names that the machine knows, if we are root.
    pub fn instead_of_root(names: &[&str]) -> Self {
        if !rustix::process::getuid().is_root() {
            return Self(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        for name in names {
            for line in passwd.lines() {
                let fields: Vec<&str> = line.split(':').collect();
                if fields[0] == *name {
                    return Self(Some((
                        fields[2].parse().unwrap(),
                        fields[3].parse().unwrap(),
                    )));
                }
            }
        }
        panic!("none of the users {names:?} exists");
    }

    /// A directory that is his.
    pub fn directory(self) -> TempDir {
        self.directory_in(&std::env::temp_dir())
    }

    /// A directory that is his, in one that he may enter.
    pub fn directory_in(self, parent: &Path) -> TempDir {
        let dir = tempfile::tempdir_in(parent).unwrap();
        self.give(dir.path());
        dir
    }

    pub fn give(self, path: &Path) {
        if let Some((uid, gid)) = self.0 {
            chown(path, Some(uid), Some(gid)).unwrap();
        }
    }

    pub fn command(self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        if let Some((uid, gid)) = self.0 {
            command.uid(uid).gid(gid);
        }
        // A directory that everybody may be in.
        command.current_dir("/");
        command
    }
}

/// A running server.
pub struct Process {
    guard: Child,
    orders: Option<ChildStdin>,
}

impl Process {
    /// Starts a server that writes to `log`. `last` is the signal by which it ends with us.
    pub fn start(
        user: User,
        program: &Path,
        args: &[String],
        directory: &Path,
        last: &str,
        log: &Path,
    ) -> Self {
        let log = fs::File::options()
            .append(true)
            .create(true)
            .open(log)
            .unwrap();
        let mut guard = user
            .command("/bin/sh")
            .args(["-c", GUARD, "guard", last])
            .arg(directory)
            .arg(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            // What a terminal sends to us is not for the server.
            .process_group(0)
            .spawn()
            .unwrap();
        let orders = guard.stdin.take();
        Self { guard, orders }
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> bool {
        // The guard waits for orders; what it guards is its child, which stays as a zombie.
        let pid = self.guard.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        children.is_ok_and(|children| {
            children.split_whitespace().all(|child| {
                let status = fs::read_to_string(format!("/proc/{child}/status"));
                status.is_ok_and(|status| status.contains("\nState:\tZ"))
            })
        })
    }

    /// Sends a signal and waits for the end.
    pub fn stop(mut self, signal: &str) {
        let mut orders = self.orders.take().unwrap();
        writeln!(orders, "{signal}").unwrap();
        self.guard.wait().unwrap();
    }
}

/// Looks for a program in these directories, and then in the path.
pub fn find(program: &str, directories: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::split_paths(&path);
    let sbin = [PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/bin")];
    directories
        .iter()
        .cloned()
        .chain(path)
        .chain(sbin)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}
