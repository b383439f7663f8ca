//! A long video takes no more memory than a short one.

use std::{env, path::Path, time::Duration};

use libtest_mimic::{Completion, Failed, Trial};

use crate::{
    block_on, cannot_run,
    child::Task,
    server::{Server, Step, answer, video},
};

const MIB: u64 = 1024 * 1024;

/// What a download may take over an idle process.
const MOST: u64 = 64 * MIB;

pub(crate) fn trials() -> Vec<Trial> {
    let length = env::var("GIB").map_or(256 * MIB, |gib| gib.parse::<u64>().unwrap() * 1024 * MIB);
    vec![
        Trial::ignorable_test("a_long_video_goes_to_a_store_with_flat_memory", move || {
            flat(length, &Task::Nowhere)
        }),
        Trial::ignorable_test(
            "a_long_video_goes_to_a_directory_with_flat_memory",
            move || {
                let directory = tempfile::tempdir().unwrap();
                // Others need some of it meanwhile.
                let needed = length + length / 8;
                match free(directory.path()) {
                    Some(free) if free < needed => cannot_run(format!(
                        "{} has room for {free} bytes, and not for {needed}: TMPDIR names another",
                        directory.path().display()
                    )),
                    _ => flat(length, &Task::Directory(directory.path().to_owned())),
                }
            },
        ),
    ]
}

/// How much fits into a directory, where that is told.
#[cfg(unix)]
fn free(directory: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(directory).unwrap();
    Some(stat.f_bavail * stat.f_frsize)
}

#[cfg(not(unix))]
fn free(_directory: &Path) -> Option<u64> {
    None
}

fn flat(length: u64, task: &Task) -> Result<Completion, Failed> {
    if !Path::new("/proc/self/status").exists() {
        return cannot_run("the memory of a process is not told here".to_owned());
    }
    let output = block_on(async {
        let server = Server::start(move |_| {
            let head = answer(200, &[("content-length", &length.to_string())], b"");
            let block = video(usize::try_from(MIB).unwrap(), 1);
            vec![head, Step::Endless(block, Duration::ZERO)]
        })
        .await;
        let child = task.start(&server.url());
        tokio::task::spawn_blocking(move || child.wait_with_output()).await
    });
    let output = output.unwrap().unwrap();
    assert!(output.status.success());
    let told = String::from_utf8(output.stdout).unwrap();
    let (fetched, grown) = told.trim().split_once(' ').unwrap();
    assert_eq!(fetched, length.to_string());
    let grown: u64 = grown.parse::<u64>().unwrap() * 1024;
    println!("{length} bytes with {} KiB", grown / 1024);
    assert!(
        (1..=MOST).contains(&grown),
        "{grown} bytes of memory for {length}"
    );
    Ok(Completion::Completed)
}
