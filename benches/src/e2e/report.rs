//! What was measured, in words.

use std::{collections::BTreeMap, fmt::Write};

use super::{contestants::Contestant, traffic::Traffic};
use crate::{
    statistics::{Spread, median},
    table::{Table, count},
};

/// One server, one kind of traffic, one round.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Sample {
    pub(crate) round: u32,
    pub(crate) server: &'static str,
    pub(crate) traffic: Traffic,
    pub(crate) answers: u64,
    pub(crate) per_second: f64,
    /// Milliseconds, corrected for coordinated omission.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
    /// Of the server's processor, for each answer.
    pub(crate) microseconds: f64,
    pub(crate) peak_mib: f64,
}

/// Which ratios the goals are about.
const PAIRS: &[(&str, Traffic, &str, &str)] = &[
    ("P1", Traffic::Unique, "ours, memory", "bare hyper"),
    ("P1", Traffic::Unique, "ours, memory", "axum, `Json`"),
    ("P1", Traffic::Unique, "ours, memory", "Express"),
    ("P2", Traffic::Same, "ours, memory", "bare hyper"),
    ("P3", Traffic::BadToken, "ours, memory", "bare hyper"),
    (
        "P4",
        Traffic::Foreign,
        "ours, memory, around the app",
        "bare hyper",
    ),
    ("P7", Traffic::Unique, "ours, SQLite", "SQLite by hand"),
    ("P7", Traffic::Unique, "ours, SQLite", "append-only file"),
];

pub(crate) struct Report<'a> {
    pub(crate) samples: &'a [Sample],
    pub(crate) contestants: &'a [Contestant],
}

impl Report<'_> {
    fn of(&self, server: &str, traffic: Traffic) -> Vec<&Sample> {
        let is_it = |sample: &&Sample| sample.server == server && sample.traffic == traffic;
        self.samples.iter().filter(is_it).collect()
    }

    /// The ratio of each round.
    fn ratios(&self, server: &str, other: &str, traffic: Traffic) -> Option<Spread> {
        let others: BTreeMap<u32, f64> = self
            .of(other, traffic)
            .iter()
            .map(|sample| (sample.round, sample.per_second))
            .collect();
        let ratios = self.of(server, traffic).into_iter().filter_map(|sample| {
            let other = others.get(&sample.round)?;
            Some(sample.per_second / other)
        });
        Spread::of(ratios)
    }

    /// Answers a second, the median of the rounds.
    pub(crate) fn per_second(&self, server: &str, traffic: Traffic) -> Option<f64> {
        median(
            self.of(server, traffic)
                .iter()
                .map(|sample| sample.per_second),
        )
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for traffic in Traffic::ALL {
            let measured = |contestant: &&Contestant| !self.of(contestant.name, traffic).is_empty();
            let contestants: Vec<&Contestant> = self.contestants.iter().filter(measured).collect();
            if contestants.is_empty() {
                continue;
            }
            let mut table = Table::new([
                traffic.title(),
                "requests/s",
                "× bare hyper",
                "p50 ms",
                "p99 ms",
                "p99.9 ms",
                "longest ms",
                "CPU µs each",
                "MiB",
            ]);
            for contestant in contestants {
                table.row(self.row(contestant.name, traffic));
            }
            // Writing to a string never fails.
            let _ = writeln!(text, "{table}");
        }
        let _ = writeln!(text, "{}", self.goals());
        text
    }

    fn row(&self, server: &str, traffic: Traffic) -> [String; 9] {
        let samples = self.of(server, traffic);
        let middle = |value: fn(&Sample) -> f64| {
            median(samples.iter().map(|sample| value(sample))).unwrap_or_default()
        };
        let ratio = self.ratios(server, "bare hyper", traffic);
        [
            server.to_owned(),
            count(middle(|sample| sample.per_second)),
            ratio.map_or("–".to_owned(), |ratio| ratio.to_string()),
            format!("{:.2}", middle(|sample| sample.p50)),
            format!("{:.2}", middle(|sample| sample.p99)),
            format!("{:.2}", middle(|sample| sample.p999)),
            format!("{:.1}", middle(|sample| sample.max)),
            format!("{:.1}", middle(|sample| sample.microseconds)),
            format!("{:.0}", middle(|sample| sample.peak_mib)),
        ]
    }

    fn goals(&self) -> Table {
        let mut table = Table::new([
            "ratio, median (least–most of the rounds)",
            "traffic",
            "measured",
        ]);
        for (goal, traffic, server, other) in PAIRS {
            if let Some(ratio) = self.ratios(server, other, *traffic) {
                table.row([
                    format!("{goal}: {server} / {other}"),
                    traffic.title().to_owned(),
                    ratio.to_string(),
                ]);
            }
        }
        table
    }
}
