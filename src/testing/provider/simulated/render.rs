//! A task from its submission to its last callback.

use std::{sync::Arc, time::SystemTime};

use http::HeaderMap;

use super::{
    fate::{Failure, Fate, Reach},
    world::World,
};
use crate::{
    music_video::MusicVideo,
    testing::provider::{Attempt, Planned, Target, plan::Plan, run::Run, send::Sender},
};

/// Renders a task, and calls back about it until that is received or given up.
pub(super) async fn render(world: Arc<World>, number: usize) {
    let busy = Busy(Arc::clone(&world));
    let clock = &world.settings.clock;
    let (fate, target, created, url) = {
        let state = world.state();
        let task = &state.tasks[number];
        let url = task.first_url(&world.base_url);
        (task.fate.clone(), task.target.clone(), task.created, url)
    };
    let rendered = created + fate.rendering;
    clock.sleep_until(rendered).await;
    let silent = world.state().silent;
    if fate.reach == Reach::Sent && !silent {
        let plans = plans(&world, &fate, url);
        call(&world, number, rendered, target, plans).await;
    } else {
        clock.sleep_until(created + fate.end()).await;
    }
    drop(busy);
}

async fn call(
    world: &Arc<World>,
    number: usize,
    rendered: SystemTime,
    target: Target,
    plans: Vec<Plan>,
) {
    let settings = &world.settings;
    let last = plans.len() - 1;
    let run = Run {
        sender: Sender::new(
            target,
            HeaderMap::new(),
            None,
            settings.clock.clone(),
            settings.schedule.timeout(),
        ),
        clock: settings.clock.clone(),
        start: rendered,
        schedule: settings.schedule.clone(),
        concurrency: usize::MAX,
        plans,
    };
    let start = rendered.duration_since(world.started).unwrap_or_default();
    let noting = Arc::clone(world);
    let note = move |attempt: &Attempt| {
        let mut state = noting.state();
        let task = &mut state.tasks[number];
        let is_last = attempt.event == last;
        task.acknowledged |= is_last && attempt.kind.is_genuine() && attempt.is_received();
        task.attempts.push(Attempt {
            event: number,
            at: start + attempt.at,
            ..attempt.clone()
        });
    };
    run.run(Some(Box::new(note))).await;
    let mut state = world.state();
    let task = &mut state.tasks[number];
    task.undelivered = !task.acknowledged;
}

/// What will be called back: the end, and before that the failure that it first seemed to be.
fn plans(world: &World, fate: &Fate, url: String) -> Vec<Plan> {
    let settings = &world.settings;
    let task_id = &*fate.task_id;
    let fail = |failure: &Failure| MusicVideo::failed(task_id, failure.code, &*failure.msg);
    let end = match &fate.failure {
        Some(failure) => fail(failure),
        None => MusicVideo::succeeded(task_id, url),
    };
    let mut end = Planned::from(end).after(fate.fails_first.unwrap_or_default());
    for &fault in &fate.callback_faults {
        end = end.with(fault);
    }
    let plan = |planned, index| {
        let random = fate.callbacks.fork(index);
        Plan::new(planned, &random, &settings.faults, &settings.schedule)
    };
    let first = fate.fails_first.map(|_| {
        let failed = MusicVideo::failed(task_id, 500, "Internal Error - Please try again later");
        plan(failed.into(), 1)
    });
    first.into_iter().chain([plan(end, 0)]).collect()
}

/// Counts a task as not done with until it is, whatever happens.
struct Busy(Arc<World>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.send_modify(|busy| *busy -= 1);
    }
}
