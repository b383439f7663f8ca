//! The command as a process, and what holds for all of it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;
use tokio::process;

use crate::trials;

/// A token, which must never be seen.
pub(crate) const SECRET: &str = "Yh2Tg4Dk9wQo5rNx1sJz7aVb3cPe6uMi";

/// One run of the command.
pub(crate) struct Command {
    process: process::Command,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_tower-callback").into()
}

/// `tower-callback` with these words.
pub(crate) fn tower_callback(words: &[&str]) -> Command {
    let mut process = process::Command::new(program());
    process
        .args(words)
        .env("CALLBACK_SECRET", SECRET)
        .env("SSL_CERT_FILE", tls_file("ca.pem"))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    Command { process }
}

pub(crate) fn tls_file(name: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/tls");
    tests.join(name)
}

impl Command {
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.process.env(name, value);
        self
    }

    pub(crate) async fn run(mut self) -> Ended {
        let output = self.process.output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ended = Ended {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        let both = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!both.contains(SECRET), "a secret is shown: {both}");
        assert!(!both.contains('\x1b'), "there is no terminal: {both}");
        ended
    }

    /// What it says when it ends with this code.
    pub(crate) async fn ends_with(self, code: i32) -> Ended {
        let ended = self.run().await;
        assert_eq!(ended.code, code, "{ended:#?}");
        ended
    }

    /// What it tells as JSON when it ends with this code.
    pub(crate) async fn tells(mut self, code: i32) -> Value {
        self.process.arg("--json");
        let ended = self.ends_with(code).await;
        serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:#?}"))
    }

    pub(crate) fn spawn(mut self) -> process::Child {
        self.process.stdout(Stdio::piped()).spawn().unwrap()
    }
}

trials! {
    help_teaches_each_command,
    what_cannot_be_understood_ends_with_2_and_is_not_repeated,
    a_secret_in_the_command_line_is_refused_and_not_repeated,
    a_secret_can_be_in_a_file,
}

async fn help_teaches_each_command() {
    for words in [
        &["--help"][..],
        &["send", "--help"],
        &["provider", "--help"],
        &["inbox", "--help"],
        &["url", "mint", "--help"],
        &["doctor", "--help"],
        &["store", "check", "--help"],
    ] {
        let help = tower_callback(words).ends_with(0).await.stdout;
        assert!(help.contains("Examples:\n"), "{help}");
        assert!(help.contains("Exit codes:"), "{help}");
        assert!(help.contains("--json"), "{help}");
    }
    let help = tower_callback(&["--help"]).ends_with(0).await.stdout;
    assert!(
        help.contains("env:NAME") && help.contains("file:PATH"),
        "{help}"
    );
    let help = tower_callback(&["store", "--help"])
        .ends_with(0)
        .await
        .stdout;
    assert!(
        !help.contains("scratch"),
        "what is for the command alone is hidden: {help}"
    );
}

async fn what_cannot_be_understood_ends_with_2_and_is_not_repeated() {
    tower_callback(&[]).ends_with(2).await;
    tower_callback(&["nonsense"]).ends_with(2).await;
    let url = format!("mysql://user:{SECRET}@host/db");
    tower_callback(&["inbox", &url, "stats"]).ends_with(2).await;
    let url = format!("ftp://host/?token={SECRET}");
    tower_callback(&["send", &url]).ends_with(2).await;
    tower_callback(&["doctor", &url]).ends_with(2).await;
    let unset = ["send", "http://127.0.0.1:1/", "--token", "env:NOT_SET"];
    let ended = tower_callback(&unset).ends_with(2).await;
    assert!(ended.stderr.contains("NOT_SET is not set"), "{ended:?}");
}

async fn a_secret_in_the_command_line_is_refused_and_not_repeated() {
    for words in [
        ["send", "http://127.0.0.1:1/", "--token", SECRET],
        ["doctor", "http://127.0.0.1:1/", "--token", SECRET],
        ["provider", "--tasks=1", "--api-key", SECRET],
    ] {
        let ended = tower_callback(&words).ends_with(2).await;
        assert!(ended.stderr.contains("env:NAME or file:PATH"), "{ended:?}");
    }
}

async fn a_secret_can_be_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let receiver = crate::receiver::start(&directory.path().join("callbacks.db")).await;
    let from = format!("file:{}", file.display());
    let send = ["send", &receiver.url, "--token", &from];
    tower_callback(&send).ends_with(0).await;
    std::fs::write(&file, "\n").unwrap();
    let ended = tower_callback(&send).ends_with(2).await;
    assert!(ended.stderr.contains("is empty"), "{ended:?}");
}
