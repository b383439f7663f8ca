//! Somebody who has seen callback URLs, or guesses them, and tells lies.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use tower_callback::{Clock, MusicVideo, testing::provider::SimulatedProvider};

use crate::{
    receiver::{PATH, post_at},
    service::signed,
    setup::{KEY, Mode, order_of},
};

/// What became of the lies.
#[derive(Default)]
pub(crate) struct Forged {
    /// With the right proof, and taken for a hint.
    pub(crate) hints: usize,
    /// With a wrong proof, and refused.
    pub(crate) refused: usize,
    pub(crate) wrongs: Vec<String>,
}

pub(crate) struct Forger {
    pub(crate) provider: Arc<SimulatedProvider>,
    pub(crate) to: SocketAddr,
    pub(crate) mode: Mode,
    pub(crate) random: fastrand::Rng,
    /// Lies told of each task.
    pub(crate) told: HashMap<String, usize>,
    pub(crate) forged: Forged,
}

/// Of each task.
const LIES: usize = 3;

impl Forger {
    /// Tells one lie of each task that there is, until it has told enough.
    pub(crate) async fn lie(&mut self) {
        for task in self.provider.report().tasks() {
            // Of a task that was submitted elsewhere, he has a URL under a name that nobody waits for.
            let order = order_of(&task.audio_id).unwrap_or(&task.audio_id);
            let told = self.told.entry(task.task_id.to_string()).or_default();
            if *told >= LIES {
                continue;
            }
            *told += 1;
            // Who has captured a URL can say what he wants, of any task: where callbacks are events, too.
            if self.mode.confirms() {
                let id = match self.random.u8(0..3) {
                    0 => format!("invented-{}", task.task_id),
                    _ => task.task_id.to_string(),
                };
                if self.send(KEY, order, &id).await == Some(200) {
                    self.forged.hints += 1;
                }
            }
            let key = "another-key-of-32-random-bytes..";
            match self.send(key, order, &task.task_id).await {
                Some(401) => self.forged.refused += 1,
                // Nobody was there, or he was killed.
                None => {}
                Some(status) => {
                    let wrong = format!("a forged capability was answered with {status}");
                    self.forged.wrongs.push(wrong);
                }
            }
        }
    }

    async fn send(&mut self, key: &str, order: &str, task: &str) -> Option<u16> {
        let event = match self.random.bool() {
            true => MusicVideo::succeeded(task, "https://forged.example/v.mp4"),
            false => MusicVideo::failed(task, 499, "forged"),
        };
        let base = format!("http://{}{PATH}", self.to);
        let url = signed(&base, key, Clock::system()).mint(order).unwrap();
        let target = url[url.find(PATH).unwrap()..].to_owned();
        let (to, body) = (self.to, event.encode());
        let sent = tokio::task::spawn_blocking(move || post_at(to, &target, &body));
        sent.await.unwrap().ok().map(|reply| reply.status)
    }
}
