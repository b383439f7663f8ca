//! The videos that were fetched.

use std::{fs, path::Path};

use sha2::{Digest, Sha256};
use tower_callback::{
    download::Downloader,
    testing::provider::{SimulationReport, TaskReport},
};

use crate::setup::{Setup, order_of};

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

/// What can be seen in the directory and is not the whole video of a task.
pub(crate) fn not_whole(directory: &Path, report: &SimulationReport) -> Vec<String> {
    let visible = names(directory)
        .into_iter()
        .filter(|name| !name.starts_with('.'));
    let is_whole = |name: &String| {
        let is_its = |task: &&TaskReport| Downloader::file_name(&task.task_id) == *name;
        let video = report
            .tasks()
            .iter()
            .find(is_its)
            .and_then(|task| task.video);
        let bytes = fs::read(directory.join(name)).unwrap();
        video.is_some_and(|video| video.sha256() == <[u8; 32]>::from(Sha256::digest(&bytes)))
    };
    let broken = visible.filter(|name| !is_whole(name));
    broken
        .map(|name| format!("{name} is not a whole video"))
        .collect()
}

/// Which handled successes have no file, and what else is left behind.
pub(crate) async fn missing(setup: &Setup, report: &SimulationReport) -> Vec<String> {
    let mut wrongs = Vec::new();
    let mut expected = Vec::new();
    let handled = crate::journal::Line::read(&setup.journal);
    let is_handled = |task: &TaskReport| {
        handled.contains(&crate::journal::Line::End {
            task: task.task_id.to_string(),
            rank: 1,
        })
    };
    for task in report.tasks() {
        let handled = is_handled(task);
        if handled {
            expected.push(Downloader::file_name(&task.task_id));
        }
        // Those submitted elsewhere are handled in any case.
        if !handled && order_of(&task.audio_id).is_none() && task.video.is_some() {
            wrongs.push(format!("{task} was not fetched"));
        }
    }
    // What a killed process left behind is cleaned by the next one that fetches.
    if let Some(task) = report.tasks().iter().find(|task| is_handled(task)) {
        let downloader = Downloader::in_directory(&setup.videos)
            .with_reserve(0)
            .dangerous()
            .allow_http()
            .dangerous()
            .allow_networks(["127.0.0.1"]);
        let downloader = downloader.build().unwrap();
        let url = format!("{}/videos/{}-0.mp4", setup.provider, task.task_id);
        // It may have expired by now: cleaning comes first.
        let _ = downloader.fetch("last", url).named("last.mp4").await;
        let _ = fs::remove_file(setup.videos.join("last.mp4"));
    }
    let mut names = names(&setup.videos);
    names.sort();
    expected.sort();
    if names != expected {
        wrongs.push(format!("{names:?} are there instead of {expected:?}"));
    }
    wrongs
}
