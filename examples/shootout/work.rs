//! What every receiver does with an event: it works for a while, and notes that it is done.

use std::{fs, io, path::Path, sync::Arc, time::Duration};

use tokio::task::spawn_blocking;
use tower_callback::{BoxError, Clock};

/// The work, and the file in which it is noted.
#[derive(Clone)]
pub(super) struct Work {
    journal: Arc<Path>,
    speed: u32,
}

impl Work {
    pub(super) fn new(journal: &Path, speed: u32) -> Self {
        Self {
            journal: journal.into(),
            speed,
        }
    }

    pub(super) fn journal(&self) -> &Path {
        &self.journal
    }

    pub(super) fn speed(&self) -> u32 {
        self.speed
    }

    /// Stands for the download of the video. One in eight takes longer than the provider waits.
    /// The same is in `express/receiver.js`.
    pub(super) async fn act(&self, task: &str, code: i64) -> Result<(), BoxError> {
        let is_large = code == 200 && task.ends_with(['0', '8']);
        let takes = Duration::from_secs(if is_large { 20 } else { 1 });
        Clock::scaled(self.speed).sleep(takes).await;

        let (journal, line) = (self.journal.clone(), format!("{task} {code}\n"));
        let append = move || append(&journal, &line);
        Ok(spawn_blocking(append).await??)
    }

    /// Whether that was noted before.
    pub(super) async fn is_done(&self, task: &str, code: i64) -> Result<bool, BoxError> {
        let (journal, line) = (self.journal.clone(), format!("{task} {code}"));
        let look = move || read(&journal).map(|journal| journal.lines().any(|it| it == line));
        Ok(spawn_blocking(look).await??)
    }
}

/// One line, in one write, and on the disk.
fn append(journal: &Path, line: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(journal)?;
    io::Write::write_all(&mut file, line.as_bytes())?;
    file.sync_data()
}

/// All lines; none if nothing was done yet.
pub(super) fn read(journal: &Path) -> io::Result<String> {
    match fs::read_to_string(journal) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    }
}
