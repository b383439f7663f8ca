//! The alert rules of the example name metrics and labels that exist.

use std::collections::BTreeSet;

use tower_callback::metrics::{FAMILIES, FamilyKind};

use crate::families::labels_of;

const RULES: &str = include_str!("../../examples/observability/alerts.yml");

#[derive(Debug, Default)]
struct Rule {
    alert: String,
    expr: String,
    severity: String,
    summary: String,
    action: String,
}

/// Reads the file as the YAML that it is: one group, rules of plain or quoted one-line scalars, and nothing else.
fn rules() -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut lines = RULES
        .lines()
        .filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty());
    let head = ["groups:", "  - name: tower-callback", "    rules:"];
    assert_eq!(lines.by_ref().take(3).collect::<Vec<_>>(), head);
    for line in lines {
        let (key, value) = line.split_once(':').unwrap();
        let value = value.trim();
        let indent = key.len() - key.trim_start().len();
        match (indent, key.trim_start()) {
            (6, "- alert") => rules.push(Rule {
                alert: scalar(value),
                ..Rule::default()
            }),
            (8, "expr") => rules.last_mut().unwrap().expr = scalar(value),
            (8, "for") => assert!(value.ends_with('m'), "{line}"),
            (8, "labels" | "annotations") => assert_eq!(value, ""),
            (10, "severity") => rules.last_mut().unwrap().severity = scalar(value),
            (10, "summary") => rules.last_mut().unwrap().summary = scalar(value),
            (10, "action") => rules.last_mut().unwrap().action = scalar(value),
            _ => panic!("{line:?} is not expected here"),
        }
    }
    rules
}

/// A scalar that means in YAML what it looks like.
fn scalar(value: &str) -> String {
    if let Some(quoted) = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) {
        assert!(!quoted.contains(['"', '\\']), "{value}");
        return quoted.to_owned();
    }
    let begins = value.chars().next().unwrap();
    assert!(begins.is_ascii_alphabetic(), "{value:?} wants quotes");
    assert!(
        !value.contains(": ") && !value.contains(" #"),
        "{value:?} wants quotes"
    );
    value.to_owned()
}

/// Every metric of an expression, with the labels that are asked for.
fn metrics(expr: &str) -> Vec<(&str, Vec<&str>)> {
    let starts = expr.match_indices("tower_callback_").map(|(at, _)| at);
    let metric = |at: usize| {
        let rest = &expr[at..];
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, rest) = rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len()));
        let matchers = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let matchers = matchers.map_or("", |(matchers, _)| matchers);
        let labels = matchers
            .split(',')
            .filter_map(|matcher| matcher.split(['=', '!']).next())
            .filter(|label| !label.is_empty());
        (name, labels.collect())
    };
    starts.map(metric).collect()
}

#[test]
fn every_metric_and_label_of_every_rule_exists() {
    let rules = rules();
    let mut seen = BTreeSet::new();
    for rule in &rules {
        assert!(seen.insert(&rule.alert), "{} is there twice", rule.alert);
        assert!(
            ["page", "ticket"].contains(&rule.severity.as_str()),
            "{rule:?}"
        );
        assert!(
            !rule.summary.is_empty() && !rule.action.is_empty(),
            "{rule:?}"
        );
        let brackets = |open, close| {
            let count = |c| rule.expr.matches(c).count();
            count(open) == count(close)
        };
        assert!(
            brackets('(', ')') && brackets('{', '}') && brackets('[', ']'),
            "{rule:?}"
        );
        let metrics = metrics(&rule.expr);
        assert!(!metrics.is_empty(), "{rule:?}");
        for (name, labels) in metrics {
            let is_of = |family: &&tower_callback::metrics::Family| match family.kind {
                FamilyKind::Histogram => ["_bucket", "_sum", "_count"]
                    .iter()
                    .any(|part| name.strip_suffix(part) == Some(family.name)),
                _ => name == family.name,
            };
            let family = FAMILIES.iter().find(is_of);
            let family = family.unwrap_or_else(|| panic!("{name} of {rule:?} does not exist"));
            for label in labels {
                let known = labels_of(family.name);
                assert!(known.contains(&label), "{label} of {name} in {rule:?}");
            }
        }
    }
}

#[test]
fn there_is_a_rule_for_each_thing_to_be_woken_for_and_the_guide_names_it() {
    let alerts: Vec<_> = rules().into_iter().map(|rule| rule.alert).collect();
    let guide = include_str!("../../docs/observing.md");
    assert_eq!(
        alerts,
        [
            "CallbackInboxOld",
            "CallbackNobodyLeases",
            "CallbackDeadLetters",
            "CallbackOnlyPolling",
            "CallbackRetiringSecretInUse",
            "CallbackDiskReserve",
            "CallbackVideoNotFetched",
        ]
    );
    for alert in alerts {
        assert!(guide.contains(&format!("| `{alert}` |")), "{alert}");
    }
}
