//! On what was measured.

use std::{fs, process::Command, thread};

/// One sentence about this machine and what runs on it.
pub(crate) fn describe() -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let processor = line("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let memory = line("/proc/meminfo", "MemTotal").unwrap_or_default();
    let kib: f64 = memory.trim_end_matches(" kB").parse().unwrap_or(0.0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut parts = vec![
        format!("{cores} cores of {processor}"),
        format!("{:.0} GiB of memory", kib / 1024.0 / 1024.0),
        format!("Linux {}", kernel.trim()),
    ];
    let programs = [
        ("rustc", "--version"),
        ("psql", "--version"),
        ("redis-server", "--version"),
        ("node", "--version"),
    ];
    parts.extend(
        programs
            .iter()
            .filter_map(|(program, flag)| version(program, flag)),
    );
    format!("Measured on {}.", parts.join(", "))
}

fn line(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.split_once(':')?.1.trim().to_owned())
}

/// A program's name and the first word of its answer that begins as versions do.
fn version(program: &str, flag: &str) -> Option<String> {
    let said = Command::new(program).arg(flag).output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let is_version = |word: &&str| {
        let word = word.trim_start_matches("v=").trim_start_matches('v');
        word.starts_with(|first: char| first.is_ascii_digit())
    };
    let version = said.split_whitespace().find(is_version)?;
    let version = version.trim_start_matches("v=").trim_start_matches('v');
    Some(format!("{program} {version}"))
}
