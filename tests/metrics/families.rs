//! The table of the families is the truth: in the documentation, and in what is counted.

use std::collections::BTreeMap;

use tower_callback::metrics::{FAMILIES, FamilyKind};

const GUIDE: &str = include_str!("../../docs/observing.md");
const RUSTDOC: &str = include_str!("../../src/metrics.rs");

/// The rows of a table of families: kind and labels by name.
fn rows(text: &str) -> BTreeMap<&str, (&str, Vec<&str>)> {
    let row = |line| -> Option<_> {
        let line: &str = str::trim_start_matches(line, "//! ");
        let mut cells = line.strip_prefix("| `tower_callback_")?.split('|');
        let name = cells.next()?.trim().trim_end_matches('`');
        let kind = cells.next()?.trim();
        let labels = cells.next()?.trim();
        let mut labels: Vec<_> = match labels {
            "none" => Vec::new(),
            labels => labels
                .split(", ")
                .map(|label| label.trim_matches('`'))
                .collect(),
        };
        labels.sort_unstable();
        Some((name, (kind, labels)))
    };
    text.lines().filter_map(row).collect()
}

/// The labels of a family, in order.
pub(crate) fn labels_of(family: &str) -> Vec<&'static str> {
    let name = family.trim_start_matches("tower_callback_");
    let rows = rows(GUIDE);
    let (_, labels) = rows.get(name).unwrap_or_else(|| panic!("no row of {name}"));
    labels.clone()
}

#[test]
fn both_tables_have_a_row_for_each_family_and_no_other() {
    let families: Vec<_> = FAMILIES
        .iter()
        .map(|family| {
            let kind = match family.kind {
                FamilyKind::Counter => "counter",
                FamilyKind::Gauge => "gauge",
                _ => "histogram",
            };
            (family.name.trim_start_matches("tower_callback_"), kind)
        })
        .collect();
    for text in [GUIDE, RUSTDOC] {
        let rows = rows(text);
        for (name, kind) in &families {
            let row = rows.get(name).unwrap_or_else(|| panic!("no row of {name}"));
            assert_eq!(row.0, *kind, "{name}");
        }
        assert_eq!(rows.len(), families.len());
    }
    assert_eq!(rows(GUIDE), rows(RUSTDOC));
}

#[test]
fn a_familys_name_tells_its_unit_and_whether_it_only_grows() {
    for family in FAMILIES {
        let is_counter = family.kind == FamilyKind::Counter;
        assert_eq!(family.name.ends_with("_total"), is_counter, "{family:?}");
        let name = family.name.trim_end_matches("_total");
        for unit in ["seconds", "bytes"] {
            let is_of = family.unit == unit;
            assert_eq!(name.ends_with(&format!("_{unit}")), is_of, "{family:?}");
        }
    }
}
