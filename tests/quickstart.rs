//! The README's first command: its end, and what a kill leaves to the next run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{LazyLock, mpsc},
    thread,
    time::{Duration, Instant},
};

/// The example, built as it is now: cargo builds examples beside a test only if all tests are run.
static EXAMPLE: LazyLock<PathBuf> = LazyLock::new(|| {
    let test = env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--all-features", "--example", "quickstart"])
        .arg("--target-dir")
        .arg(profile.parent().unwrap())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(built.unwrap().success());
    profile.join("examples/quickstart")
});

/// A run of the example, killed at the end of the test at the latest.
struct Run {
    child: Child,
    lines: mpsc::Receiver<String>,
    until: Instant,
}

impl Run {
    fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(&*EXAMPLE)
            .args(arguments)
            .current_dir(directory)
            .env("TMPDIR", directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in output.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            lines,
            until: Instant::now() + Duration::from_secs(90),
        }
    }

    /// The next line, or the end of the output.
    fn line(&self) -> Option<String> {
        let left = self.until.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("it takes too long"),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // SIGKILL on Unix, and an error if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Which task a line of the handler or of the provider is about.
fn task(line: &str) -> String {
    let word = line.split_whitespace().nth(1).unwrap();
    word.trim_end_matches(':').to_owned()
}

/// Notes a line: how often the task was handled, if it was received or handled.
fn note(line: &str, handled: &mut BTreeMap<String, u32>) {
    if line.starts_with("handler") {
        *handled.entry(task(line)).or_default() += 1;
    } else if line.contains("200 stored") {
        handled.entry(task(line)).or_default();
    }
}

#[test]
fn once_ends_well_prints_its_counts_and_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut run = Run::start(directory.path(), &["--once"]);
    let lines: Vec<_> = std::iter::from_fn(|| run.line()).collect();
    assert!(run.child.wait().unwrap().success(), "{lines:#?}");
    let counts = "events handled 8, callbacks repeated 11, refused 1, quarantined 2";
    assert!(lines.iter().any(|line| line == counts), "{lines:#?}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn killed_and_started_again_it_handles_what_it_had_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let mut handled = BTreeMap::new();

    let run = Run::start(directory.path(), &[]);
    let mut last = String::new();
    while handled.values().filter(|times| **times == 0).count() < 3 {
        let line = run.line().unwrap();
        note(&line, &mut handled);
        if line.starts_with("handler") {
            last = task(&line);
        }
    }
    drop(run);

    let run = Run::start(directory.path(), &["quickstart.db"]);
    let first = run.line().unwrap();
    let pending = first.strip_prefix("quickstart.db: events pending from the last run: ");
    assert!(pending.unwrap().parse::<u32>().unwrap() >= 1, "{first}");
    loop {
        let line = run.line().unwrap();
        if line == "all of them are handled" {
            break;
        }
        note(&line, &mut handled);
    }
    for (task, times) in &handled {
        // It may have been killed after it had said so and before that was settled; and the second
        // task is a failure that becomes a success.
        let most = if *task == last || task.ends_with("-2") {
            2
        } else {
            1
        };
        assert!((1..=most).contains(times), "{task}: {handled:?}");
    }
}
