//! What a seed makes of an event: everything random is decided here, before anything is sent.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Fault, Faults, Planned, Schedule, malformed::malformed, random::SplitMix64};
use crate::music_video::MusicVideo;

/// All that will be sent for one event, whatever is answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) task_id: Arc<str>,
    pub(super) code: i64,
    pub(super) body: Bytes,
    /// When the first attempt is due, from the start.
    pub(super) at: Duration,
    /// What happens to the first attempts, one after the other.
    pub(super) mishaps: VecDeque<Mishap>,
    pub(super) concurrent: usize,
    /// How long after the acknowledgement.
    pub(super) duplicates: Vec<Duration>,
    pub(super) forged: Vec<Bytes>,
    pub(super) malformed: Vec<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mishap {
    /// The connection is closed after so many bytes of the body.
    Cut(usize),
    /// The body takes so long.
    Slow(Duration),
}

/// The longest that something is late or repeated afterwards.
const LATE: Duration = Duration::from_secs(60);

impl Plan {
    pub(super) fn new(
        planned: Planned,
        random: &SplitMix64,
        faults: &Faults,
        schedule: &Schedule,
    ) -> Self {
        let mut plan = Self {
            task_id: planned.task_id,
            code: planned.code,
            body: planned.body,
            at: planned.after,
            mishaps: VecDeque::new(),
            concurrent: 0,
            duplicates: Vec::new(),
            forged: Vec::new(),
            malformed: Vec::new(),
        };
        for &fault in Fault::ALL {
            // A sequence for each, so that one fault more or less leaves the others as they are.
            let mut random = random.fork(1 + fault as u64);
            let rolled = usize::from(random.chance(faults.share(fault)));
            let chosen = planned.faults.iter().filter(|it| **it == fault).count();
            for _ in 0..rolled + chosen {
                plan.add(fault, &mut random, schedule);
            }
        }
        plan
    }

    fn add(&mut self, fault: Fault, random: &mut SplitMix64, schedule: &Schedule) {
        match fault {
            Fault::Duplicate => self.duplicates.push(random.between(Duration::ZERO, LATE)),
            Fault::Concurrent => self.concurrent += 1,
            Fault::WrongProof => {
                let forged = MusicVideo::succeeded(
                    format!("forged-{}", self.task_id),
                    "https://forged.example/video.mp4",
                );
                self.forged.push(forged.encode());
            }
            Fault::Malformed => self.malformed.push(malformed(&self.body, random)),
            Fault::Slow => {
                let timeout = schedule.timeout();
                let slow = random.between(timeout / 10, timeout / 5 * 4);
                self.mishaps.push_back(Mishap::Slow(slow));
            }
            Fault::Cut => {
                let kept = random.below(self.body.len().max(1));
                // In front: a slow attempt may be acknowledged, and then nothing comes after it.
                self.mishaps.push_front(Mishap::Cut(kept));
            }
            Fault::Late => self.at += random.between(Duration::ZERO, LATE),
        }
    }
}

/// Codes of the family, as often as they should come.
const CODES: [i64; 24] = [
    200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 0, 400, 400, 451, 451, 500, 500,
    408, 413, 429, 501, 531,
];

/// An event that the seed makes up: about half are successes. No two of a seed have the same id.
pub(super) fn made_up(random: &SplitMix64) -> Planned {
    let seed = random.seed();
    let mut random = random.fork(0);
    let task_id = format!("taskId_{seed:016x}");
    let code = CODES[random.below(CODES.len())];
    let event = match code {
        0 | 200 => {
            let url = format!("https://example.com/videos/{seed:016x}.mp4");
            let mut event = MusicVideo::succeeded(task_id, url);
            event.code = code;
            event
        }
        _ => MusicVideo::failed(task_id, code, "Music video generation failed"),
    };
    event.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plans(seed: u64, faults: &Faults) -> Vec<Plan> {
        let random = SplitMix64::new(seed);
        (0..200)
            .map(|index| {
                let random = random.fork(index);
                Plan::new(made_up(&random), &random, faults, &Schedule::default())
            })
            .collect()
    }

    #[test]
    fn a_seed_means_the_same_for_ever() {
        let plan = &plans(7, &Faults::all(1.0))[0];
        assert_eq!(&*plan.task_id, "taskId_63cbe1e459320dd7");
        assert_eq!(plan.code, 400);
        assert_eq!(plan.at, Duration::from_nanos(45_878_906_250));
        let slow = Duration::from_nanos(1_653_808_590);
        assert_eq!(plan.mishaps, [Mishap::Cut(5), Mishap::Slow(slow)]);
        assert_eq!(plan.duplicates, [Duration::from_nanos(3_105_468_750)]);
        assert_eq!(plan.malformed, ["[".repeat(10_000)]);
    }

    #[test]
    fn the_same_seed_makes_the_same_plans_and_another_seed_others() {
        let faults = Faults::all(0.5);
        assert_eq!(plans(7, &faults), plans(7, &faults));
        assert_ne!(plans(7, &faults), plans(8, &faults));
    }

    #[test]
    fn one_fault_more_leaves_the_others_as_they_were() {
        let before = plans(7, &Faults::all(0.5).with(Fault::Duplicate, 0.0));
        let mut after = plans(7, &Faults::all(0.5));
        assert!(after.iter().any(|plan| !plan.duplicates.is_empty()));
        for plan in &mut after {
            plan.duplicates.clear();
        }
        assert_eq!(after, before);
    }

    #[test]
    fn every_fault_strikes_about_its_share_and_every_code_comes() {
        let plans = plans(7, &Faults::all(0.5));
        let struck = [
            plans.iter().filter(|p| p.concurrent > 0).count(),
            plans.iter().filter(|p| !p.duplicates.is_empty()).count(),
            plans.iter().filter(|p| !p.forged.is_empty()).count(),
            plans.iter().filter(|p| !p.malformed.is_empty()).count(),
            plans.iter().filter(|p| p.mishaps.len() == 2).count() * 2,
            plans.iter().filter(|p| p.at > Duration::ZERO).count(),
        ];
        for count in struck {
            assert!((60..140).contains(&count), "{struck:?}");
        }
        for code in CODES {
            assert!(plans.iter().any(|plan| plan.code == code), "{code}");
        }
    }

    #[test]
    fn no_two_events_of_a_seed_have_the_same_id() {
        let ids: std::collections::HashSet<_> = plans(7, &Faults::none())
            .into_iter()
            .map(|plan| plan.task_id)
            .collect();
        assert_eq!(ids.len(), 200);
    }

    #[test]
    fn a_cut_comes_before_a_slow_attempt_and_never_sends_the_whole_body() {
        for plan in plans(7, &Faults::all(1.0)) {
            let mishaps: Vec<_> = plan.mishaps.iter().copied().collect();
            let [Mishap::Cut(kept), Mishap::Slow(slow)] = mishaps[..] else {
                panic!("{:?}", plan.mishaps);
            };
            assert!(kept < plan.body.len());
            assert!(slow < Schedule::default().timeout());
        }
    }
}
