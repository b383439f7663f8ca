//! Processes that are killed while they download.

use std::{fs, sync::Arc, time::Duration};

use libtest_mimic::Trial;
use tokio::sync::Semaphore;

use crate::{
    block_on,
    child::Task,
    server::{Server, Step, answer, honest, video},
    support::{into_directory, names, until},
};

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &'static str, run: fn()| {
        Trial::test(name, move || {
            run();
            Ok(())
        })
    };
    vec![
        trial(
            "a_kill_leaves_nothing_visible_and_the_next_download_cleans",
            || {
                block_on(kill());
            },
        ),
        trial("a_kill_at_any_time_leaves_a_whole_video_or_none", || {
            block_on(kills())
        }),
        trial(
            "what_another_process_is_writing_is_not_cleaned_away",
            || block_on(neighbours()),
        ),
        trial("a_proxy_in_the_environment_is_not_used", || {
            block_on(proxy())
        }),
    ]
}

const NAME: &str = "music_video_task.mp4";

/// Sends the second half when it may, to each who asks.
async fn gated(file: Vec<u8>, gate: &Arc<Semaphore>) -> Server {
    let gate = Arc::clone(gate);
    Server::start(move |_| {
        let (first, second) = file.split_at(file.len() / 2);
        vec![
            answer(200, &[("content-length", &file.len().to_string())], first),
            Step::Gate(Arc::clone(&gate)),
            Step::Send(second.to_vec()),
        ]
    })
    .await
}

async fn kill() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let file = video(8_000_000, 1);
    let server = gated(file.clone(), &gate).await;
    let mut child = Task::Directory(directory.path().to_owned()).start(&server.url());
    until("something is written", || {
        let written =
            |name: &String| fs::metadata(directory.path().join(name)).map_or(0, |file| file.len());
        names(directory.path()).iter().any(|name| written(name) > 0)
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    let left = names(directory.path());
    assert!(
        left.len() == 1 && left[0].starts_with('.') && left[0].ends_with(".part"),
        "{left:?}"
    );

    gate.add_permits(10);
    let downloader = into_directory(directory.path());
    let fetched = downloader.fetch("task", server.url()).await.unwrap();
    assert!(!fetched.already_there);
    assert_eq!(names(directory.path()), [NAME]);
    assert!(fs::read(directory.path().join(NAME)).unwrap() == file);
}

async fn kills() {
    let directory = tempfile::tempdir().unwrap();
    let file = video(3_000_000, 1);
    let served = file.clone();
    let server = Server::start(move |request| honest(request, &served, "\"a\"", usize::MAX)).await;
    let path = directory.path().join(NAME);
    let mut random = fastrand::Rng::with_seed(7);
    let mut killed = 0;
    for _ in 0..20 {
        let _ = fs::remove_file(&path);
        let mut child = Task::Directory(directory.path().to_owned()).start(&server.url());
        tokio::time::sleep(Duration::from_millis(random.u64(..150))).await;
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        let visible: Vec<_> = names(directory.path())
            .into_iter()
            .filter(|name| !name.starts_with('.'))
            .collect();
        assert!(visible.is_empty() || visible == [NAME], "{visible:?}");
        if path.exists() {
            assert!(fs::read(&path).unwrap() == file);
        }
    }
    assert!(killed > 0, "nobody was killed");
    let _ = fs::remove_file(&path);
    into_directory(directory.path())
        .fetch("task", server.url())
        .await
        .unwrap();
    assert_eq!(names(directory.path()), [NAME]);
}

async fn neighbours() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let file = video(8_000_000, 1);
    let slow = gated(file.clone(), &gate).await;
    let child = Task::Directory(directory.path().to_owned()).start(&slow.url());
    until("it is begun", || !names(directory.path()).is_empty()).await;
    let other = video(1000, 2);
    let server = Server::start(move |request| honest(request, &other, "\"a\"", usize::MAX)).await;
    into_directory(directory.path())
        .fetch("other", server.url())
        .await
        .unwrap();
    assert_eq!(names(directory.path()).len(), 2);
    gate.add_permits(10);
    let output = tokio::task::spawn_blocking(move || child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(slow.requests().len(), 1);
    assert!(fs::read(directory.path().join(NAME)).unwrap() == file);
    assert_eq!(names(directory.path()).len(), 2);
}

async fn proxy() {
    let directory = tempfile::tempdir().unwrap();
    let file = video(1000, 1);
    let server = Server::start(move |request| honest(request, &file, "\"a\"", usize::MAX)).await;
    let proxy = Server::start(|_| vec![answer(200, &[("content-length", "0")], b"")]).await;
    let proxy_url = format!("http://{}", proxy.addr);
    let mut command = Task::Directory(directory.path().to_owned()).command(&server.url());
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, &proxy_url);
    }
    let child = command
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .spawn()
        .unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    assert!(output.status.success());
    assert_eq!((proxy.requests().len(), server.requests().len()), (0, 1));
}
