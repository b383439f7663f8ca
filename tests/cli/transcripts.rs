//! The transcripts of `docs/command.md`, replayed: what the page shows is what the command says.
//!
//! `UPDATE_TRANSCRIPTS=1` writes what it says into the page instead.

use std::{
    collections::HashMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use axum::{Router, response::Html};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tower_callback::store::{Inspect, QueueKind};

use crate::{
    command::{SECRET, program},
    receiver::{self, Receiver},
    servers::free_port,
    trials,
};

trials! {
    the_page_shows_what_the_command_says,
    what_varies_is_normalised_and_nothing_else,
}

/// The ports of the page: the service, a single-page app in its place, and the provider.
const SERVICE: &str = "127.0.0.1:8080";
const WEB_PAGE: &str = "127.0.0.1:8081";
const PROVIDER: &str = "8088";

async fn the_page_shows_what_the_command_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/command.md");
    let text = fs::read_to_string(&page).unwrap();
    let mut stage = Stage::set().await;
    let mut replayed = String::new();
    let (mut commands, mut differing) = (0, Vec::new());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        replayed += &format!("{line}\n");
        if line != "```console" {
            continue;
        }
        while let Some(line) = lines.next_if(|line| *line != "```") {
            let mut command = line
                .strip_prefix("$ ")
                .unwrap_or_else(|| panic!("no command: {line}"))
                .to_owned();
            replayed += &format!("{line}\n");
            while command.ends_with('\\') {
                let line = lines.next().unwrap();
                replayed += &format!("{line}\n");
                command.pop();
                command += line.trim_start();
            }
            let mut expected = Vec::new();
            while let Some(line) = lines.next_if(|line| *line != "```" && !line.starts_with("$ ")) {
                expected.push(line);
            }
            let expected = expected.join("\n");
            let said = stage.run(&command).await;
            commands += 1;
            if !stage.is_same(&expected, &said) {
                differing.push(format!(
                    "$ {command}\n--- the page\n{expected}\n--- now\n{said}"
                ));
            }
            if !said.is_empty() {
                replayed += &format!("{said}\n");
            }
        }
    }
    if env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        for (shown, now) in &stage.ids {
            replayed = replayed.replace(shown, now);
        }
        fs::write(&page, replayed).unwrap();
        return;
    }
    assert!(commands > 20, "{commands} commands: are they still found?");
    assert!(
        differing.is_empty(),
        "write the page anew with UPDATE_TRANSCRIPTS=1 if this is as it should be:\n{}",
        differing.join("\n\n")
    );
}

/// What the page runs on.
struct Stage {
    directory: TempDir,
    path: std::ffi::OsString,
    receiver: Receiver,
    service: String,
    web_page: String,
    provider: String,
    /// Ids of the page, and what they are now.
    ids: HashMap<String, String>,
    code: i32,
    _tasks: JoinSet<()>,
}

impl Stage {
    async fn set() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let receiver = receiver::start(&directory.path().join("callbacks.db")).await;
        let mut tasks = JoinSet::new();
        let app = Router::new().fallback(async || Html("<!doctype html><div id=app></div>"));
        let web_page = receiver::serve(app, &mut tasks).await;
        let program = program();
        let mut path: Vec<PathBuf> = vec![program.parent().unwrap().to_owned()];
        path.extend(env::split_paths(&env::var_os("PATH").unwrap()));
        let service = receiver.url.strip_prefix("http://").unwrap();
        let (service, _) = service.split_once('/').unwrap();
        Self {
            path: env::join_paths(path).unwrap(),
            service: service.to_owned(),
            web_page: format!("127.0.0.1:{web_page}"),
            provider: free_port().to_string(),
            directory,
            receiver,
            ids: HashMap::new(),
            code: 0,
            _tasks: tasks,
        }
    }

    /// Runs a command in a shell, and waits until what it has caused is over.
    async fn run(&mut self, command: &str) -> String {
        if command == "echo $?" {
            return self.code.to_string();
        }
        let mut real = command
            .replace(SERVICE, &self.service)
            .replace(WEB_PAGE, &self.web_page)
            .replace(PROVIDER, &self.provider);
        for (shown, now) in &self.ids {
            real = real.replace(shown, now);
        }
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("exec 2>&1; {real}")])
            .current_dir(self.directory.path())
            .env("PATH", &self.path)
            .env("CALLBACK_SECRET", SECRET);
        let running = tokio::task::spawn_blocking(move || shell.output().unwrap());
        if real.contains("provider --port") {
            self.submit().await;
        }
        let output = running.await.unwrap();
        self.code = output.status.code().unwrap();
        self.settled().await;
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(!said.contains(SECRET), "{said}");
        let port = |address: &str| address.rsplit(':').next().unwrap_or_default().to_owned();
        said.trim_end()
            .replace(&port(&self.service), &port(SERVICE))
            .replace(&port(&self.web_page), &port(WEB_PAGE))
            .replace(&self.provider, PROVIDER)
    }

    /// Submits a task as soon as the provider is there: what the page says that somebody does meanwhile.
    async fn submit(&self) {
        let url = format!("http://127.0.0.1:{}/api/v1/mp4/generate", self.provider);
        let callback = format!("{}?token={SECRET}", self.receiver.url);
        let submission = serde_json::json!({
            "taskId": "music-1", "audioId": "audio-1", "callBackUrl": callback,
        });
        let client = reqwest::Client::new();
        receiver::until("the provider takes a task", async || {
            let request = client
                .post(&url)
                .bearer_auth(SECRET)
                .body(submission.to_string());
            request
                .send()
                .await
                .is_ok_and(|answer| answer.status().is_success())
        })
        .await;
    }

    async fn settled(&self) {
        let store = &self.receiver.store;
        receiver::until("the worker is idle", async || {
            for queue in store.queues().await.unwrap() {
                let counts = store.counts(&queue).await.unwrap();
                if queue.kind() == QueueKind::Events && counts.pending + counts.leased > 0 {
                    return false;
                }
            }
            true
        })
        .await;
        // Ages are told in seconds, and are compared as times.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// Whether the page shows this but for what varies. Learns which ids the page's are now.
    fn is_same(&mut self, expected: &str, said: &str) -> bool {
        if normal(expected) != normal(said) {
            return false;
        }
        for (shown, now) in ids(expected).zip(ids(said)) {
            self.ids.insert(shown.to_owned(), now.to_owned());
        }
        true
    }
}

