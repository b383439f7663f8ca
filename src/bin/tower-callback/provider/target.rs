//! The black-box test of a receiver.

use std::{
    collections::HashMap,
    fs, io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tower_callback::testing::provider::{Answer, Fault, Faults, Kind, Report};

use super::Args;
use crate::{
    given::Given,
    output::{Output, green, progress, red},
    send::{caller, clock},
    stop::{Result, Stop},
};

/// What a provider that has a bad day does, when nothing else is said.
fn usual() -> Faults {
    Faults::none()
        .with(Fault::Duplicate, 0.3)
        .with(Fault::Concurrent, 0.2)
        .with(Fault::WrongProof, 0.1)
        .with(Fault::Malformed, 0.1)
        .with(Fault::Slow, 0.1)
        .with(Fault::Cut, 0.1)
        .with(Fault::Late, 0.3)
}

pub(super) async fn run(args: &Args, url: &Given, out: &mut Output) -> Result {
    let events = args.target.events;
    let bar = progress(Some(events as u64), "events received");
    let shown = bar.clone();
    let mut received = std::collections::HashSet::new();
    let mut faults = args.callback_faults(usual());
    if !args.proof.is_there() && !url.read()?.contains('?') {
        // Without any proof, nothing can be forged.
        faults = faults.with(Fault::WrongProof, 0.0);
    }
    let report = caller(url, &args.proof)?
        .clock(clock(args.scale))
        .seed(args.seed)
        .events(events)
        .faults(faults)
        .observe(move |attempt| {
            if attempt.kind.is_genuine() && attempt.is_received() && received.insert(attempt.event)
            {
                shown.inc(1);
            }
        })
        .run()
        .await;
    bar.finish_and_clear();
    let handled = match &args.target.handled {
        Some(path) => Some(settled(path, &report, args.target.settle).await?),
        None => None,
    };
    Verdict::of(&report, handled.as_ref()).tell(out)
}

/// How often each task was handled.
type Handled = HashMap<String, usize>;

/// Waits until everything that was acknowledged was handled, but not for ever.
async fn settled(path: &Path, report: &Report, patience: Duration) -> Result<Handled> {
    let until = Instant::now() + patience;
    loop {
        let handled =
            read(path).map_err(|error| Stop::unavailable(&path.display().to_string(), &error))?;
        let acknowledged = report.events().iter().filter(|event| event.acknowledged);
        let all = acknowledged
            .map(|event| &*event.task_id)
            .all(|id| handled.contains_key(id));
        if all || Instant::now() > until {
            return Ok(handled);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn read(path: &Path) -> io::Result<Handled> {
    let text = match fs::read_to_string(path) {
        // Nothing was handled by now.
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        text => text?,
    };
    let mut handled = Handled::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        *handled.entry(line.to_owned()).or_default() += 1;
    }
    Ok(handled)
}

struct Verdict {
    events: usize,
    requests: usize,
    lost: usize,
    twice: Option<usize>,
    late: usize,
    forged: usize,
    dropped: usize,
}

impl Verdict {
    fn of(report: &Report, handled: Option<&Handled>) -> Self {
        let times = |id: &Arc<str>| handled.map(|handled| handled.get(&**id).copied().unwrap_or(0));
        let events = report.events();
        let lost = |acknowledged: bool, times: Option<usize>| !acknowledged || times == Some(0);
        let attempts = report.attempts();
        let accepted = |kind: Kind| {
            let attempts = attempts.iter();
            attempts
                .filter(|attempt| attempt.kind == kind && attempt.is_received())
                .count()
        };
        let late = attempts
            .iter()
            .filter(|attempt| attempt.kind.is_genuine() && attempt.answer == Answer::TimedOut);
        let forged_and_handled = handled.map_or(0, |handled| {
            handled
                .keys()
                .filter(|id| id.starts_with("forged-"))
                .count()
        });
        Self {
            events: events.len(),
            requests: attempts.len(),
            lost: events
                .iter()
                .filter(|it| lost(it.acknowledged, times(&it.task_id)))
                .count(),
            twice: handled.map(|_| {
                events
                    .iter()
                    .filter(|it| times(&it.task_id) > Some(1))
                    .count()
            }),
            late: late.count(),
            forged: accepted(Kind::WrongProof).max(forged_and_handled),
            dropped: accepted(Kind::Malformed),
        }
    }

    fn tell(&self, out: &mut Output) -> Result {
        let wrong = [
            ("lost", Some(self.lost)),
            ("handled twice", self.twice),
            ("answered too late", Some(self.late)),
            ("forged, accepted", Some(self.forged)),
            ("unreadable, dropped", Some(self.dropped)),
        ];
        if out.is_json() {
            out.json(&json!({
                "events": self.events,
                "requests": self.requests,
                "lost": self.lost,
                "handled_twice": self.twice,
                "answered_too_late": self.late,
                "forged_accepted": self.forged,
                "unreadable_dropped": self.dropped,
            }))?;
        } else {
            out.line(format_args!("{:<20}{:>8}", "events", self.events))?;
            out.line(format_args!("{:<20}{:>8}", "requests", self.requests))?;
            for (name, count) in wrong {
                let line = match count {
                    None => {
                        format!("{name:<20}       ?  not to be seen from outside: see --handled")
                    }
                    Some(0) => green(&format!("{name:<20}{:>8}", 0)),
                    Some(count) => red(&format!("{name:<20}{count:>8}")),
                };
                out.line(line)?;
            }
        }
        match wrong
            .iter()
            .any(|(_, count)| count.is_some_and(|count| count > 0))
        {
            true => Err(Stop::told()),
            false => Ok(()),
        }
    }
}
