//! Where a callback goes, for each way to mount the endpoint.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use axum::{Router, routing::get};
use http::StatusCode;
use support::{SECRET, Server, post, request, serve_axum, serve_hyper, success};
use tower::{Layer, ServiceBuilder, service_fn};
use tower_callback::{
    CallbackLayer, CallbackService, Callbacks, MemoryStore, MusicVideo, Token,
    store::{Inspect, Queue},
};

const PATH: &str = support::PATH;

struct Endpoint {
    service: CallbackService,
    store: MemoryStore,
}

fn endpoint() -> Endpoint {
    endpoint_with(Token::query("token", SECRET))
}

fn endpoint_with(proof: Token) -> Endpoint {
    let store = MemoryStore::new();
    let service = Callbacks::<MusicVideo>::new("music-video", proof)
        .store(store.clone())
        .build_front()
        .unwrap();
    Endpoint { service, store }
}

impl Endpoint {
    fn layer(&self) -> CallbackLayer {
        self.service.layer(PATH).unwrap()
    }

    async fn stored(&self) -> u64 {
        let queue = Queue::events("music-video");
        self.store.counts(&queue).await.unwrap().pending
    }
}

async fn home() -> &'static str {
    "home"
}

async fn fallback() -> &'static str {
    "fallback"
}

fn app() -> Router {
    Router::new().route("/", get(home))
}

/// Sends one callback to `path`, and says with what status it was answered and how many were stored.
async fn call(endpoint: &Endpoint, server: &Server, path: &str) -> (u16, u64) {
    let target = format!("{path}?token={SECRET}");
    let answer = post(server.addr, &target, success("task-1")).await;
    (answer.status, endpoint.stored().await)
}

/// That callbacks reach us, and that the app still answers at its own path.
async fn assert_received(endpoint: &Endpoint, app: Router) {
    let server = serve_axum(app).await;
    assert_eq!(call(endpoint, &server, PATH).await, (200, 1));
    assert_eq!(request(server.addr, "GET", "/", &[], "").await.body, "home");
}

async fn assert_lost(endpoint: &Endpoint, app: Router, status: StatusCode) {
    let server = serve_axum(app).await;
    assert_eq!(call(endpoint, &server, PATH).await, (status.as_u16(), 0));
}

#[tokio::test]
async fn axum_route_service_receives_and_leaves_the_rest_to_the_app() {
    let endpoint = endpoint();
    let app = app().route_service(PATH, endpoint.service.clone());
    assert_received(&endpoint, app).await;
}

#[tokio::test]
async fn axum_route_service_receives_with_a_later_fallback() {
    let endpoint = endpoint();
    let app = app()
        .route_service(PATH, endpoint.service.clone())
        .fallback(fallback);
    assert_received(&endpoint, app).await;
}

#[tokio::test]
async fn axum_route_service_receives_when_merged_either_way() {
    let first = endpoint();
    let routed = Router::new().route_service(PATH, first.service.clone());
    assert_received(&first, app().merge(routed)).await;
    let second = endpoint();
    let routed = Router::new().route_service(PATH, second.service.clone());
    assert_received(&second, routed.merge(app())).await;
}

#[tokio::test]
async fn axum_route_service_receives_when_nested() {
    let endpoint = endpoint();
    let routed = Router::new().route_service(PATH, endpoint.service.clone());
    let server = serve_axum(app().nest("/api", routed)).await;
    assert_eq!(
        call(&endpoint, &server, &format!("/api{PATH}")).await,
        (200, 1)
    );
}

#[tokio::test]
async fn axum_route_service_reads_a_token_from_the_last_segment() {
    let endpoint = endpoint_with(Token::segment(SECRET));
    let app = app().route_service("/callback/{token}", endpoint.service.clone());
    let server = serve_axum(app).await;
    let status = support::status(server.addr, "/callback/wrong", success("task-1")).await;
    assert_eq!((status, endpoint.stored().await), (401, 0));
    let status = support::status(
        server.addr,
        &format!("/callback/{SECRET}"),
        success("task-1"),
    )
    .await;
    assert_eq!((status, endpoint.stored().await), (200, 1));
}

#[tokio::test]
async fn axum_layer_receives_on_a_router() {
    let endpoint = endpoint();
    assert_received(&endpoint, app().layer(endpoint.layer())).await;
}

#[tokio::test]
async fn axum_layer_receives_on_an_empty_router() {
    let endpoint = endpoint();
    let server = serve_axum(Router::new().layer(endpoint.layer())).await;
    assert_eq!(call(&endpoint, &server, PATH).await, (200, 1));
}

#[tokio::test]
async fn axum_layer_receives_after_a_fallback() {
    let endpoint = endpoint();
    assert_received(&endpoint, app().fallback(fallback).layer(endpoint.layer())).await;
}

