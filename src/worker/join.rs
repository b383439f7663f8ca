//! Several futures at once, in the task that polls.

use std::{future::poll_fn, pin::Pin, task::Poll};

enum Part<F: Future> {
    Running(Pin<Box<F>>),
    Done(F::Output),
}

/// Waits for all of them, and answers in their order. None of them outlives this, and each is dropped
/// when it is through.
pub(super) async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let running = futures
        .into_iter()
        .map(|future| Part::Running(Box::pin(future)));
    let mut parts: Vec<Part<F>> = running.collect();
    poll_fn(|cx| {
        let mut pending = false;
        for part in &mut parts {
            let Part::Running(future) = part else {
                continue;
            };
            match future.as_mut().poll(cx) {
                Poll::Ready(output) => *part = Part::Done(output),
                Poll::Pending => pending = true,
            }
        }
        match pending {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    })
    .await;
    let outputs = parts.into_iter().filter_map(|part| match part {
        Part::Done(output) => Some(output),
        Part::Running(_) => None,
    });
    outputs.collect()
}
