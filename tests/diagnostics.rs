//! What is missing or does not fit at the builder is a compiler error that says what to do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

/// What every program begins with.
const PRELUDE: &str = r#"
#![allow(unused)]
use tower_callback::{
    BuildError, CallbackService, Callbacks, Clock, MemoryStore, MusicVideo, Token, Worker,
    clock::ManualClock, store::{Durability, Inbox, Inserted, NewRecord, StoreError},
};
fn main() {}
fn proof() -> Token { Token::query("token", "secret") }
struct OnlyAnInbox;
impl Inbox for OnlyAnInbox {
    fn durability(&self) -> Durability { Durability::Volatile }
    async fn insert(&self, _: &[NewRecord]) -> Result<Vec<Inserted>, StoreError> { Ok(Vec::new()) }
}
struct NoEvent;
struct NotAHandler;
"#;

/// A program whose last expression is this, and the words of the compiler's first error.
struct Program {
    name: &'static str,
    result: &'static str,
    ends_in: &'static str,
    words: &'static [&'static str],
}

const BOTH: &str = "Result<(CallbackService, Worker), BuildError>";
const FRONT: &str = "Result<CallbackService, BuildError>";
const WORKER: &str = "Result<Worker, BuildError>";

const PROGRAMS: [Program; 13] = [
    Program {
        name: "no_store",
        result: BOTH,
        ends_in: r#"Callbacks::<MusicVideo>::new("a", proof()).handle(async |_| Ok(())).build()"#,
        words: &["is no `Store`", "give `.store(..)` a store"],
    },
    Program {
        name: "no_store_for_a_front",
        result: FRONT,
        ends_in: r#"Callbacks::<MusicVideo>::new("a", proof()).build_front()"#,
        words: &["is no `Inbox`", "give `.store(..)` a store"],
    },
    Program {
        name: "no_handler",
        result: BOTH,
        ends_in: r#"Callbacks::<MusicVideo>::new("a", proof()).store(MemoryStore::new()).build()"#,
        words: &["no handler was given", "call `.handle(..)` before this"],
    },
    Program {
        name: "no_handler_for_a_worker",
        result: WORKER,
        ends_in: r#"Callbacks::<MusicVideo>::new("a", proof()).store(MemoryStore::new()).build_worker()"#,
        words: &["no handler was given", "call `.handle(..)` before this"],
    },
    Program {
        name: "a_handler_for_a_front",
        result: FRONT,
        ends_in: r#"Callbacks::<MusicVideo>::new("a", proof()).store(MemoryStore::new()).handle(async |_| Ok(())).build_front()"#,
        words: &[
            "a front alone handles nothing",
            "leave out `.handle(..)` before this",
        ],
    },
    Program {
        name: "only_an_inbox",
        result: BOTH,
        ends_in: r#"Callbacks::<MusicVideo>::new("a", proof()).store(OnlyAnInbox).handle(async |_| Ok(())).build()"#,
        words: &[
            "`OnlyAnInbox` is no `Store`",
            "give `.store(..)` a store",
            "a front alone, `.build_front()`, needs only an `Inbox`",
        ],
    },
    Program {
        name: "no_inbox",
        result: FRONT,
        ends_in: r#"Callbacks::<MusicVideo>::new("a", proof()).store("events.db").build_front()"#,
        words: &["`&str` is no `Inbox`", "give `.store(..)` a store"],
    },
    Program {
        name: "no_proof",
        result: FRONT,
        ends_in: r#"Callbacks::<MusicVideo>::new("a", "secret").store(MemoryStore::new()).build_front()"#,
        words: &[
            "is no proof of who is calling",
            "Token::query",
            "Callbacks::dangerous().unverified(name)",
        ],
    },
    Program {
        name: "no_event",
        result: FRONT,
        ends_in: r#"Callbacks::<NoEvent>::new("a", proof()).store(MemoryStore::new()).build_front()"#,
        words: &["`NoEvent` is no `Event`", "implement `Event` for it"],
    },
    Program {
        name: "a_handler_that_is_none",
        result: WORKER,
        ends_in: r#"Callbacks::<MusicVideo>::new("a", proof()).store(MemoryStore::new()).handler(NotAHandler).build_worker()"#,
        words: &[
            "`NotAHandler` does not handle deliveries of `",
            "a closure goes to `.handle(..)`",
        ],
    },
    Program {
        name: "a_closure_that_returns_something_else",
        result: WORKER,
        ends_in: r#"Callbacks::<MusicVideo>::new("a", proof()).store(MemoryStore::new()).handle(|_| async { 7 }).build_worker()"#,
        words: &["`Result<(), HandlerError>`", ".handle("],
    },
    Program {
        name: "a_closure_that_is_not_async",
        result: WORKER,
        ends_in: r#"Callbacks::<MusicVideo>::new("a", proof()).store(MemoryStore::new()).handle(|_| Ok(())).build_worker()"#,
        words: &["is not a future", ".handle("],
    },
    // The control: this one compiles.
    Program {
        name: "all_is_there",
        result: BOTH,
        ends_in: r#"Callbacks::<MusicVideo>::new("a", proof()).store(MemoryStore::new()).handle(async |_| Ok(())).build()"#,
        words: &[],
    },
];