fn ids(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| is_id(word))
}

fn is_id(word: &str) -> bool {
    word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

const UNITS: [&str; 5] = ["ms", "s", "m", "h", "d"];

/// A text without what is another time each time: ids, times, and how wide a column is because of them.
fn normal(text: &str) -> Vec<String> {
    text.lines().map(normal_line).collect()
}

fn normal_line(line: &str) -> String {
    let mut line = line.to_owned();
    let found: Vec<String> = ids(&line).map(str::to_owned).collect();
    for id in found {
        line = line.replace(&id, "<id>");
    }
    for mark in ["_ms\":", "ms_ago\":", "\"arrived\":"] {
        line = without_numbers_after(&line, mark);
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut normal = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let (word, next) = (words[at], words.get(at + 1));
        at += 1;
        let is_number = word.parse::<u64>().is_ok();
        let unit = next.map(|next| next.trim_matches(|c: char| !c.is_ascii_alphanumeric()));
        if let (true, Some(unit)) = (is_number, unit.filter(|unit| UNITS.contains(unit))) {
            normal.push(words[at].replace(unit, "<time>"));
            at += 1;
        } else if is_number && next == Some(&"more") {
            normal.push("<days>".to_owned());
        } else if is_offset(word) {
            normal.push("<offset>".to_owned());
        } else if let Some((before, _)) = word.split_once("?cap=") {
            normal.push(format!("{before}?cap=<capability>"));
        } else if let Some((_, number)) = made_up(word) {
            normal.push(format!("test-<id>-{number}"));
        } else {
            normal.push(word.to_owned());
        }
    }
    normal.join(" ")
}

/// `0:00.004`
fn is_offset(word: &str) -> bool {
    word.len() >= 8 && word.contains(':') && word.replace([':', '.'], "").parse::<u64>().is_ok()
}

/// `test-01234567-1`
fn made_up(word: &str) -> Option<(&str, &str)> {
    word.strip_prefix("test-")?.split_once('-')
}

fn without_numbers_after(line: &str, mark: &str) -> String {
    let mut parts = line.split(mark);
    let mut normal = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part
            .trim_start()
            .trim_start_matches(|c: char| c.is_ascii_digit());
        let number = if rest.len() < part.trim_start().len() {
            "<time>"
        } else {
            ""
        };
        normal += &format!("{mark}{number}{rest}");
    }
    normal
}

async fn what_varies_is_normalised_and_nothing_else() {
    let id = "0123456789abcdef0123456789abcdef";
    for (one, other) in [
        (format!("id {id}"), format!("id    {}", "f".repeat(32))),
        ("due 5 s".to_owned(), "due 17 ms".to_owned()),
        ("  0:00.000  x".to_owned(), "  1:00.012  x".to_owned()),
        ("test-01234567-1".to_owned(), "test-89abcdef-1".to_owned()),
        ("\"took_ms\": 3,".to_owned(), "\"took_ms\": 17,".to_owned()),
        (
            format!("{{\"age_ms\":3,\"id\":\"{id}\",\"ms_ago\":2,\"x\":1}}"),
            format!(
                "{{\"age_ms\":17,\"id\":\"{}\",\"ms_ago\":0,\"x\":1}}",
                "e".repeat(32)
            ),
        ),
    ] {
        assert_eq!(normal(&one), normal(&other));
    }
    for (one, other) in [
        ("retried 1 of 1", "retried 1 of 2"),
        ("first        200", "first        401"),
        ("test-01234567-1", "test-01234567-2"),
        ("\"code\": 3", "\"code\": 4"),
        ("{\"age_ms\":3,\"x\":1}", "{\"age_ms\":3,\"x\":2}"),
        ("{\"due_in_ms\":null}", "{\"due_in_ms\":3}"),
        ("a\nb", "a"),
    ] {
        assert_ne!(normal(one), normal(other));
    }
}
