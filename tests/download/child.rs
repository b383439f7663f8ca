//! A downloader in a process of its own: this test's binary starts itself again.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::Arc,
};

use tower_callback::download::Downloader;

use crate::{
    block_on,
    stores::{Faults, TestStore},
    support::relaxed,
};

const TASK: &str = "TOWER_CALLBACK_TEST_DOWNLOAD";
const URL: &str = "TOWER_CALLBACK_TEST_URL";

/// What it is to do.
pub(crate) enum Task {
    /// Fetch into a directory.
    Directory(PathBuf),
    /// Fetch into a store that keeps nothing.
    Nowhere,
}

impl Task {
    pub(crate) fn given() -> Option<Self> {
        let task = env::var_os(TASK)?;
        Some(if task.is_empty() {
            Self::Nowhere
        } else {
            Self::Directory(task.into())
        })
    }

    /// The command of a process that does it.
    pub(crate) fn command(&self, url: &str) -> Command {
        let mut command = Command::new(env::current_exe().unwrap());
        let task = match self {
            Self::Directory(directory) => directory.as_path(),
            Self::Nowhere => Path::new(""),
        };
        command.env(TASK, task).env(URL, url).stdout(Stdio::piped());
        command
    }

    pub(crate) fn start(&self, url: &str) -> Child {
        self.command(url).spawn().unwrap()
    }
}

/// Tells the length of the video, and by how many KiB the process grew.
pub(crate) fn run(task: &Task) -> ExitCode {
    let url = env::var(URL).unwrap();
    let builder = match task {
        Task::Directory(directory) => Downloader::in_directory(directory),
        Task::Nowhere => Downloader::in_store(Arc::new(TestStore::new(Faults {
            forgets: true,
            ..Faults::default()
        }))),
    };
    // Memory is bounded though the length is not.
    let downloader = relaxed(builder).with_max_bytes(u64::MAX);
    let downloader = downloader.build().unwrap();
    block_on(async {
        let idle = memory("VmRSS");
        let video = downloader.fetch("task", url).await.unwrap();
        println!("{} {}", video.length, memory("VmHWM").saturating_sub(idle));
    });
    ExitCode::SUCCESS
}

/// In KiB; 0 where there is no such file.
fn memory(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| {
        line.trim_matches(|c: char| !c.is_ascii_digit())
            .parse()
            .ok()
    });
    number.unwrap_or(0)
}
