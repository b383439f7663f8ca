//! The pages that name tests keep their word: every test exists where the link leads, and every fault is
//! answered for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

const PAGE: &str = include_str!("../docs/fault-matrix.md");
const STORES: [&str; 5] = ["memory", "SQLite", "PostgreSQL", "Redis", "spool"];
/// What a cell without a test begins with.
const NO_TEST: &str = "Cannot be: ";

/// What is linked, and where to.
fn links(text: &str) -> Vec<(&str, &str)> {
    let links = text.split("[`").skip(1);
    links
        .map(|link| {
            let (name, rest) = link.split_once("`](").unwrap();
            (name, rest.split_once(')').unwrap().0)
        })
        .collect()
}

/// Whether the source defines a test of this name, as a function or as the name of a trial.
fn defines(source: &str, name: &str) -> bool {
    source.contains(&format!("fn {name}(")) || source.contains(&format!("fn {name}<")) || {
        let quoted = format!("\"{name}\"");
        source.contains(&quoted)
    }
}

fn exist(page: &str, directory: &str, at_least: usize) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let links = links(page);
    assert!(links.len() >= at_least, "{} links", links.len());
    for (name, path) in links {
        let source = fs::read_to_string(directory.join(path));
        let source = source.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(defines(&source, name), "{path} has no test {name}");
    }
}

#[test]
fn every_test_that_the_page_of_faults_names_exists() {
    exist(PAGE, "docs", 60);
}

#[test]
fn every_test_that_the_security_page_names_exists() {
    exist(include_str!("../SECURITY.md"), "", 40);
}

#[test]
fn every_fault_is_answered_for_on_every_store() {
    let rows: Vec<Vec<&str>> = PAGE
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let [head, _, faults @ ..] = &rows[..] else {
        panic!("there is no table");
    };
    assert_eq!(head[1..], STORES);
    assert_eq!(faults.len(), 12);
    for fault in faults {
        assert_eq!(fault.len(), 1 + STORES.len(), "{}", fault[0]);
        for (store, cell) in STORES.iter().zip(&fault[1..]) {
            let reason = cell.strip_prefix(NO_TEST);
            assert!(
                !links(cell).is_empty() || reason.is_some_and(|reason| !reason.is_empty()),
                "{} on {store}: neither a test nor a reason",
                fault[0]
            );
        }
    }
}
