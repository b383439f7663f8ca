//! What was recorded, and what may come of it.

use std::{collections::BTreeMap, fs, path::PathBuf};

use tower_callback::BoxError;

use super::Cost;

/// So much more may something cost than was recorded.
const SLACK: f64 = 1.05;

/// What each scenario cost when it was recorded.
#[derive(serde::Deserialize, serde::Serialize)]
#[serde(transparent)]
pub(super) struct Limits(BTreeMap<String, Cost>);

impl Limits {
    pub(super) fn read() -> Result<Self, BoxError> {
        Ok(serde_json::from_str(&fs::read_to_string(path())?)?)
    }

    pub(super) fn write(&self) -> Result<(), BoxError> {
        let text = serde_json::to_string_pretty(self)?;
        Ok(fs::write(path(), text + "\n")?)
    }

    pub(super) fn of(&self, scenario: &str) -> Option<Cost> {
        self.0.get(scenario).copied()
    }

    pub(super) fn set(&mut self, scenario: &str, cost: Cost) {
        self.0.insert(scenario.to_owned(), cost);
    }

    /// What is to be said where something costs too much, or was never recorded.
    pub(super) fn regression(&self, scenario: &str, now: Cost) -> Option<String> {
        let Some(recorded) = self.of(scenario) else {
            return Some(format!(
                "{scenario}: nothing was recorded (`--record` does)"
            ));
        };
        let grown = |now: f64, recorded: f64| now > recorded * SLACK;
        // Averages: one in a thousand times may be another.
        let more = grown(now.instructions, recorded.instructions)
            || grown(now.allocations, recorded.allocations + 0.01);
        more.then(|| format!("{scenario}: {now:?}, and {recorded:?} was recorded"))
    }
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("limits.json")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Cost, Limits};

    fn regression(instructions: f64, allocations: f64) -> bool {
        let recorded = Cost {
            instructions: 1000.0,
            allocations: 0.0,
        };
        let now = Cost {
            instructions,
            allocations,
        };
        let limits = Limits(BTreeMap::from([("it".to_owned(), recorded)]));
        limits.regression("it", now).is_some()
    }

    #[test]
    fn a_twentieth_more_instructions_and_not_one_allocation_more() {
        assert!(!regression(1050.0, 0.0));
        assert!(regression(1051.0, 0.0));
        assert!(regression(900.0, 1.0));
    }

    #[test]
    fn what_was_never_recorded_does_not_pass() {
        let limits = Limits(BTreeMap::new());
        assert!(limits.regression("it", Cost::default()).is_some());
    }
}
