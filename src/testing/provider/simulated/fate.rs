//! What a seed and a plan make of a submission: everything random is decided here, before anything
//! is answered.

use std::{
    collections::VecDeque,
    ops::{Range, RangeInclusive},
    sync::Arc,
    time::Duration,
};

use http::StatusCode;

use super::{TaskFault, TaskFaults, TaskPlan, TimeFormat, video::Video};
use crate::testing::provider::{Fault, random::SplitMix64};

/// All that will happen to one task, whenever somebody asks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fate {
    pub(super) task_id: Arc<str>,
    pub(super) music_id: String,
    pub(super) rendering: Duration,
    pub(super) failure: Option<Failure>,
    /// How long after a first failure the success comes.
    pub(super) fails_first: Option<Duration>,
    /// What `generate` refuses with before it submits the task.
    pub(super) refusals: VecDeque<i64>,
    pub(super) answer: Answering,
    pub(super) reach: Reach,
    pub(super) details: VecDeque<DetailsMishap>,
    pub(super) behind: Duration,
    /// From when to when `details` knows the task, from its submission.
    pub(super) known: Range<Duration>,
    pub(super) video: Video,
    pub(super) downloads: VecDeque<DownloadMishap>,
    /// How long each URL is good.
    pub(super) expiry: Duration,
    pub(super) expired: StatusCode,
    pub(super) text_times: bool,
    pub(super) callback_faults: Vec<Fault>,
    /// Whence the callbacks' own chance follows.
    pub(super) callbacks: SplitMix64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub(super) code: i64,
    pub(super) msg: String,
    pub(super) flag: &'static str,
}

/// How `generate` answers once the task is submitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Answering {
    AtOnce,
    Late(Duration),
    /// The connection is closed instead.
    Cut,
    /// With 500.
    Error,
}

