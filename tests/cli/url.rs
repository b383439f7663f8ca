//! `url mint`.

use axum::Router;
use tokio::task::JoinSet;
use tower_callback::{
    Callbacks, MemoryStore, MusicVideo, SignedUrl,
    store::{Inspect, Queue, inspect::Listing},
};

use crate::{
    command::{SECRET, tower_callback},
    receiver, trials,
};

trials! {
    a_minted_url_is_accepted_by_the_endpoint_that_it_was_made_for,
    what_cannot_be_minted_ends_with_2,
}

async fn a_minted_url_is_accepted_by_the_endpoint_that_it_was_made_for() {
    let store = MemoryStore::new();
    let signed = SignedUrl::query("music-video", "http://localhost/callback", "cap", SECRET);
    let signed = signed.dangerous().plain_http();
    let callback = Callbacks::<MusicVideo>::new("music-video", signed).store(store.clone());
    let app = Router::new().route_service("/callback", callback.build_front().unwrap());
    let mut tasks = JoinSet::new();
    let port = receiver::serve(app, &mut tasks).await;
    let base = format!("http://127.0.0.1:{port}/callback");
    let mint = [
        "url",
        "mint",
        "order-1",
        "order-2",
        "--endpoint",
        "music-video",
        "--key",
        "env:CALLBACK_SECRET",
        "--plain-http",
        "--base",
        &base,
    ];
    let urls = tower_callback(&mint).ends_with(0).await.stdout;
    assert_eq!(urls.lines().count(), 2);
    for url in urls.lines() {
        // A URL that is as good as a password is not written into the command line either.
        let send = tower_callback(&["send", "env:CALLBACK_URL"]).env("CALLBACK_URL", url);
        send.ends_with(0).await;
        let forged = format!("{url}x");
        let send = tower_callback(&["send", "env:CALLBACK_URL"]).env("CALLBACK_URL", &forged);
        send.ends_with(1).await;
    }
    let page = store
        .list(&Queue::events("music-video"), &Listing::all())
        .await
        .unwrap();
    assert_eq!(page.records.len(), 2);
    let record = store
        .look(&Queue::events("music-video"), page.records[0].id)
        .await
        .unwrap();
    let meta = String::from_utf8(record.unwrap().meta.unwrap().to_vec()).unwrap();
    assert!(meta.contains("order-1"), "{meta}");

    let told = tower_callback(&mint).tells(0).await;
    assert_eq!(told[1]["correlation"], "order-2");
}

async fn what_cannot_be_minted_ends_with_2() {
    let base = "http://127.0.0.1/callback";
    let mint = |more: &[&'static str]| {
        let words = [
            "url",
            "mint",
            "order-1",
            "--endpoint",
            "music-video",
            "--base",
            base,
        ];
        tower_callback(&[&words[..], more].concat())
    };
    mint(&["--key", "env:CALLBACK_SECRET"]).ends_with(2).await;
    mint(&["--key", SECRET, "--plain-http"]).ends_with(2).await;
    mint(&[
        "--key",
        "env:CALLBACK_SECRET",
        "--plain-http",
        "--life",
        "31d",
    ])
    .ends_with(2)
    .await;
}
