//! The provider never sees more requests in a window than it allows.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::task::JoinSet;
use tower_callback::{Clock, clock::ManualClock};

use crate::{
    CALLBACK, PENDING, TAKEN, builder, request,
    server::{Reply, Server},
};

const WINDOW: Duration = Duration::from_secs(10);

/// A provider that writes down when requests arrive, and whether they are submissions.
async fn timed(hands: &ManualClock) -> (Server, Arc<Mutex<Vec<(Duration, bool)>>>) {
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let server = Server::start({
        let (hands, arrivals) = (hands.clone(), Arc::clone(&arrivals));
        move |_, seen| {
            let submission = !seen.body.is_empty();
            arrivals.lock().unwrap().push((hands.elapsed(), submission));
            Reply::ok(if submission { TAKEN } else { PENDING })
        }
    });
    (server.await, arrivals)
}

#[tokio::test]
async fn no_window_holds_more_requests_than_allowed_however_many_callers_there_are() {
    let hands = Clock::manual();
    let (server, arrivals) = timed(&hands).await;
    let client = builder(&server.base)
        .with_clock(hands.clock())
        .with_timeout(Duration::from_secs(1_000_000))
        .build()
        .unwrap();
    let mut callers = JoinSet::new();
    for caller in 0..150 {
        // Clones share the limit.
        let client = client.clone();
        let hands = hands.clone();
        callers.spawn(async move {
            // Some come later, and some leave before it is their turn, which nobody has at once when the
            // first 20 are gone: when a request arrives that was sent and given up, nobody can say.
            hands
                .clock()
                .sleep(Duration::from_millis(137 * caller))
                .await;
            match caller % 10 {
                0 => drop(client.generate(&request(), CALLBACK).await.unwrap()),
                5 if caller > 20 => tokio::select! {
                    answer = client.details("task-1") => drop(answer.unwrap()),
                    () = tokio::task::yield_now() => {}
                },
                _ => drop(client.details("task-1").await.unwrap()),
            }
        });
    }
    while !callers.is_empty() {
        tokio::select! {
            caller = callers.join_next() => caller.unwrap().unwrap(),
            // To let sockets be served.
            () = tokio::time::sleep(Duration::from_millis(1)) => {
                hands.advance(Duration::from_millis(73));
            }
        }
    }
    let arrivals = arrivals.lock().unwrap();
    assert_eq!(arrivals.len(), 137, "all but 13 that left");
    for (first, after) in arrivals.iter().zip(&arrivals[20..]) {
        let apart = after.0 - first.0;
        assert!(apart >= WINDOW, "21 requests within {apart:?}");
    }
}

#[tokio::test]
async fn a_windows_worth_goes_at_once_and_the_next_when_it_is_over() {
    let hands = Clock::manual();
    let (server, arrivals) = timed(&hands).await;
    let client = builder(&server.base).with_clock(hands.clock());
    let client = client.build().unwrap();
    for _ in 0..20 {
        client.details("task-1").await.unwrap();
    }
    assert_eq!(hands.elapsed(), Duration::ZERO);
    let late = tokio::spawn(async move { client.details("task-1").await });
    // The clock stands: nothing can be sent, whatever runs.
    hands.advance(WINDOW - Duration::from_nanos(1));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(arrivals.lock().unwrap().len(), 20);
    hands.advance(Duration::from_nanos(1));
    late.await.unwrap().unwrap();
    assert_eq!(arrivals.lock().unwrap()[20].0, WINDOW);
}

#[tokio::test]
async fn attempts_that_are_made_again_count_as_well() {
    let hands = Clock::manual();
    let server = Server::start(|n, _| match n {
        0..3 => Reply::ok(r#"{"code":455}"#),
        _ => Reply::ok(PENDING),
    })
    .await;
    let client = builder(&server.base)
        .with_clock(hands.clock())
        .with_rate_limit(2, WINDOW)
        .with_timeout(Duration::from_secs(1_000_000))
        .build()
        .unwrap();
    let call = client.details("task-1");
    let turn = async {
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            hands.advance(Duration::from_millis(100));
        }
    };
    tokio::select! {
        answer = call => assert!(answer.unwrap().is_some()),
        () = turn => unreachable!("it turns for ever"),
    }
    assert!(hands.elapsed() >= WINDOW);
    assert_eq!(server.seen().len(), 4);
}