/// What becomes of the callbacks before they leave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reach {
    Sent,
    /// Lost, and nobody knows.
    Silent,
    /// Lost, and `details` says so.
    Exception,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum DetailsMishap {
    Refused(i64),
    Slow(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum DownloadMishap {
    /// The connection is closed after so many 1024ths of what was asked for.
    Cut(u64),
    Slow(Duration),
    /// So many bytes more are announced than there are.
    TooLong(u64),
}

/// What the settings say about all tasks.
#[derive(Clone, Debug)]
pub(super) struct Chances {
    pub(super) faults: TaskFaults,
    pub(super) rendering: RangeInclusive<Duration>,
    pub(super) video_bytes: RangeInclusive<u64>,
    pub(super) times: TimeFormat,
}

/// How long a URL is good where nothing is wrong, as the provider documents it.
const URL_LIFE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

const FAILURES: [(i64, &str); 3] = [
    (400, "Music video generation failed"),
    (451, "The source audio could not be downloaded"),
    (500, "Internal Error - Please try again later"),
];
const FLAGS: [&str; 2] = ["GENERATE_MP4_FAILED", "CREATE_TASK_FAILED"];
const REFUSALS: [i64; 5] = [405, 429, 430, 455, 500];
const EXPIRED: [StatusCode; 3] = [
    StatusCode::FORBIDDEN,
    StatusCode::NOT_FOUND,
    StatusCode::GONE,
];

/// Beyond the numbers of all faults, so that a new fault leaves the rest as it was.
const CALLBACKS: u64 = 1 << 32;

impl Fate {
    /// `random` is the submission's own.
    pub(super) fn new(random: &SplitMix64, plan: TaskPlan, chances: &Chances) -> Self {
        let id = random.seed();
        let mut basics = random.fork(0);
        let rendering = basics.between(*chances.rendering.start(), *chances.rendering.end());
        let bytes = within(&chances.video_bytes, &mut basics);
        let video_seed = basics.next();
        let mixed = basics.chance(0.5);
        let mut fate = Self {
            task_id: format!("taskId_{id:016x}").into(),
            music_id: format!("audioId_{:012x}", basics.next() >> 16),
            rendering: plan.rendering.unwrap_or(rendering),
            failure: plan.failure.map(|(code, msg)| Failure {
                code: if matches!(code, 0 | 200) { 500 } else { code },
                msg,
                flag: FLAGS[0],
            }),
            fails_first: None,
            refusals: plan.refusals.into(),
            answer: plan
                .answering_after
                .map_or(Answering::AtOnce, Answering::Late),
            reach: Reach::Sent,
            details: plan
                .details_refusals
                .into_iter()
                .map(DetailsMishap::Refused)
                .collect(),
            behind: Duration::ZERO,
            known: Duration::ZERO..plan.forgotten_after.unwrap_or(Duration::MAX),
            video: Video::new(video_seed, plan.video_bytes.unwrap_or(bytes)),
            downloads: VecDeque::new(),
            expiry: plan.expiry.map_or(URL_LIFE, |(after, _)| after),
            expired: plan
                .expiry
                .map_or(StatusCode::FORBIDDEN, |(_, status)| status),
            text_times: match chances.times {
                TimeFormat::Millis => false,
                TimeFormat::Text => true,
                TimeFormat::Mixed => mixed,
            },
            callback_faults: plan.callback_faults,
            callbacks: random.fork(CALLBACKS),
        };
        for &fault in TaskFault::ALL {
            // A sequence for each, so that one fault more or less leaves the others as they are.
            let mut random = random.fork(1 + fault as u64);
            let rolled = random.chance(chances.faults.share(fault));
            if rolled || plan.faults.contains(&fault) {
                fate.suffer(fault, &mut random);
            }
        }
        if fate.failure.is_some() {
            fate.fails_first = None;
        }
        fate
    }

    /// Whether `details` knows the task so long after its submission.
    pub(super) fn is_known(&self, age: Duration) -> bool {
        self.known.contains(&age)
    }

    /// When the task has ended for good, from its submission.
    pub(super) fn end(&self) -> Duration {
        self.rendering + self.fails_first.unwrap_or_default()
    }

    fn suffer(&mut self, fault: TaskFault, random: &mut SplitMix64) {
        let few = 1 + random.below(3);
        let seconds = Duration::from_secs;
        match fault {
            TaskFault::Fails => {
                let (code, msg) = FAILURES[random.below(FAILURES.len())];
                let flag = FLAGS[random.below(FLAGS.len())];
                let msg = msg.to_owned();
                // A chosen failure is more exact than this.
                self.failure.get_or_insert(Failure { code, msg, flag });
            }
            TaskFault::FailsFirst => {
                self.fails_first = Some(random.between(seconds(1), seconds(300)));
            }
            TaskFault::Silent => self.reach = Reach::Silent,
            TaskFault::CallbackException => self.reach = Reach::Exception,
            TaskFault::Refused => {
                let refusals = (0..few).map(|_| REFUSALS[random.below(REFUSALS.len())]);
                self.refusals.extend(refusals);
            }
            TaskFault::AnswersLate => {
                self.answer = Answering::Late(random.between(seconds(60), seconds(120)));
            }
            TaskFault::AnswerCut => self.answer = Answering::Cut,
            TaskFault::AnswersError => self.answer = Answering::Error,
            TaskFault::DetailsSlow => {
                let slow = (0..few).map(|_| random.between(seconds(5), seconds(60)));
                self.details.extend(slow.map(DetailsMishap::Slow));
            }
            TaskFault::DetailsFail => {
                self.details
                    .extend((0..few).map(|_| DetailsMishap::Refused(500)));
            }
            TaskFault::DetailsBehind => self.behind = random.between(seconds(60), seconds(300)),
            TaskFault::DetailsUnseen => self.known.start = random.between(seconds(1), seconds(60)),
            TaskFault::VideoCut => {
                let cuts = (0..few).map(|_| DownloadMishap::Cut(random.below(1024) as u64));
                self.downloads.extend(cuts);
            }
            TaskFault::VideoSlow => {
                let slow = random.between(seconds(5), seconds(60));
                self.downloads.push_back(DownloadMishap::Slow(slow));
            }
            TaskFault::VideoTooLong => {
                let more = 1 + random.below(1000) as u64;
                self.downloads.push_back(DownloadMishap::TooLong(more));
            }
            TaskFault::UrlExpires => {
                self.expiry = random.between(seconds(60), seconds(600));
                self.expired = EXPIRED[random.below(EXPIRED.len())];
            }
        }
    }
}

fn within(range: &RangeInclusive<u64>, random: &mut SplitMix64) -> u64 {
    let span = range.end().saturating_sub(*range.start());
    let span = usize::try_from(span)
        .unwrap_or(usize::MAX)
        .saturating_add(1);
    range.start() + random.below(span) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What seed 7 makes of the first task when everything goes wrong.
    const GOLDEN: &str = "Fate { task_id: \"taskId_63cbe1e459320dd7\", music_id: \"audioId_849470edc349\", rendering: 62.65625s, \
        failure: Some(Failure { code: 400, msg: \"Music video generation failed\", flag: \"GENERATE_MP4_FAILED\" }), \
        fails_first: None, refusals: [455], answer: Error, reach: Exception, details: [Slow(21.65039047s), \
        Slow(30.24414039s), Slow(15.795898337s), Refused(500), Refused(500)], behind: 178.359375s, \
        known: 11.083007725s..18446744073709551615.999999999s, video: Video { seed: 18386555679719319649, \
        length: 141 }, downloads: [Cut(153), Slow(53.662108922s), TooLong(980)], expiry: 427.03125s, \
        expired: 410, text_times: true, callback_faults: [], callbacks: SplitMix64(10809547330296101510) }";

    fn fates(seed: u64, faults: &TaskFaults, plan: &TaskPlan) -> Vec<Fate> {
        let chances = Chances {
            faults: faults.clone(),
            rendering: Duration::from_secs(20)..=Duration::from_secs(90),
            video_bytes: 100..=200,
            times: TimeFormat::Mixed,
        };
        let random = SplitMix64::new(seed);
        (0..200)
            .map(|index| Fate::new(&random.fork(index), plan.clone(), &chances))
            .collect()
    }

    #[test]
    fn a_seed_means_the_same_for_ever() {
        let fate = &fates(7, &TaskFaults::all(1.0), &TaskPlan::new())[0];
        assert_eq!(format!("{fate:?}"), GOLDEN);
    }

    #[test]
    fn the_same_seed_makes_the_same_fates_and_another_seed_others() {
        let (faults, plan) = (TaskFaults::all(0.5), TaskPlan::new());
        assert_eq!(fates(7, &faults, &plan), fates(7, &faults, &plan));
        assert_ne!(fates(7, &faults, &plan), fates(8, &faults, &plan));
    }

    #[test]
    fn one_fault_more_leaves_the_others_as_they_were() {
        let plan = TaskPlan::new();
        let before = fates(
            7,
            &TaskFaults::all(0.5).with(TaskFault::Refused, 0.0),
            &plan,
        );
        let mut after = fates(7, &TaskFaults::all(0.5), &plan);
        assert!(after.iter().any(|fate| !fate.refusals.is_empty()));
        for fate in &mut after {
            fate.refusals.clear();
        }
        assert_eq!(after, before);
    }

    #[test]
    fn every_fault_strikes_about_its_share_and_surely_when_it_is_chosen() {
        let (none, plan) = (TaskFaults::none(), TaskPlan::new());
        let untouched = fates(7, &none, &plan);
        for &fault in TaskFault::ALL {
            let struck = |fates: Vec<Fate>| {
                let pairs = fates.iter().zip(&untouched);
                pairs.filter(|(fate, untouched)| fate != untouched).count()
            };
            let share = struck(fates(7, &none.clone().with(fault, 0.5), &plan));
            assert!((60..140).contains(&share), "{fault:?} {share}");
            let chosen = struck(fates(7, &none, &plan.clone().with(fault)));
            assert_eq!(chosen, 200, "{fault:?}");
        }
    }

    #[test]
    fn what_is_chosen_is_as_chosen_and_the_rest_is_left_to_the_seed() {
        let plan = TaskPlan::failing(531, "words")
            .after(Duration::from_secs(7))
            .video_bytes(1000)
            .refused(455, 2)
            .details_refused(500, 1)
            .expiring(Duration::from_secs(9), StatusCode::GONE)
            .answering_after(Duration::from_secs(8));
        let untouched = fates(7, &TaskFaults::none(), &TaskPlan::new());
        for (fate, untouched) in fates(7, &TaskFaults::all(0.0), &plan)
            .into_iter()
            .zip(untouched)
        {
            let failure = fate.failure.unwrap();
            assert_eq!((failure.code, &*failure.msg), (531, "words"));
            assert_eq!(fate.rendering, Duration::from_secs(7));
            assert_eq!(fate.video.length(), 1000);
            assert_eq!(fate.refusals, [455, 455]);
            assert_eq!(fate.details, [DetailsMishap::Refused(500)]);
            assert_eq!(fate.expiry, Duration::from_secs(9));
            assert_eq!(fate.expired, StatusCode::GONE);
            assert_eq!(fate.answer, Answering::Late(Duration::from_secs(8)));
            assert_eq!(fate.task_id, untouched.task_id);
            assert_eq!(fate.callbacks, untouched.callbacks);
        }
        let success = TaskPlan::failing(200, "no failure");
        let code = fates(7, &TaskFaults::none(), &success)[0]
            .failure
            .clone()
            .unwrap()
            .code;
        assert_eq!(code, 500, "no failure has the code of a success");
    }

    #[test]
    fn everything_is_within_what_the_settings_and_the_faults_say() {
        let seconds = Duration::from_secs;
        let fates = fates(
            7,
            &TaskFaults::all(1.0).with(TaskFault::Fails, 0.0),
            &TaskPlan::new(),
        );
        for fate in &fates {
            assert!((seconds(20)..=seconds(90)).contains(&fate.rendering));
            assert!((100..=200).contains(&fate.video.length()));
            assert!((1..=3).contains(&fate.refusals.len()));
            assert_eq!(fate.end(), fate.rendering + fate.fails_first.unwrap());
            assert!((seconds(60)..=seconds(600)).contains(&fate.expiry));
        }
        let lengths: std::collections::HashSet<_> =
            fates.iter().map(|it| it.video.length()).collect();
        assert!(lengths.len() > 50, "{lengths:?}");
        assert!(fates.iter().any(|it| it.text_times) && fates.iter().any(|it| !it.text_times));
        for code in REFUSALS {
            assert!(fates.iter().any(|it| it.refusals.contains(&code)), "{code}");
        }
        for status in EXPIRED {
            assert!(fates.iter().any(|it| it.expired == status), "{status}");
        }
    }
}