#[test]
fn what_is_missing_is_a_compiler_error_that_says_what_to_do() {
    let library = library();
    let failures: Vec<_> = thread::scope(|scope| {
        let library = &library;
        let running: Vec<_> = PROGRAMS
            .iter()
            .map(|program| scope.spawn(move || program.problem(library)))
            .collect();
        let ended = running.into_iter().map(|run| run.join().unwrap());
        ended.flatten().collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

impl Program {
    /// How the compiler's answer is not what it should be.
    fn problem(&self, library: &Path) -> Option<String> {
        let Self { name, result, .. } = self;
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("diagnostics");
        fs::create_dir_all(&scratch).unwrap();
        let source = scratch.join(format!("{name}.rs"));
        let program = format!(
            "{PRELUDE}fn program() -> {result} {{\n{}\n}}\n",
            self.ends_in
        );
        fs::write(&source, program).unwrap();
        let output = Command::new(env::var_os("RUSTC").unwrap_or("rustc".into()))
            .args(["--edition=2024", "--crate-type=bin", "--emit=metadata"])
            .arg("--extern")
            .arg(format!("tower_callback={}", library.display()))
            .arg("-L")
            .arg(format!(
                "dependency={}",
                library.parent().unwrap().display()
            ))
            .arg("--out-dir")
            .arg(&scratch)
            .arg(&source)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let first = said
            .split("\n\n")
            .find(|message| message.starts_with("error"))
            .unwrap_or_default();
        if env::var_os("SHOW_DIAGNOSTICS").is_some() {
            println!("== {name}\n{first}\n");
        }
        if self.words.is_empty() {
            return (!output.status.success()).then(|| format!("{name} does not compile:\n{said}"));
        }
        let missing: Vec<_> = self
            .words
            .iter()
            .filter(|words| !first.contains(**words))
            .collect();
        (output.status.success() || !missing.is_empty())
            .then(|| format!("{name}: the first error lacks {missing:?}:\n{said}"))
    }
}

/// The library as it was compiled for this test. Cargo knows where it is, and has nothing to do.
fn library() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["test", "--no-run", "--offline", "--message-format=json"])
        .args(["--test", "diagnostics", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    if cfg!(feature = "testing") {
        cargo.arg("--all-features");
    }
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.output().unwrap();
    let artifacts = String::from_utf8(output.stdout).unwrap();
    let is_library = |artifact: &serde_json::Value| {
        artifact["target"]["name"] == "tower_callback"
            && artifact["target"]["kind"][0] == "lib"
            && artifact["profile"]["test"] == false
    };
    let library = artifacts
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .find(is_library)
        .unwrap_or_else(|| panic!("no library: {}", String::from_utf8_lossy(&output.stderr)));
    let mut files = library["filenames"].as_array().unwrap().iter();
    files
        .find_map(|file| file.as_str().filter(|file| file.ends_with(".rlib")))
        .unwrap()
        .into()
}
