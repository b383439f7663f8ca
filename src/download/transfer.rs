//! One video on its way: asked for until it is there, or until it is clear that it will not be.

use std::{mem, sync::Arc, time::Duration};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::{
    answer::{Asked, Part, Setback, Validator, judge, too_large},
    digest::{Digest, Summary},
    downloader::Shared,
    error::{DownloadError, DownloadErrorKind as Kind},
    ftyp::{self, Start},
    lent::Lent,
    pace::Pace,
    progress::{Progress, Reporter},
    request::{Answer, Wanted, failed, too_slow},
    sink::Sink,
};
use crate::{
    clock::Stopwatch,
    count,
    worker::{RetryPolicy, random},
};

/// How often a download may begin anew: a server that has something else each time never ends.
const MAX_RESTARTS: u32 = 5;

/// How often somebody is asked for a fresh URL.
const MAX_REFRESHES: u32 = 2;

/// How much is written and hashed at once: enough to be worth a thread's while, and little enough to be in
/// the processor's caches still. A block of 1 MiB takes a third longer.
const BLOCK: usize = 256 * 1024;

/// What a connection must bring to count as one that works.
const HEADWAY: u64 = 64 * 1024;

pub(super) struct Transfer {
    shared: Arc<Shared>,
    task_id: String,
    url: String,
    name: String,
    expected: Option<Digest>,
    reporter: Option<Reporter>,

    sink: Option<Sink>,
    /// What came, and is neither written nor hashed yet.
    block: Vec<u8>,
    hasher: Lent<Sha256>,
    head: Vec<u8>,
    done: u64,
    total: Option<u64>,
    validator: Option<Validator>,
    is_pieced: bool,

    start: Stopwatch,
    /// How long it waited for its turn, which is nobody's fault and no part of the deadline.
    queued: Duration,
    headway: Headway,
    restarts: u32,
    refreshes: u32,
}

/// When it last went forward, and what went wrong since.
struct Headway {
    since: Stopwatch,
    /// What was in [`Transfer::queued`] then.
    queued: Duration,
    at: u64,
    failures: u32,
}

impl Transfer {
    pub(super) fn new(
        shared: Arc<Shared>,
        task_id: String,
        url: String,
        name: String,
        expected: Option<Digest>,
        reporter: Option<Reporter>,
    ) -> Self {
        let clock = &shared.requests.clock;
        Self {
            start: clock.stopwatch(),
            queued: Duration::ZERO,
            headway: Headway {
                since: clock.stopwatch(),
                queued: Duration::ZERO,
                at: 0,
                failures: 0,
            },
            shared,
            task_id,
            url,
            name,
            expected,
            reporter,
            sink: None,
            block: Vec::new(),
            hasher: Lent::Here(Sha256::new()),
            head: Vec::with_capacity(ftyp::ENOUGH),
            done: 0,
            total: None,
            validator: None,
            is_pieced: false,
            restarts: 0,
            refreshes: 0,
        }
    }

    pub(super) async fn run(mut self) -> Result<Summary, DownloadError> {
        let ended = self.until_complete().await;
        let sink = self.sink.take();
        let published = match (ended, sink) {
            (Ok(digest), Some(sink)) => sink.publish().await.map(|()| digest),
            (Ok(_), None) => Err(DownloadError::storage("nothing was written")),
            (Err(error), sink) => {
                if let Some(sink) = sink {
                    sink.discard().await;
                }
                Err(error)
            }
        };
        let digest = published?;
        if let Some(reporter) = &mut self.reporter {
            reporter.tell_last(Progress {
                done: self.done,
                total: Some(self.done),
            });
        }
        Ok(Summary {
            length: self.done,
            digest,
        })
    }

    async fn until_complete(&mut self) -> Result<Digest, DownloadError> {
        loop {
            match self.attempt().await {
                Ok(digest) => return Ok(digest),
                Err(setback) => self.recover(setback).await?,
            }
        }
    }

