//! The trace of a submission reaches the handler of its event, whoever brings that.

use tower_callback::{TraceContext, event::Source};
use tracing::Level;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::{
    bench::{Bench, MINUTE, SECOND, request, send, success},
    capture::Capture,
    provider::{PENDING, SUCCESS},
};

fn context() -> TraceContext {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let context: TraceContext = parent.parse().unwrap();
    context.with_state("vendor=1")
}

async fn submit(bench: &Bench) {
    let submitter = bench.submitter().with_trace_context(context());
    submitter.submit(&request(), "order-1").await.unwrap();
}

#[tokio::test]
async fn by_a_callback() {
    let bench = Bench::new();
    let running = bench.poll();
    submit(&bench).await;
    let url = bench.provider.callback_url(0);
    assert_eq!(running.call(&url, &success("task-1")).await, 200);
    let handled = bench.until_handled(1).await;
    assert_eq!(handled[0].source, Source::Callback);
    assert_eq!(handled[0].trace, Some(context()));
}

#[tokio::test]
async fn by_a_poll() {
    let capture = Capture::start_with(Level::INFO, FmtSpan::CLOSE);
    let bench = Bench::new();
    let _running = bench.poll();
    bench.provider.show_all(PENDING);
    submit(&bench).await;
    bench.turn(3 * MINUTE, 60).await;
    bench.provider.show_all(SUCCESS);
    let handled = bench.until_handled(1).await;
    assert_eq!(handled[0].source, Source::Poll);
    assert_eq!(handled[0].trace, Some(context()));
    // A look at a task is a span, too, and by another name than the handler's.
    let spans = capture.lines(": close ");
    for operation in ["poll", "handle"] {
        let name = format!("otel.name=\"{operation} ");
        assert!(spans.iter().any(|span| span.contains(&name)), "{spans:?}");
    }
}

#[tokio::test]
async fn by_a_hint_that_the_provider_confirms() {
    let bench = Bench::new();
    let running = bench.run(bench.builder().confirm_with(bench.polling()));
    bench.provider.show_all(SUCCESS);
    submit(&bench).await;
    let url = bench.provider.callback_url(0);
    assert_eq!(running.call(&url, &success("task-1")).await, 200);
    let handled = bench.until_handled(1).await;
    assert_eq!(handled[0].trace, Some(context()));
}

#[tokio::test]
async fn at_the_second_attempt_too_when_the_event_is_noted_with_the_submission() {
    let bench = Bench::new();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = seen.clone();
    let (service, worker) = bench
        .builder()
        .poll_with(bench.polling())
        .handle(move |delivery| {
            let trace = delivery.submission_trace_context().cloned();
            sink.lock().unwrap().push(trace);
            let is_first = delivery.attempt() == 1;
            async move {
                match is_first {
                    true => Err("not yet".into()),
                    false => Ok(()),
                }
            }
        })
        .build()
        .unwrap();
    let _worker = tokio::spawn(worker.run());
    submit(&bench).await;
    let url: http::Uri = bench.provider.callback_url(0).parse().unwrap();
    let path = url.path_and_query().unwrap().as_str();
    assert_eq!(send(&service, path, &success("task-1")).await, 200);
    bench
        .turn_until(SECOND, async || seen.lock().unwrap().len() == 2)
        .await;
    assert_eq!(*seen.lock().unwrap(), [Some(context()), Some(context())]);
}

#[tokio::test]
async fn a_submission_without_one_has_none() {
    let bench = Bench::new();
    let running = bench.poll();
    bench
        .submitter()
        .submit(&request(), "order-1")
        .await
        .unwrap();
    let url = bench.provider.callback_url(0);
    assert_eq!(running.call(&url, &success("task-1")).await, 200);
    assert_eq!(bench.until_handled(1).await[0].trace, None);
}
