//! Every seed, every input that ever failed, and whatever a fuzzer left beside them, without a fuzzer.

use std::{
    collections::BTreeSet,
    fs, panic,
    path::{Path, PathBuf},
};

fn replay(target: &str, law: fn(&[u8])) {
    let inputs = files(&format!("corpus/{target}"));
    assert!(!inputs.is_empty(), "an empty corpus replays nothing");
    // What failed here stays a failure until it is mended.
    for path in inputs
        .into_iter()
        .chain(files(&format!("artifacts/{target}")))
    {
        let input = fs::read(&path).expect("a readable file");
        panic::catch_unwind(|| law(&input)).unwrap_or_else(|_| panic!("{path:?} breaks a law"));
    }
}

fn files(directory: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries.map(|entry| entry.expect("a file").path()).collect()
}

#[test]
fn every_target_is_replayed() {
    let replayed = include_str!("corpus.rs");
    let stem = |path: PathBuf| {
        path.file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    };
    let targets: BTreeSet<_> = files("fuzz_targets").into_iter().map(stem).collect();
    assert!(!targets.is_empty());
    for target in targets {
        let call = format!("replay(\"{target}\", tower_callback_fuzz::{target});");
        assert!(replayed.contains(&call), "{target} is not replayed");
    }
}

#[test]
fn every_input_of_the_corpus_of_any_callback_keeps_the_laws() {
    replay("any_callback", tower_callback_fuzz::any_callback);
}

#[test]
fn every_input_of_the_corpus_of_content_range_keeps_the_laws() {
    replay("content_range", tower_callback_fuzz::content_range);
}

#[test]
fn every_input_of_the_corpus_of_details_response_keeps_the_laws() {
    replay("details_response", tower_callback_fuzz::details_response);
}

#[test]
fn every_input_of_the_corpus_of_event_parse_keeps_the_laws() {
    replay("event_parse", tower_callback_fuzz::event_parse);
}

#[test]
fn every_input_of_the_corpus_of_forwarded_keeps_the_laws() {
    replay("forwarded", tower_callback_fuzz::forwarded);
}

#[test]
fn every_input_of_the_corpus_of_mp4_head_keeps_the_laws() {
    replay("mp4_head", tower_callback_fuzz::mp4_head);
}

#[test]
fn every_input_of_the_corpus_of_request_keeps_the_laws() {
    replay("request", tower_callback_fuzz::request);
}

#[test]
fn every_input_of_the_corpus_of_signatures_keeps_the_laws() {
    replay("signatures", tower_callback_fuzz::signatures);
}

#[test]
fn every_input_of_the_corpus_of_signed_url_keeps_the_laws() {
    replay("signed_url", tower_callback_fuzz::signed_url);
}

#[test]
fn every_input_of_the_corpus_of_store_model_keeps_the_laws() {
    replay("store_model", tower_callback_fuzz::store_model);
}
