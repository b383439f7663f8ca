//! Starts fronts and workers as processes of their own.

use std::{env, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use tower_callback::BoxError;

use super::{PATH, Place, SECRET};

/// A front or a worker. It is killed when this is dropped.
pub(super) struct Member {
    role: &'static str,
    pub(super) name: String,
    /// What it said when it was ready: its address, if it is a front.
    said: String,
    process: Child,
}

impl Member {
    /// Starts one, and waits until it is ready.
    pub(super) async fn start(
        place: &Place,
        role: &'static str,
        name: String,
    ) -> Result<Self, BoxError> {
        let mut process = Command::new(env::current_exe()?)
            .args([role, &name, &place.schema])
            .env("DATABASE_URL", &place.url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = process.stdout.take().ok_or("a process without output")?;
        let said = BufReader::new(output).lines().next_line().await?;
        Ok(Self {
            role,
            said: said.ok_or_else(|| format!("{name} did not start"))?,
            name,
            process,
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}{PATH}?token={SECRET}", self.said)
    }

    /// Kills it, at whatever it is, and starts another one in its place.
    pub(super) async fn replace(&mut self, place: &Place) -> Result<(), BoxError> {
        self.process.kill().await?;
        *self = Self::start(place, self.role, self.name.clone()).await?;
        Ok(())
    }
}