    async fn attempt(&mut self) -> Result<Digest, Setback> {
        let patience = self.patience()?;
        let rest = self.validator.as_ref().filter(|_| self.done > 0);
        let rest = rest.map(|validator| (self.done, validator));
        let wanted = Wanted {
            url: &self.url,
            rest,
            patience,
        };
        let asked = Asked {
            from: rest.map_or(0, |(from, _)| from),
            total: self.total,
            validator: self.validator.as_ref(),
            has_digest: self.expected.is_some(),
            max: self.shared.max_bytes,
        };
        let answer = self.shared.requests.get(wanted, &mut self.queued).await;
        let mut answer = answer?;
        let response = &answer.response;
        let part = judge(
            response.status(),
            response.version(),
            response.headers(),
            asked,
        );
        let host = answer.host.clone();
        let received = match part {
            Ok(part) => self.receive(&mut answer, part).await,
            Err(setback) => Err(setback),
        };
        let ended = match received {
            Ok(()) => self.verified().await,
            Err(setback) => Err(setback),
        };
        ended.map_err(|setback| setback.at_host(&host))
    }

    async fn receive(&mut self, answer: &mut Answer, part: Part) -> Result<(), Setback> {
        if part.from == 0 && self.sink.is_some() {
            self.restart(|| {
                DownloadError::new(Kind::Inconsistent, "the server begins anew each time")
            })
            .await
            .map_err(Setback::Final)?;
        }
        self.is_pieced |= part.from > 0;
        self.total = part.total;
        self.validator = part.validator;
        if self.sink.is_none() {
            let created = self.shared.place.create(&self.name, self.total).await;
            self.sink = Some(created.map_err(Setback::Final)?);
        }
        let shared = Arc::clone(&self.shared);
        let clock = &shared.requests.clock;
        let mut pace = Pace::new(shared.min_rate);
        loop {
            let patience = self.patience()?;
            let waiting = clock.stopwatch();
            let chunk = clock.timeout(patience, answer.response.chunk()).await;
            let chunk = chunk.ok_or_else(too_slow)?.map_err(failed)?;
            let Some(chunk) = chunk else { break };
            if !pace.keeps_up(clock.elapsed(&waiting), chunk.len() as u64) {
                return Err(too_slow());
            }
            self.take(&chunk, part.end).await?;
        }
        if part.end.or(self.total).is_some_and(|end| self.done < end)
            || self.total.is_some_and(|total| self.done < total)
        {
            let text = "the file ended early";
            return Err(Setback::Again(DownloadError::new(Kind::Connection, text)));
        }
        Ok(())
    }

    async fn take(&mut self, bytes: &[u8], end: Option<u64>) -> Result<(), Setback> {
        count::downloaded(bytes.len());
        let done = self.done.saturating_add(bytes.len() as u64);
        if end.is_some_and(|end| done > end) {
            return Err(Setback::anew("more came than was announced"));
        }
        if done > self.shared.max_bytes {
            return Err(too_large());
        }
        if self.head.len() < ftyp::ENOUGH {
            let missing = bytes.len().min(ftyp::ENOUGH - self.head.len());
            self.head.extend_from_slice(&bytes[..missing]);
            if ftyp::start(&self.head) == Start::Other {
                return Err(not_a_video());
            }
        }
        let mut left = bytes;
        while !left.is_empty() {
            let fits = left.len().min(BLOCK - self.block.len());
            self.block.extend_from_slice(&left[..fits]);
            left = &left[fits..];
            if self.block.len() == BLOCK {
                self.pass_on().await.map_err(Setback::Final)?;
            }
        }
        self.done = done;
        if self.done >= self.headway.at.saturating_add(HEADWAY) {
            self.headway = Headway {
                since: self.shared.requests.clock.stopwatch(),
                queued: self.queued,
                at: self.done,
                failures: 0,
            };
        }
        if let Some(reporter) = &mut self.reporter {
            reporter.tell(Progress {
                done: self.done,
                total: self.total,
            });
        }
        Ok(())
    }

    /// Lets a block be written and hashed, both while the next one comes in.
    async fn pass_on(&mut self) -> Result<(), DownloadError> {
        let next = Vec::with_capacity(BLOCK);
        let block = Bytes::from(mem::replace(&mut self.block, next));
        let hashed = block.clone();
        let hash = move |hasher: &mut Sha256| {
            hasher.update(&hashed);
            Ok(())
        };
        self.hasher.lend(hash).await?;
        match &mut self.sink {
            Some(sink) => sink.write(block).await,
            None => Ok(()),
        }
    }

