//! The provider at work: what is due is sent, what fails is sent again.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{StreamExt, stream::FuturesUnordered};

use super::{
    Answer, Attempt, Kind, Report, Schedule,
    caller::Observer,
    plan::{Mishap, Plan},
    send::{Manner, Order, Sender},
};
use crate::Clock;

pub(super) struct Run {
    pub(super) sender: Sender,
    pub(super) clock: Clock,
    /// From when everything in the plans is counted.
    pub(super) start: SystemTime,
    pub(super) schedule: Schedule,
    pub(super) concurrency: usize,
    pub(super) plans: Vec<Plan>,
}

/// What is still to be done.
struct Agenda {
    start: SystemTime,
    /// By due time, and then in the order in which it was planned.
    due: BTreeMap<(Duration, u64), Job>,
    planned: u64,
    /// For each event, how many of the provider's own attempts were begun.
    attempts: Vec<usize>,
}

#[derive(Clone, Copy)]
struct Job {
    event: usize,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    /// The next of the provider's own attempts.
    Attempt,
    Duplicate,
    /// The forged body of this number.
    Forged(usize),
    /// The malformed body of this number.
    Malformed(usize),
}

/// A request that has ended.
struct Ended {
    attempt: Attempt,
    /// Whether it held one of the places; copies that are sent together share one.
    held: bool,
}

impl Agenda {
    fn new(plans: &[Plan], start: SystemTime) -> Self {
        let mut agenda = Self {
            start,
            due: BTreeMap::new(),
            planned: 0,
            attempts: vec![0; plans.len()],
        };
        for (event, plan) in plans.iter().enumerate() {
            for number in 0..plan.forged.len() {
                agenda.add(plan.at, event, What::Forged(number));
            }
            for number in 0..plan.malformed.len() {
                agenda.add(plan.at, event, What::Malformed(number));
            }
            agenda.add(plan.at, event, What::Attempt);
        }
        agenda
    }

    fn add(&mut self, due: Duration, event: usize, what: What) {
        self.due.insert((due, self.planned), Job { event, what });
        self.planned += 1;
    }

    fn take_due(&mut self, now: Duration) -> Option<Job> {
        let entry = self.due.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    /// When the next job is due, if there is one.
    fn next_due(&self) -> Option<SystemTime> {
        let ((due, _), _) = self.due.first_key_value()?;
        Some(self.start + *due)
    }
}

impl Run {
    pub(super) async fn run(self, mut observer: Option<Observer>) -> Report {
        let mut report = Report::new(&self.plans);
        let mut agenda = Agenda::new(&self.plans, self.start);
        let mut running = FuturesUnordered::new();
        let mut held = 0;
        loop {
            while held < self.concurrency {
                let now = self.since(agenda.start);
                let Some(job) = agenda.take_due(now) else {
                    break;
                };
                for (index, order) in self.orders(job, &mut agenda, &report).enumerate() {
                    let holds = index == 0;
                    held += usize::from(holds);
                    running.push(self.send(order, agenda.start, holds));
                }
            }
            let free = held < self.concurrency;
            let next = agenda.next_due().filter(|_| free);
            tokio::select! {
                Some(ended) = running.next() => {
                    held -= usize::from(ended.held);
                    if let Some(observe) = &mut observer {
                        observe(&ended.attempt);
                    }
                    self.follow_up(ended.attempt, &mut agenda, &mut report);
                }
                () = self.clock.sleep_until(next.unwrap_or(agenda.start)), if next.is_some() => {}
                else => return report,
            }
        }
    }

    /// The requests that a job is made of.
    fn orders(
        &self,
        job: Job,
        agenda: &mut Agenda,
        report: &Report,
    ) -> impl Iterator<Item = Order> + use<> {
        let plan = &self.plans[job.event];
        let order = |kind, body: &bytes::Bytes| Order {
            event: job.event,
            task_id: Arc::clone(&plan.task_id),
            kind,
            body: body.clone(),
            manner: Manner::Whole,
        };
        let mut orders = Vec::with_capacity(1);
        match job.what {
            What::Forged(number) => orders.push(order(Kind::WrongProof, &plan.forged[number])),
            What::Malformed(number) => orders.push(order(Kind::Malformed, &plan.malformed[number])),
            What::Duplicate => orders.push(order(Kind::Duplicate, &plan.body)),
            // Its concurrent copy may have been acknowledged since this was planned.
            What::Attempt if report.events()[job.event].acknowledged => {}
            What::Attempt => {
                let number = agenda.attempts[job.event];
                agenda.attempts[job.event] += 1;
                let (kind, manner) = match plan.mishaps.get(number) {
                    Some(Mishap::Cut(kept)) => (Kind::Cut, Manner::Cut(*kept)),
                    Some(Mishap::Slow(all)) => (Kind::Slow, Manner::Slow(*all)),
                    None if number == 0 => (Kind::First, Manner::Whole),
                    None => (Kind::Retry, Manner::Whole),
                };
                orders.push(Order {
                    manner,
                    ..order(kind, &plan.body)
                });
                if number == 0 && plan.concurrent > 0 {
                    let copies = (0..plan.concurrent).map(|_| order(Kind::Concurrent, &plan.body));
                    orders.extend(copies);
                }
            }
        }
        orders.into_iter()
    }

    async fn send(&self, order: Order, start: SystemTime, held: bool) -> Ended {
        let plan = &self.plans[order.event];
        let at = self.since(start);
        let answer: Answer = self.sender.send(&order).await;
        let attempt = Attempt {
            event: order.event,
            task_id: Arc::clone(&plan.task_id),
            code: plan.code,
            kind: order.kind,
            at,
            took: self.since(start).saturating_sub(at),
            answer,
        };
        Ended { attempt, held }
    }

    /// Plans what follows from an answer.
    fn follow_up(&self, attempt: Attempt, agenda: &mut Agenda, report: &mut Report) {
        let (event, kind, received) = (attempt.event, attempt.kind, attempt.is_received());
        let now = attempt.at + attempt.took;
        if report.note(attempt) {
            for after in &self.plans[event].duplicates {
                agenda.add(now + *after, event, What::Duplicate);
            }
        }
        if kind.is_scheduled() && !received {
            let failed = agenda.attempts[event];
            if let Some(after) = self.schedule.retries().get(failed - 1) {
                agenda.add(now + *after, event, What::Attempt);
            }
        }
    }

    fn since(&self, start: SystemTime) -> Duration {
        self.clock.now().duration_since(start).unwrap_or_default()
    }
}
