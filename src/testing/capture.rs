//! For tests: what is traced while one runs. The integration tests include this file as well.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex},
};

use tracing::{
    Dispatch, Level,
    dispatcher::{DefaultGuard, set_default},
};
use tracing_subscriber::fmt::{MakeWriter, format::FmtSpan};

/// A subscriber that stays, and says nothing.
///
/// With only one subscriber in the process, tracing asks the one of *the thread* that comes to a span or
/// an event first whether anybody wants it: a test without a subscriber would switch it off for another
/// that has one.
static STAYS: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));

/// What was traced.
pub(crate) struct Capture {
    text: Text,
    _default: Option<DefaultGuard>,
}

#[allow(dead_code, reason = "each test file uses its own part")]
impl Capture {
    /// Captures the events of this thread as long as it lives: most tests' runtimes have one thread.
    pub(crate) fn start(level: Level) -> Self {
        Self::start_with(level, FmtSpan::NONE)
    }

    /// Captures these ends and beginnings of spans, too.
    pub(crate) fn start_with(level: Level, spans: FmtSpan) -> Self {
        let (mut capture, dispatch) = Self::with_dispatch(level, spans);
        capture._default = Some(set_default(&dispatch));
        capture
    }

    /// Captures what is done under this dispatch, on whatever threads.
    pub(crate) fn with_dispatch(level: Level, spans: FmtSpan) -> (Self, Dispatch) {
        LazyLock::force(&STAYS);
        let text = Text::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_span_events(spans)
            .with_ansi(false)
            .with_writer(text.clone())
            .finish();
        let capture = Self {
            text,
            _default: None,
        };
        (capture, Dispatch::new(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.0.lock().unwrap()).into_owned()
    }

    /// How often the text says so.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.text().matches(what).count()
    }

    /// Those of ours that have this in them.
    pub(crate) fn lines(&self, needle: &str) -> Vec<String> {
        let text = self.text();
        let ours = text.lines().filter(|line| line.contains("tower_callback"));
        let lines = ours.filter(|line| line.contains(needle));
        lines.map(str::to_owned).collect()
    }
}

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Text {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