    async fn verified(&mut self) -> Result<Digest, Setback> {
        if ftyp::start(&self.head) != Start::Video {
            return Err(not_a_video());
        }
        self.pass_on().await.map_err(Setback::Final)?;
        let hasher = self.hasher.take_back().await.map_err(Setback::Final)?;
        let digest = Digest::of(hasher);
        match self.expected {
            Some(expected) if expected != digest && self.is_pieced => {
                Err(Setback::anew("the pieces are not of one file"))
            }
            Some(expected) if expected != digest => {
                let text = "the file is not the one that was expected";
                Err(Setback::end(Kind::WrongDigest, text))
            }
            _ => Ok(digest),
        }
    }

    /// How long to wait for a server now.
    fn patience(&self) -> Result<Duration, Setback> {
        let elapsed = self.shared.requests.clock.elapsed(&self.start);
        let spent = elapsed.saturating_sub(self.queued);
        let left = self.shared.deadline.saturating_sub(spent);
        if left.is_zero() {
            let text = "it takes longer than allowed";
            return Err(Setback::end(Kind::TooSlow, text));
        }
        Ok(left.min(self.shared.idle_timeout))
    }

    async fn recover(&mut self, setback: Setback) -> Result<(), DownloadError> {
        match setback {
            Setback::Again(error) => self.pause(error).await,
            Setback::Anew(error) => {
                let mut error = Some(error);
                let again =
                    || DownloadError::new(Kind::Inconsistent, "the server contradicts itself");
                self.restart(|| error.take().unwrap_or_else(again)).await?;
                self.pause(error.unwrap_or_else(again)).await
            }
            Setback::Expired(error) => self.refresh(error).await,
            // What was never a URL may become one.
            Setback::Final(error) if error.kind() == Kind::InvalidUrl => self.refresh(error).await,
            Setback::Final(error) => Err(error),
        }
    }

    async fn restart(
        &mut self,
        error: impl FnOnce() -> DownloadError,
    ) -> Result<(), DownloadError> {
        self.restarts += 1;
        if self.restarts > MAX_RESTARTS {
            return Err(error());
        }
        if let Some(sink) = self.sink.take() {
            sink.discard().await;
        }
        self.block.clear();
        self.hasher = Lent::Here(Sha256::new());
        self.head.clear();
        self.done = 0;
        self.total = None;
        self.validator = None;
        self.is_pieced = false;
        self.headway.at = 0;
        Ok(())
    }

    /// Waits before the next attempt, or ends with the error when there is none.
    async fn pause(&mut self, error: DownloadError) -> Result<(), DownloadError> {
        let clock = &self.shared.requests.clock;
        self.headway.failures += 1;
        let queued = self.queued.saturating_sub(self.headway.queued);
        let stuck = clock.elapsed(&self.headway.since).saturating_sub(queued);
        let policy: &RetryPolicy = &self.shared.retry;
        let asked = error.retry_after();
        let Some(delay) = policy.next(self.headway.failures, stuck, asked, random()) else {
            return Err(error);
        };
        // Sooner than the server wants would be for nothing.
        if asked.is_some_and(|asked| delay < asked) {
            return Err(error);
        }
        tracing::debug!(
            host = error.host(),
            kind = ?error.kind(),
            done = self.done,
            retry_in = ?delay,
            "a download was interrupted"
        );
        clock.sleep(delay).await;
        Ok(())
    }

    async fn refresh(&mut self, error: DownloadError) -> Result<(), DownloadError> {
        let Some(refresh) = &self.shared.refresh else {
            return Err(error);
        };
        self.refreshes += 1;
        if self.refreshes > MAX_REFRESHES {
            return Err(error);
        }
        match refresh(self.task_id.clone()).await {
            Ok(Some(url)) if url != self.url => {
                self.url = url;
                Ok(())
            }
            Ok(_) => Err(error),
            Err(cause) => Err(DownloadError::new(Kind::Refresh, cause)),
        }
    }
}

fn not_a_video() -> Setback {
    Setback::end(
        Kind::NotAVideo,
        "the file does not begin as an MP4 file does",
    )
}
