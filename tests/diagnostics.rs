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
async fn save(_: MusicVideo) -> Result<(), std::io::Error> { Ok(()) }
#[derive(Clone)] struct Db;
impl Db { async fn save(&self, _: &MusicVideo) -> Result<(), std::io::Error> { Ok(()) } }
#[derive(Debug)] struct NoError;
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

const PROGRAMS: [Program; 25] = [
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
    Program {
        name: "a_closure_that_returns_nothing",
        result: WORKER,
        ends_in: r#"Callbacks::<MusicVideo>::new("a", proof()).store(MemoryStore::new()).handle(|_| async {}).build_worker()"#,
        words: &[
            "expected `Result<(), HandlerError>`, found `()`",
            ".handle(",
        ],
    },
    Program {
        name: "a_closure_that_returns_another_error",
        result: WORKER,
        ends_in: r#"Callbacks::<MusicVideo>::new("a", proof()).store(MemoryStore::new()).handle(|delivery| async move { save(delivery.event).await }).build_worker()"#,
        words: &["expected `Result<(), HandlerError>`, found `Result<(), Error>`"],
    },
    Program {
        name: "an_error_that_is_none",
        result: WORKER,
        ends_in: r#"Callbacks::<MusicVideo>::new("a", proof()).store(MemoryStore::new()).handle(|_| async { Err(NoError)?; Ok(()) }).build_worker()"#,
        words: &["`NoError` needs to implement `std::error::Error`"],
    },
    Program {
        name: "a_handler_that_moves_what_it_captured",
        result: WORKER,
        ends_in: r#"let db = Db; Callbacks::<MusicVideo>::new("a", proof()).store(MemoryStore::new()).handle(move |delivery| async move { db.save(&delivery.event).await?; Ok(()) }).build_worker()"#,
        words: &["cannot move out of `db`", "consider cloning the value"],
    },
    Program {
        name: "a_handler_that_is_not_send",
        result: WORKER,
        ends_in: r#"Callbacks::<MusicVideo>::new("a", proof()).store(MemoryStore::new()).handle(|delivery| async move { let kept = std::rc::Rc::new(()); save(delivery.event).await?; drop(kept); Ok(()) }).build_worker()"#,
        words: &["future cannot be sent between threads safely", "`Rc<()>`"],
    },
    Program {
        name: "a_handler_of_the_event",
        result: WORKER,
        ends_in: r#"async fn handle(_: MusicVideo) -> Result<(), tower_callback::HandlerError> { Ok(()) } Callbacks::<MusicVideo>::new("a", proof()).store(MemoryStore::new()).handle(handle).build_worker()"#,
        words: &[
            "expected function signature `fn(Delivery<",
            "found function signature",
        ],
    },
    Program {
        name: "a_store_that_may_have_failed",
        result: FRONT,
        ends_in: r#"Callbacks::<MusicVideo>::new("a", proof()).store(Ok::<_, StoreError>(MemoryStore::new())).build_front()"#,
        words: &["is no `Inbox`", "`.await?` comes first"],
    },
    Program {
        name: "a_store_that_is_borrowed",
        result: FRONT,
        ends_in: r#"let store = MemoryStore::new(); Callbacks::<MusicVideo>::new("a", proof()).store(&store).build_front()"#,
        words: &[
            "is no `Inbox`",
            "consider removing the leading `&`-reference",
        ],
    },
    Program {
        name: "a_proof_that_may_be_there",
        result: FRONT,
        ends_in: r#"Callbacks::<MusicVideo>::new("a", Some(proof())).store(MemoryStore::new()).build_front()"#,
        words: &["is no proof of who is calling", "a `Box<dyn Verify>`"],
    },
    Program {
        name: "an_event_that_is_not_said",
        result: FRONT,
        ends_in: r#"Callbacks::new("a", proof()).store(MemoryStore::new()).build_front()"#,
        words: &["type annotations needed", "MusicVideo"],
    },
    Program {
        name: "an_event_of_serde",
        result: FRONT,
        ends_in: r#"Callbacks::<String>::new("a", proof()).store(MemoryStore::new()).build_front()"#,
        words: &[
            "`String` is no `Event`",
            "`callback.json()` and `EventKey::new(..)`",
        ],
    },
    Program {
        name: "a_proof_a_store_and_a_handler_chosen_at_run_time",
        result: BOTH,
        ends_in: r#"let proof: Box<dyn tower_callback::Verify> = Box::new(proof()); let db = Db; Callbacks::<MusicVideo>::new("a", proof).store(std::sync::Arc::new(MemoryStore::new())).handle(move |delivery| { let db = db.clone(); async move { db.save(&delivery.event).await?; Ok(()) } }).build()"#,
        words: &[],
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
