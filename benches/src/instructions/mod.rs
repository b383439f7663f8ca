//! Instructions and allocations, counted by valgrind, and held against what was recorded.

mod callgrind;
mod limits;

use std::collections::BTreeMap;

use tower_callback::BoxError;

use self::{callgrind::count, limits::Limits};
use crate::{
    docs::Docs,
    scenarios::{self, Scenario},
    table::Table,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only ours, and what it is compared with
    #[arg(long)]
    quick: bool,
    /// Fail where something costs 5 % more than was recorded
    #[arg(long)]
    check: bool,
    /// Record what is counted now
    #[arg(long, conflicts_with_all = ["check", "quick"])]
    record: bool,
}

/// What one time of something costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Deserialize, serde::Serialize)]
pub(crate) struct Cost {
    pub(crate) instructions: f64,
    pub(crate) allocations: f64,
}

impl Cost {
    fn over(self, floor: Self) -> Self {
        Self {
            instructions: self.instructions - floor.instructions,
            allocations: self.allocations - floor.allocations,
        }
    }
}

pub(crate) fn run(options: &Options, docs: &Docs) -> Result<(), BoxError> {
    let mut limits = Limits::read()?;
    let mut costs = BTreeMap::new();
    let mut table = Table::new([
        "what",
        "instructions",
        "allocations",
        "over",
        "recorded",
        "now",
    ]);
    let mut regressions = Vec::new();
    for scenario in scenarios::ALL {
        if options.quick && !is_needed(scenario) {
            continue;
        }
        eprintln!("counting: {}", scenario.name);
        let whole = cost(scenario)?;
        costs.insert(scenario.name, whole);
        let own = match scenario.floor {
            Some(floor) => whole.over(costs[floor]),
            None => whole,
        };
        let recorded = limits.of(scenario.name);
        table.row([
            scenario.name.to_owned(),
            format!("{:.0}", own.instructions),
            format!("{:.1}", own.allocations),
            scenario.floor.unwrap_or("–").to_owned(),
            recorded.map_or("–".to_owned(), |recorded| {
                format!("{:.0}", recorded.instructions)
            }),
            recorded.map_or("–".to_owned(), |recorded| change(own, recorded)),
        ]);
        if options.record {
            limits.set(scenario.name, own);
        }
        if !scenario.is_peer {
            regressions.extend(limits.regression(scenario.name, own));
        }
    }
    docs.section("instructions", &table.to_string())?;
    if options.record {
        return limits.write();
    }
    if options.check && !regressions.is_empty() {
        return Err(regressions.join("\n").into());
    }
    Ok(())
}

fn change(now: Cost, recorded: Cost) -> String {
    format!(
        "{:+.1} %",
        (now.instructions / recorded.instructions - 1.0) * 100.0
    )
}

fn is_needed(scenario: &Scenario) -> bool {
    let is_floor = |other: &Scenario| other.floor == Some(scenario.name);
    !scenario.is_peer || scenarios::ALL.iter().any(is_floor)
}

/// A second run does it a thousand times more, and differs by nothing else.
fn cost(scenario: &Scenario) -> Result<Cost, BoxError> {
    const FEW: u32 = 500;
    const MANY: u32 = 1500;
    let (few, many) = (count(scenario.name, FEW)?, count(scenario.name, MANY)?);
    let times = f64::from(MANY - FEW);
    let each = |few: u64, many: u64| (many as f64 - few as f64) / times;
    Ok(Cost {
        instructions: each(few.instructions, many.instructions),
        allocations: each(few.allocations, many.allocations),
    })
}
