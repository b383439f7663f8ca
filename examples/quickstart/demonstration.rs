//! Plays the provider, and checks what became of what it sent.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};
use tower_callback::{
    BoxError, Disposition, MemoryStore,
    store::{Counts, Inspect, Queue},
};

use crate::{
    provider::{Step, script, success},
    report::Report,
    support::send,
};

pub(crate) struct Demonstration {
    address: SocketAddr,
    secret: String,
    store: MemoryStore,
    report: Report,
    answers: mpsc::UnboundedReceiver<Disposition>,
    /// How often each thing became of a callback, by its name.
    tally: BTreeMap<&'static str, u64>,
}

impl Demonstration {
    pub(crate) fn new(
        address: SocketAddr,
        secret: String,
        store: MemoryStore,
        report: Report,
        answers: mpsc::UnboundedReceiver<Disposition>,
    ) -> Self {
        Self {
            address,
            secret,
            store,
            report,
            answers,
            tally: BTreeMap::new(),
        }
    }

    /// Shows everything and checks it. Then ends if it was asked for `once`, or tells of callbacks
    /// for ever.
    pub(crate) async fn run(&mut self, once: bool) -> Result<(), BoxError> {
        println!(
            "The store is in memory: it shows all but durability, and ends with this process.\n"
        );
        for step in script(&self.secret) {
            self.play(step).await?;
        }
        self.check().await?;
        if !once {
            self.go_on().await;
        }
        Ok(())
    }

    async fn play(&mut self, step: Step) -> Result<(), BoxError> {
        let turn = self.report.turn().await;
        let target = format!("/music-video-callback{}", step.query);
        let mut requests = JoinSet::new();
        for _ in 0..step.copies {
            let (address, target, body) = (self.address, target.clone(), step.body.clone());
            requests.spawn(async move { send(address, "POST", &target, &[], &body).await });
        }
        let mut outcomes = BTreeMap::new();
        while let Some(answer) = requests.join_next().await {
            let (status, _) = answer??;
            if status != step.status {
                return Err(format!("{}: {status} instead of {}", step.what, step.status).into());
            }
            // It was told before the answer went out.
            let disposition = self.answers.try_recv()?;
            *outcomes.entry(disposition.as_str()).or_default() += 1;
            *self.tally.entry(disposition.as_str()).or_default() += 1;
        }
        let (what, status, became) = (step.what, step.status.as_u16(), list(&outcomes));
        println!("provider  {what:<38} {status}  {became}");
        let mut expected = BTreeMap::from([(step.outcome, 1)]);
        if step.copies > 1 {
            *expected.entry("repeated").or_default() += step.copies as u64 - 1;
        }
        if outcomes != expected {
            return Err(format!("{what}: {became} instead of {}", list(&expected)).into());
        }
        drop(turn);
        self.settled().await
    }

    /// Waits until all that was received is handled.
    async fn settled(&self) -> Result<(), BoxError> {
        let idle = async {
            loop {
                let events = self.events().await?;
                if events.pending + events.leased == 0 {
                    return Ok(());
                }
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(Duration::from_secs(10), idle)
            .await
            .map_err(|_| "events were received and not handled within 10 s")?
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
        let (address, secret) = (self.address, &self.secret);
        println!("\nNow it is your turn, until Ctrl-C:\n");
        println!(
            "curl -i 'http://{address}/music-video-callback?token={secret}' -d '{}'\n",
            success("task-9")
        );
        while let Some(disposition) = self.answers.recv().await {
            let _turn = self.report.turn().await;
            let (status, became) = (disposition.status().as_u16(), disposition.as_str());
            println!("you       {:<38} {status}  {became}", "a callback");
        }
    }
}

/// `stored`, or `7 repeated, 1 stored`.
fn list(outcomes: &BTreeMap<&str, u64>) -> String {
    let several = outcomes.len() > 1 || outcomes.values().any(|&count| count > 1);
    let words: Vec<_> = outcomes
        .iter()
        .map(|(&word, count)| {
            let word = match word {
                "malformed" | "unprocessable" => format!("{word}, quarantined"),
                word => word.to_owned(),
            };
            if several {
                format!("{count} {word}")
            } else {
                word
            }
        })
        .collect();
    words.join(", ")
}
