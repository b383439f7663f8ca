//! What a front does.

use std::time::Duration;

use axum::Router;
use tokio::{net::TcpListener, sync::watch};
use tower::ServiceExt;
use tower_callback::{
    BoxError, Callbacks, MusicVideo, RedisStore, Token,
    store::{AnyInbox, Inbox, Spooled},
    testing::callback,
};

use crate::{
    engine::Direct,
    role::{ENDPOINT, Engine, PATH, Role, Setup, at_last, tell_serving, until},
    servers::loopback,
    worker::postgres,
};

/// Longer than the faults of a test last, and shorter than the caller waits.
const ANSWERS: Duration = Duration::from_secs(3);

pub(crate) async fn run(setup: &Setup, stop: watch::Receiver<bool>) -> Result<(), BoxError> {
    let Role::Front {
        port,
        ack_deadline,
        spool,
    } = &setup.role
    else {
        return Err("this is no front".into());
    };
    let store = match &setup.engine {
        Engine::Postgres { url } => AnyInbox::new(postgres(url).await.0),
        Engine::Redis { url } => {
            let options = RedisStore::options().with_response_timeout(ANSWERS);
            AnyInbox::new(at_last(|| options.clone().connect(url)).await)
        }
    };
    let Some(file) = spool else {
        return serve(setup, store, *port, *ack_deadline, stop).await;
    };
    let (store, forwarder) = Spooled::new(store, file).await?;
    let forwarder = tokio::spawn(forwarder.run_until(until(stop.clone())));
    serve(setup, store, *port, *ack_deadline, stop).await?;
    Ok(forwarder.await?)
}

async fn serve(
    setup: &Setup,
    store: impl Inbox,
    port: u16,
    ack_deadline: Duration,
    stop: watch::Receiver<bool>,
) -> Result<(), BoxError> {
    let callback = Callbacks::<MusicVideo>::new(ENDPOINT, Token::query("token", &*setup.secret))
        .store(store)
        .ack_deadline(ack_deadline)
        .build_front()?;
    let app = Router::new().route_service(PATH, callback);
    let listener = at_last(|| TcpListener::bind(loopback(port))).await;
    tell_serving()?;
    let served = axum::serve(listener, app).with_graceful_shutdown(until(stop));
    Ok(served.await?)
}

/// A front in this process receives one callback.
pub(crate) async fn receive(direct: &Direct, task: &str) {
    const SECRET: &str = "a-secret-of-32-characters-or-so";
    let front = Callbacks::<MusicVideo>::new(ENDPOINT, Token::query("token", SECRET))
        .store(direct.store())
        .build_front()
        .unwrap();
    let request = callback(task).query("token", SECRET).request(PATH);
    let response = front.oneshot(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
}
