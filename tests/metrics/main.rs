//! What is counted, and that no secret is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[cfg(feature = "download")]
mod download;
mod families;
mod front;
mod inbox;
mod rules;
mod worker;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tower::ServiceExt;
use tower_callback::{CallbackService, metrics::FAMILIES};

const NAME: &str = "music-video";
const SECRET: &str = "a-lasting-secret-of-32-characters";
const SUCCESS: &str =
    r#"{"code":200,"data":{"task_id":"task-1","video_url":"https://example.com/v.mp4"}}"#;

/// Counts what this thread does: the tests' runtimes have one thread.
struct Counted {
    recorder: &'static DebuggingRecorder,
    _guard: metrics::LocalRecorderGuard<'static>,
}

/// One metric with its labels.
#[derive(Debug)]
struct Line {
    name: String,
    labels: Vec<(String, String)>,
    unit: Option<metrics::Unit>,
    is_described: bool,
    value: DebugValue,
}

impl Counted {
    fn start() -> Self {
        // One for each test, as long as the tests run.
        let recorder: &'static DebuggingRecorder = Box::leak(Box::default());
        Self {
            recorder,
            _guard: metrics::set_default_local_recorder(recorder),
        }
    }

    /// All there is, once: it is taken out of the recorder.
    fn lines(&self) -> Vec<Line> {
        let line = |(key, unit, text, value): (metrics_util::CompositeKey, _, Option<_>, _)| Line {
            name: key.key().name().to_owned(),
            labels: key
                .key()
                .labels()
                .map(|label| (label.key().to_owned(), label.value().to_owned()))
                .collect(),
            unit,
            is_described: text.is_some(),
            value,
        };
        let all = self.recorder.snapshotter().snapshot().into_vec();
        all.into_iter().map(line).collect()
    }

    /// Every metric whose family begins so, as `family{label=value,…} value`, in order: of a histogram, how many
    /// values it has.
    fn told(&self, family: &str) -> Vec<String> {
        texts(self.lines(), family)
    }
}

fn texts(lines: Vec<Line>, family: &str) -> Vec<String> {
    let family = format!("tower_callback_{family}");
    let of = lines
        .into_iter()
        .filter(|line| line.name.starts_with(&family));
    let mut texts: Vec<_> = of.map(|line| line.text()).collect();
    texts.sort();
    texts
}

impl Line {
    fn text(&self) -> String {
        let name = self.name.trim_start_matches("tower_callback_");
        let labels: Vec<_> = self
            .labels
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        let value = match &self.value {
            DebugValue::Counter(count) => count.to_string(),
            DebugValue::Gauge(value) => value.to_string(),
            DebugValue::Histogram(values) => format!("of {}", values.len()),
        };
        format!("{name}{{{}}} {value}", labels.join(","))
    }

    /// That somebody knows what it is, and that its labels are those that the table names.
    fn check(&self) {
        let family = FAMILIES.iter().find(|family| family.name == self.name);
        let family = family.unwrap_or_else(|| panic!("{self:?} is of no family"));
        assert!(self.is_described, "{self:?}");
        let unit = self.unit.map_or("", |unit| match unit {
            metrics::Unit::Seconds => "seconds",
            metrics::Unit::Bytes => "bytes",
            _ => "",
        });
        assert_eq!(unit, family.unit, "{self:?}");
        let mut labels: Vec<_> = self.labels.iter().map(|(key, _)| key.as_str()).collect();
        labels.sort_unstable();
        assert_eq!(labels, families::labels_of(family.name), "{self:?}");
    }
}

async fn send(service: &CallbackService, query: &str, body: impl Into<Bytes>) -> u16 {
    let request = Request::post(format!("/callback?{query}"))
        .body(Full::<Bytes>::new(body.into()))
        .unwrap();
    let response = service.clone().oneshot(request).await.unwrap();
    response.status().as_u16()
}
