//! The provider and a real endpoint.

use std::{convert::Infallible, net::SocketAddr};

use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{net::TcpListener, task::JoinSet};
use tower::ServiceExt;
use tower_callback::{
    CallbackService, Callbacks, Clock, MemoryStore, MusicVideo, Token,
    store::{Inspect, Queue, State, Store},
    testing::{
        Caller, callback,
        provider::{Faults, Kind, Schedule},
    },
};

use crate::seconds;

const SECRET: &str = "a-secret-of-32-characters-or-so";

fn endpoint(store: &MemoryStore, clock: &Clock) -> CallbackService {
    Callbacks::<MusicVideo>::new("music-video", Token::query("token", SECRET))
        .store(store.clone())
        .clock(clock.clone())
        .build_front()
        .unwrap()
}

async fn serve(service: CallbackService) -> (SocketAddr, JoinSet<Infallible>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(service.clone());
            connections.spawn(async move {
                // Connections that are cut are part of the test.
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    (addr, tasks)
}

#[tokio::test]
async fn whatever_goes_wrong_every_event_ends_stored_once() {
    let store = MemoryStore::new();
    let clock = Clock::scaled(30);
    let (addr, _tasks) = serve(endpoint(&store, &clock)).await;
    let report = Caller::to(format!("http://{addr}/callback?token={SECRET}"))
        .unwrap()
        .seed(11)
        .clock(clock)
        // More retries than the provider's, so that no busy machine makes it give up.
        .schedule(Schedule::new(seconds(15), [seconds(2); 50]))
        .faults(Faults::all(0.3))
        .events(150)
        .run()
        .await;
    let totals = report.totals();
    assert_eq!(totals.acknowledged, 150, "{report}");
    assert_eq!(totals.deceived, 0, "{report}");

    let events = Queue::events("music-video");
    assert_eq!(store.counts(&events).await.unwrap().pending, 150);
    for event in report.events() {
        let found = store.find(&events, event.task_id.as_bytes()).await.unwrap();
        assert_eq!(found.unwrap().state, State::Pending, "{event}");
    }
    let quarantined = store
        .counts(&Queue::quarantine("music-video"))
        .await
        .unwrap()
        .pending;
    let malformed = report.sent(Kind::Malformed) as u64;
    assert!((1..=malformed).contains(&quarantined), "{quarantined}");
}

#[tokio::test]
async fn a_callback_made_by_hand_drives_a_service_without_a_socket() {
    let store = MemoryStore::new();
    let service = endpoint(&store, &Clock::system());
    for (token, status, pending) in [("wrong", 401, 0), (SECRET, 200, 1), (SECRET, 200, 1)] {
        let request = callback("task-1")
            .query("token", token)
            .request("/callback")
            .unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status);
        let counts = store.counts(&Queue::events("music-video")).await.unwrap();
        assert_eq!(counts.pending, pending);
    }
}
