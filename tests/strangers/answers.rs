//! Who is refused is told nothing.

use http::Request;
use tower_callback::{CallbackService, Callbacks, Disposition, MemoryStore, MusicVideo, Verify};

use crate::{
    CANARY, assert_unseen,
    body::Chunks,
    call,
    kinds::{Head, kinds},
    seen, success,
};

fn service(proof: impl Verify, conceal: bool) -> CallbackService {
    let callbacks = Callbacks::<MusicVideo>::new("music-video", proof).store(MemoryStore::new());
    let callbacks = if conceal {
        callbacks.conceal()
    } else {
        callbacks
    };
    callbacks.build_front().unwrap()
}

/// The answers of one kind of proof to all who do not have it, with good bodies and with bad ones.
async fn refusals(conceal: bool) -> Vec<(String, String)> {
    let mut answers = Vec::new();
    for kind in kinds() {
        let service = service((kind.proof)(), conceal);
        let body = success("task-1");
        let good = (kind.good)("task-1", body.as_bytes());
        let accepted = call(&service, good.post(Chunks::of(body.clone()))).await;
        assert_eq!(accepted.status(), 200, "{}", kind.name);

        let mut requests: Vec<Request<Chunks>> = Vec::new();
        for body in [body.as_str(), "", "{", CANARY] {
            let bad = (kind.bad)().into_iter();
            requests.extend(bad.map(|head| head.post(Chunks::of(body.to_owned()))));
        }
        // What was proved was another body, or is about another task.
        let other = success("task-2");
        if (kind.good)("task-1", body.as_bytes()).headers
            != (kind.good)("task-2", other.as_bytes()).headers
        {
            requests.push(good.post(Chunks::of(other)));
        }
        for (at, request) in requests.into_iter().enumerate() {
            let response = call(&service, request).await;
            let disposition = response.extensions().get::<Disposition>().unwrap();
            assert!(
                matches!(disposition, Disposition::Refused(_)),
                "{} {at}: {disposition:?}",
                kind.name
            );
            answers.push((format!("{} {at}", kind.name), seen(response).await));
        }
    }
    answers
}

#[tokio::test]
async fn no_answer_tells_which_part_of_which_proof_refused_or_why() {
    let answers = refusals(false).await;
    assert!(answers.len() > 50);
    for (what, answer) in &answers {
        assert_eq!(answer, &answers[0].1, "{what}");
    }
    assert!(answers[0].1.starts_with("401 "), "{}", answers[0].1);
    assert_unseen(&answers[0].1, CANARY);
}

#[tokio::test]
async fn a_concealed_endpoint_answers_strangers_as_if_it_were_not_there() {
    let answers = refusals(true).await;
    for (what, answer) in &answers {
        assert_eq!(answer, &answers[0].1, "{what}");
    }
    assert!(answers[0].1.starts_with("404 "), "{}", answers[0].1);
    for kind in kinds() {
        let service = service((kind.proof)(), true);
        let mut get = Head::new("/callback").post(Chunks::of(""));
        *get.method_mut() = http::Method::GET;
        let answer = seen(call(&service, get).await).await;
        assert_eq!(answer, answers[0].1, "{}: a wrong method", kind.name);
    }
}

#[tokio::test]
async fn a_proof_by_head_is_refused_without_the_body_and_a_proof_by_body_with_it() {
    for kind in kinds() {
        let service = service((kind.proof)(), false);
        for head in (kind.bad)() {
            // A body that never comes is waited for only by a proof that needs it.
            let hanging = Chunks::of("").then_hangs();
            let mut call = Box::pin(call(&service, head.post(hanging)));
            let answered = is_done_at_once(&mut call).await;
            assert_eq!(answered, !head.is_by_body, "{} {}", kind.name, head.target);
        }
    }
}

/// Whether the future is done at once.
async fn is_done_at_once<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_ready())
    })
    .await
}
