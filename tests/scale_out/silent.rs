//! A provider that never calls back.

use std::{sync::Arc, time::Duration};

use libtest_mimic::Trial;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tower_callback::{
    Callbacks, Clock, MusicVideo, SignedUrl,
    event::Source,
    music_video::{Client, GenerateRequest, Polling, Submitter},
    store::State,
    testing::provider::{SimulatedProvider, TaskFault, TaskPlan},
};

use crate::{
    engine::{Kind, Server},
    role::ENDPOINT,
};

pub(crate) fn trials() -> Vec<Trial> {
    crate::trials(
        "a_task_whose_callback_never_comes_is_asked_for_and_handled_once",
        run,
    )
}

/// Minutes pass in seconds.
async fn run(kind: Kind) -> Result<(), String> {
    let clock = Clock::scaled(60);
    let provider = SimulatedProvider::builder()
        .clock(clock.clone())
        .task(TaskPlan::new().with(TaskFault::Silent))
        .start()
        .await
        .unwrap();
    let client = Client::builder(provider.base_url(), provider.api_key())
        .with_clock(clock.clone())
        .dangerous()
        .allow_http()
        .build()
        .unwrap();
    let server = Server::start(kind).await;
    let direct = server.open().await;
    let signed = SignedUrl::query(
        ENDPOINT,
        "http://127.0.0.1:9/callback",
        "cap",
        "a-key-of-32-random-bytes-nov-26.",
    )
    .dangerous()
    .plain_http();
    let (tell, mut told) = mpsc::unbounded_channel();
    let tell = Arc::new(tell);
    let worker = Callbacks::<MusicVideo>::new(ENDPOINT, signed.clone())
        .store(direct.store())
        .clock(clock.clone())
        .poll_with(Polling::new(client.clone()))
        .handle(move |delivery| {
            let told = tell.send((delivery.source(), delivery.event));
            async move { Ok(told?) }
        })
        .build_worker()
        .unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let worker = tokio::spawn(worker.run_until(async {
        let _ = stopped.await;
    }));

    let submitter = Submitter::new(ENDPOINT, direct.store(), client, signed).unwrap();
    let request = GenerateRequest::new("music-1", "audio-1");
    submitter.submit(&request, "order-1").await.unwrap();
    let (source, event) = timeout(Duration::from_secs(120), told.recv())
        .await
        .expect("the event never comes")
        .unwrap();
    assert_eq!(source, Source::Poll);
    while direct.find(&event.task_id).await.unwrap().state != State::Done {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let _ = stop.send(());
    worker.await.unwrap();
    assert!(told.try_recv().is_err(), "handled twice");
    let report = provider.stop().await;
    assert_eq!(report.paid_twice().count(), 0);
    Ok(())
}
