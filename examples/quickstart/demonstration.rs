//! Lets the provider play its scenes, and checks what became of what it sent.

use std::{collections::BTreeMap, time::Duration};

use http::StatusCode;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tower_callback::{
    BoxError, Clock, Disposition, SqliteStore,
    store::{Counts, Inspect, Queue},
    testing::provider::{Caller, Schedule},
};

use crate::{
    place::Place,
    report::Report,
    scenes::{Scene, scenes, success},
};

/// How much faster than ours the provider's time runs: its minute is a tenth of a second.
const SPEED: u32 = 600;

pub(crate) struct Demonstration {
    /// Tells the tasks of this run from those of others.
    run: String,
    url: String,
    store: SqliteStore,
    report: Report,
    answers: mpsc::UnboundedReceiver<Disposition>,
    /// How often each thing became of a callback, by its name.
    tally: BTreeMap<&'static str, u64>,
}

impl Demonstration {
    pub(crate) fn new(
        url: String,
        store: SqliteStore,
        report: Report,
        answers: mpsc::UnboundedReceiver<Disposition>,
    ) -> Result<Self, BoxError> {
        let mut random = [0; 2];
        getrandom::fill(&mut random)?;
        Ok(Self {
            run: format!("{:04x}", u16::from_ne_bytes(random)),
            url,
            store,
            report,
            answers,
            tally: BTreeMap::new(),
        })
    }

    /// Finishes what the last run left, shows everything, and checks it if this is for once. If not,
    /// tells of callbacks for ever.
    pub(crate) async fn run(&mut self, place: &Place) -> Result<(), BoxError> {
        self.resume(place).await?;
        for scene in scenes(&self.run) {
            self.play(scene).await?;
            if place.is_temporary() {
                let idle = timeout(Duration::from_secs(60), self.idle());
                idle.await
                    .map_err(|_| "events were received and not handled within a minute")??;
            }
        }
        if place.is_temporary() {
            return self.check().await;
        }
        self.go_on().await;
        Ok(())
    }

    /// What was acknowledged and not handled when the last run ended is there, and comes first.
    async fn resume(&self, place: &Place) -> Result<(), BoxError> {
        let events = self.events().await?;
        let pending = events.pending + events.leased;
        let database = place.database().display();
        println!("{database}: events pending from the last run: {pending}");
        if events.leased > 0 {
            println!(
                "what was being handled when it was killed comes again when its lease ends, within 5 s"
            );
        }
        if pending > 0 {
            self.idle().await?;
            println!("all of them are handled");
        }
        println!();
        Ok(())
    }

    async fn play(&mut self, scene: Scene) -> Result<(), BoxError> {
        let _turn = self.report.turn().await;
        // No retries, and 15 s of our time for an answer.
        let schedule = Schedule::new(Duration::from_secs(15) * SPEED, []);
        let sent = Caller::to(&self.url)?
            .clock(Clock::scaled(SPEED))
            .schedule(schedule)
            .event(scene.event)
            .run()
            .await
            .totals();
        let what = scene.what;
        if sent.unanswered + sent.deceived > 0 {
            return Err(
                format!("{what}: not all requests were answered as they should:\n{sent}").into(),
            );
        }
        // What became of a callback is told before its answer goes out.
        let mut outcomes = BTreeMap::new();
        let mut answers = BTreeMap::new();
        while let Ok(disposition) = self.answers.try_recv() {
            let word = disposition.as_str();
            *outcomes.entry(word).or_default() += 1;
            *answers.entry((disposition.status(), word)).or_default() += 1;
            *self.tally.entry(word).or_default() += 1;
        }
        println!("provider  {what:<56}  {}", list(&answers));
        let expected = BTreeMap::from_iter(scene.outcomes.iter().copied());
        if outcomes != expected {
            return Err(format!("{what}: {outcomes:?} instead of {expected:?}").into());
        }
        Ok(())
    }

    /// Waits until all that was received is handled.
    async fn idle(&self) -> Result<(), BoxError> {
        loop {
            let events = self.events().await?;
            if events.pending + events.leased == 0 {
                return Ok(());
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn events(&self) -> Result<Counts, BoxError> {
        Ok(self.store.counts(&Queue::events("music-video")).await?)
    }

    /// Compares what was answered, what the handler did, and what the store holds.
    async fn check(&self) -> Result<(), BoxError> {
        let count = |outcome| self.tally.get(outcome).copied().unwrap_or_default();
        let events = self.events().await?;
        let quarantine = Queue::quarantine("music-video");
        let quarantine = self.store.counts(&quarantine).await?.pending;
        let handled = self.report.handler_calls();
        let unreadable = count("malformed") + count("unprocessable");
        println!(
            "\nevents handled {handled}, callbacks repeated {}, refused {}, quarantined {quarantine}",
            count("repeated"),
            count("refused"),
        );
        println!(
            "in the store: done {}, pending {}, leased {}, dead {}",
            events.done, events.pending, events.leased, events.dead
        );
        let checks = [
            ("tasks done", events.done, count("stored")),
            ("events pending", events.pending, 0),
            ("events leased", events.leased, 0),
            ("events dead", events.dead, 0),
            (
                "calls of the handler",
                handled,
                count("stored") + count("upgraded"),
            ),
            ("callbacks quarantined", quarantine, unreadable),
        ];
        for (what, is, should) in checks {
            if is != should {
                return Err(
                    format!("the counts are wrong: {what}: {is} instead of {should}").into(),
                );
            }
        }
        println!("the counts are right");
        Ok(())
    }

    /// Tells what became of each callback, until the future is dropped.
    async fn go_on(&mut self) {
        let task = format!("task-{}-10", self.run);
        let body = success(&task).encode();
        println!(
            "\nKill it with `kill -9 {}` while events are pending, and start it again; or call it, until Ctrl-C:\n",
            std::process::id()
        );
        println!(
            "curl -i '{}' -d '{}'\n",
            self.url,
            String::from_utf8_lossy(&body)
        );
        while let Some(disposition) = self.answers.recv().await {
            let _turn = self.report.turn().await;
            let (status, became) = (disposition.status().as_u16(), disposition.as_str());
            println!("you       {:<56}  {status} {became}", "a callback");
        }
    }
}

/// `200 stored`, or `200 stored, 3 x 200 repeated`.
fn list(answers: &BTreeMap<(StatusCode, &str), u64>) -> String {
    let words: Vec<_> = answers
        .iter()
        .rev()
        .map(|((status, word), count)| {
            let status = status.as_u16();
            match (*count, *word) {
                (1, "malformed" | "unprocessable") => format!("{status} {word}, quarantined"),
                (1, word) => format!("{status} {word}"),
                (count, word) => format!("{count} x {status} {word}"),
            }
        })
        .collect();
    words.join(", ")
}
