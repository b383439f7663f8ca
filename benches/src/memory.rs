//! What Linux tells of a process's memory.

use std::fs;

/// A line of it, such as `VmHWM:`, in KiB; 0 where there is none.
pub(crate) fn of_process(pid: u32, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let value = status.lines().find_map(|found| found.strip_prefix(line));
    let number = value.and_then(|value| value.trim().strip_suffix(" kB"));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
