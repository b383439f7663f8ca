//! Every seed, and whatever a fuzzer left beside them, without a fuzzer.

use std::{fs, panic, path::Path};

fn replay(target: &str, law: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let mut inputs = 0;
    for entry in fs::read_dir(corpus).expect("a corpus") {
        let path = entry.expect("a file of the corpus").path();
        let input = fs::read(&path).expect("a readable file");
        panic::catch_unwind(|| law(&input)).unwrap_or_else(|_| panic!("{path:?} breaks a law"));
        inputs += 1;
    }
    assert!(inputs > 0, "an empty corpus replays nothing");
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
