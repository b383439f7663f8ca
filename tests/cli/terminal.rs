//! On a terminal: colours, and questions before something is destroyed.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Stdio},
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tower_callback::{
    SqliteStore,
    store::{Action, Inbox, Inspect, NewRecord, Queue, Settlement, Store},
};

use crate::{
    command::{program, tower_callback},
    receiver::NAME,
    trials,
};

trials! {
    colours_are_for_a_terminal_that_wants_them,
    what_destroys_asks_before,
}

/// Runs the command at a terminal, types an answer, and gives the code and what stood on the screen.
fn at_terminal(words: &[&str], typed: &str, env: &[(&str, &str)]) -> (i32, String) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let master = openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let open = || File::options().read(true).write(true).open(&name).unwrap();
    let end = || Stdio::from(OwnedFd::from(open()));
    let mut child = Command::new(program())
        .args(words)
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .envs(env.iter().copied())
        .stdin(end())
        .stdout(end())
        .stderr(end())
        .spawn()
        .unwrap();
    let mut screen = File::from(master);
    screen.write_all(typed.as_bytes()).unwrap();
    let mut shown = Vec::new();
    let mut chunk = [0; 4096];
    // Once nobody has the other end, reading fails on Linux.
    while let Ok(read @ 1..) = screen.read(&mut chunk) {
        shown.extend_from_slice(&chunk[..read]);
    }
    let code = child.wait().unwrap().code().unwrap();
    (code, String::from_utf8_lossy(&shown).into_owned())
}

/// A store with one dead letter.
async fn one_dead_letter(path: &Path) -> SqliteStore {
    let (store, queue) = (SqliteStore::open(path).await.unwrap(), Queue::events(NAME));
    store
        .insert(&[NewRecord::new(queue.clone(), "task-1", "{}")])
        .await
        .unwrap();
    for leased in store
        .lease(&queue, 1, std::time::Duration::from_secs(60))
        .await
        .unwrap()
    {
        let reason = "nobody can mend this".to_owned();
        let settlement = Settlement::new(leased.lease, Action::Dead { reason });
        store.settle(&[settlement]).await.unwrap();
    }
    store
}

async fn colours_are_for_a_terminal_that_wants_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("callbacks.db");
    let _store = one_dead_letter(&path).await;
    let url = format!("sqlite:{}", path.display());
    let words = ["inbox", &url, "stats"];
    let (code, shown) = at_terminal(&words, "", &[]);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("\x1b[1m"), "{shown}");
    let (_, shown) = at_terminal(&words, "", &[("NO_COLOR", "1")]);
    assert!(
        shown.contains("ENDPOINT") && !shown.contains('\x1b'),
        "{shown}"
    );
    // The run itself sees to it that there is none in a pipe.
    tower_callback(&words).ends_with(0).await;
}

async fn what_destroys_asks_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("callbacks.db");
    let store = one_dead_letter(&path).await;
    let url = format!("sqlite:{}", path.display());
    let dead = async || store.counts(&Queue::events(NAME)).await.unwrap().dead;
    for (words, answer) in [
        (&["discard", "--all"][..], "n\n"),
        (&["discard", "--all"], "\n"),
        (&["purge", "--dead", "0ms"], "no\n"),
    ] {
        let words = [&["inbox", &url], words].concat();
        let (code, shown) = at_terminal(&words, answer, &[]);
        assert_eq!(code, 4, "{shown}");
        assert!(
            shown.contains("Go on? [y/N]") && shown.contains("nothing was done"),
            "{shown}"
        );
        assert_eq!(dead().await, 1);
    }
    let (code, shown) = at_terminal(&["inbox", &url, "discard", "--all"], "y\n", &[]);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("forget 1 record for good"), "{shown}");
    assert_eq!(dead().await, 0);
}
