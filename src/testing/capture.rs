//! What is traced while a test runs.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex},
};

use tracing::{Dispatch, Level, dispatcher::DefaultGuard};
use tracing_subscriber::fmt::{MakeWriter, format::FmtSpan};

/// A subscriber that stays, and says nothing.
///
/// With only one subscriber in the process, tracing asks the one of *the thread* that comes to a span or
/// an event first whether anybody wants it: a test without a subscriber would switch it off for another
/// that has one.
static STAYS: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));

/// Everything that is traced on the thread that started it: the tests' runtimes have one thread.
#[derive(Clone, Default)]
pub(crate) struct Capture(Arc<Mutex<Vec<u8>>>);

#[allow(dead_code, reason = "each test file uses its own part")]
impl Capture {
    /// Captures events.
    pub(crate) fn start(level: Level) -> (Self, DefaultGuard) {
        Self::start_with(level, FmtSpan::NONE)
    }

    /// Captures these ends and beginnings of spans, too.
    pub(crate) fn start_with(level: Level, spans: FmtSpan) -> (Self, DefaultGuard) {
        LazyLock::force(&STAYS);
        let capture = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_span_events(spans)
            .with_ansi(false)
            .with_writer(capture.clone())
            .finish();
        (capture, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    /// Those of ours.
    pub(crate) fn lines(&self, needle: &str) -> Vec<String> {
        let text = self.text();
        let ours = text.lines().filter(|line| line.contains("tower_callback"));
        let lines = ours.filter(|line| line.contains(needle));
        lines.map(str::to_owned).collect()
    }
}

impl io::Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Capture {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