#[tokio::test]
async fn axum_layer_receives_when_the_layered_router_is_merged_into_another() {
    let endpoint = endpoint();
    let other = Router::new().route("/other", get(home));
    assert_received(&endpoint, other.merge(app().layer(endpoint.layer()))).await;
}

#[tokio::test]
async fn axum_layer_loses_events_in_silence_when_a_fallback_comes_after_it() {
    let endpoint = endpoint();
    let app = app().layer(endpoint.layer()).fallback(fallback);
    assert_lost(&endpoint, app, StatusCode::OK).await;
}

#[tokio::test]
async fn axum_layer_misses_callbacks_when_another_router_is_merged_into_it() {
    let endpoint = endpoint();
    let other = Router::new().route("/other", get(home));
    assert_lost(
        &endpoint,
        app().layer(endpoint.layer()).merge(other),
        StatusCode::NOT_FOUND,
    )
    .await;
}

#[tokio::test]
async fn axum_layer_misses_callbacks_when_nested() {
    let endpoint = endpoint();
    let app = Router::new().nest("/api", app().layer(endpoint.layer()));
    let server = serve_axum(app).await;
    assert_eq!(call(&endpoint, &server, PATH).await, (404, 0));
    assert_eq!(
        call(&endpoint, &server, &format!("/api{PATH}")).await,
        (404, 0)
    );
}

#[tokio::test]
async fn axum_route_layer_misses_callbacks() {
    let endpoint = endpoint();
    assert_lost(
        &endpoint,
        app().route_layer(endpoint.layer()),
        StatusCode::NOT_FOUND,
    )
    .await;
}

#[tokio::test]
async fn hyper_serves_the_leaf_alone() {
    let endpoint = endpoint();
    let server = serve_hyper(endpoint.service.clone()).await;
    assert_eq!(call(&endpoint, &server, "/any/path").await, (200, 1));
}

#[tokio::test]
async fn hyper_serves_an_app_inside_the_layer() {
    let endpoint = endpoint();
    let app = endpoint.layer().layer(service_fn(support::inner));
    let server = serve_hyper(app).await;
    assert_eq!(call(&endpoint, &server, PATH).await, (200, 1));
    assert_eq!(post(server.addr, "/other", "x").await.body, "inner /other");
}

#[tokio::test]
async fn the_layer_takes_one_trailing_slash_and_no_other_path() {
    let endpoint = endpoint();
    let server = serve_hyper(endpoint.layer().layer(service_fn(support::inner))).await;
    assert_eq!(
        call(&endpoint, &server, &format!("{PATH}/")).await,
        (200, 1)
    );
    for foreign in [
        "/Music-Video-Callback",
        "//music-video-callback",
        "/music-video-callback/x",
        "/",
    ] {
        let target = format!("{foreign}?token={SECRET}");
        let answer = post(server.addr, &target, success("task-2")).await;
        assert_eq!(answer.body, format!("inner {foreign}"));
    }
    assert_eq!(endpoint.stored().await, 1);
}

#[tokio::test]
async fn a_layer_with_a_token_segment_takes_the_path_without_it_and_refuses() {
    let endpoint = endpoint_with(Token::segment(SECRET));
    let layer = endpoint.service.layer("/callback/{token}").unwrap();
    let server = serve_hyper(layer.layer(service_fn(support::inner))).await;
    for refused in ["/callback", "/callback/", "/callback/wrong"] {
        assert_eq!(
            support::status(server.addr, refused, success("task-1")).await,
            401,
            "{refused}"
        );
    }
    let status = support::status(
        server.addr,
        &format!("/callback/{SECRET}"),
        success("task-1"),
    )
    .await;
    assert_eq!((status, endpoint.stored().await), (200, 1));
    assert_eq!(
        post(server.addr, "/callback/a/b", "x").await.body,
        "inner /callback/a/b"
    );
}

#[test]
fn a_layer_without_the_segment_that_its_proof_reads_is_an_error() {
    let endpoint = endpoint_with(Token::segment(SECRET));
    let error = endpoint.service.layer(PATH).unwrap_err();
    assert_eq!(error.setting(), "layer");
    assert!(error.to_string().contains("/{token}"), "{error}");
}

#[tokio::test]
async fn two_endpoints_can_be_layered_over_one_app() {
    let (video, audio) = (endpoint(), endpoint());
    let app = ServiceBuilder::new()
        .layer(video.service.layer("/video").unwrap())
        .layer(audio.service.layer("/audio").unwrap())
        .service(service_fn(support::inner));
    let server = serve_hyper(app).await;
    assert_eq!(call(&video, &server, "/video").await, (200, 1));
    assert_eq!(call(&audio, &server, "/audio").await, (200, 1));
    assert_eq!(post(server.addr, "/", "x").await.body, "inner /");
}
