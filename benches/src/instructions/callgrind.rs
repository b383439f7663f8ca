//! One run under callgrind, and what it wrote down.

use std::{collections::HashMap, env, fs, process::Command};

use tower_callback::BoxError;

/// What a run cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counts {
    pub(super) instructions: u64,
    /// Calls of the allocator that may give memory.
    pub(super) allocations: u64,
}

/// Runs a scenario of this program so many times.
pub(super) fn count(scenario: &str, times: u32) -> Result<Counts, BoxError> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("counts");
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(env::current_exe()?)
        .args(["scenario", scenario, &times.to_string()])
        .output()
        .map_err(|error| format!("valgrind does not start (Debian's package valgrind): {error}"))?;
    if !run.status.success() {
        let said = String::from_utf8_lossy(&run.stderr);
        return Err(format!("{scenario:?} failed under valgrind: {said}").into());
    }
    read(&fs::read_to_string(file)?).ok_or_else(|| "callgrind wrote no summary".into())
}

const ALLOCATORS: [&str; 5] = [
    "malloc",
    "calloc",
    "realloc",
    "posix_memalign",
    "aligned_alloc",
];

/// Reads callgrind's file: functions are named once and numbered after that, and a call is a line that
/// names the function, and one that says how often.
fn read(text: &str) -> Option<Counts> {
    let mut counts = Counts::default();
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut called = "";
    for line in text.lines() {
        if let Some(summary) = line.strip_prefix("summary: ") {
            counts.instructions = summary.trim().parse().ok()?;
        } else if let Some(calls) = line.strip_prefix("calls=") {
            let is_allocation = names
                .get(called)
                .is_some_and(|name| ALLOCATORS.contains(name));
            if is_allocation {
                counts.allocations += calls.split(' ').next()?.parse::<u64>().ok()?;
            }
        } else if let Some((kind, function)) = line.split_once("fn=") {
            let (number, name) = function.split_once(' ').unwrap_or((function, ""));
            if !name.is_empty() {
                // A function in a cycle has its depth behind it.
                names.insert(number, name.split('\'').next().unwrap_or(name));
            }
            if kind == "c" {
                called = number;
            }
        }
    }
    (counts.instructions > 0).then_some(counts)
}

#[cfg(test)]
mod tests {
    use super::{Counts, read};

    #[test]
    fn instructions_are_the_summary_and_allocations_the_calls_of_the_allocator() {
        let text = "events: Ir\n\
            fn=(1) main\n1 10\ncfn=(2) malloc\ncalls=3 0\n1 30\n\
            cfn=(3) free\ncalls=9 0\n1 30\n\
            fn=(2)\n1 5\n\
            fn=(4) other\n1 1\ncfn=(2)\ncalls=4 0\n1 40\n\
            cfn=(5) realloc'2\ncalls=1 0\n1 7\n\
            summary: 123\n";
        let counts = Counts {
            instructions: 123,
            allocations: 8,
        };
        assert_eq!(read(text), Some(counts));
    }

    #[test]
    fn a_file_without_a_summary_is_no_measurement() {
        assert_eq!(read("fn=(1) main\n1 10\n"), None);
    }
}
