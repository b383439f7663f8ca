//! What a seed and a plan make of a submission: everything random is decided here, before anything
//! is answered.

use std::{collections::VecDeque, ops::RangeInclusive, sync::Arc, time::Duration};

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
    pub(super) unseen: Duration,
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
            unseen: Duration::ZERO,
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
            TaskFault::DetailsUnseen => self.unseen = random.between(seconds(1), seconds(60)),
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
