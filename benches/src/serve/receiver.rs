//! The receivers that run in a process of ours.

use std::{convert::Infallible, io, path::Path, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{Layer, service_fn as tower_fn};
use tower_callback::{
    BoxError, CallbackService, PostgresStore, RedisStore, SqliteStore, store::Store,
};

use super::listen::listen;
use crate::{
    by_hand::{AppendOnly, Group, Record, SqliteTable},
    payload::CALLBACK,
    receivers::{RECEIVED, axum, bare, hand_written, ours},
};

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Receiver {
    Bare,
    HandWritten,
    HandWrittenSqlite,
    HandWrittenAppend,
    Axum,
    Memory,
    MemoryInAxum,
    MemoryLayer,
    MemoryWorker,
    Sqlite,
    SqliteWorker,
    Postgres,
    PostgresWorker,
    Redis,
    RedisWorker,
}

impl Receiver {
    /// Serves for ever, and says when it is ready.
    pub(super) async fn serve(
        self,
        listener: TcpListener,
        at: &str,
        name: &str,
        ready: impl FnOnce() -> io::Result<()>,
    ) -> Result<(), BoxError> {
        let service = match self {
            Self::Bare => {
                ready()?;
                return listen(listener, service_fn(bare::answer)).await;
            }
            Self::HandWritten => {
                ready()?;
                let seen = hand_written::Seen::default();
                let answer = move |request| hand_written::answer(Arc::clone(&seen), request);
                return listen(listener, service_fn(answer)).await;
            }
            Self::HandWrittenSqlite => {
                let group = Group::start(SqliteTable::create(Path::new(at))?);
                ready()?;
                return by_hand(listener, group).await;
            }
            Self::HandWrittenAppend => {
                let group = Group::start(AppendOnly::create(Path::new(at))?);
                ready()?;
                return by_hand(listener, group).await;
            }
            Self::Axum => {
                ready()?;
                return in_axum(listener, axum::router()).await;
            }
            Self::MemoryInAxum => {
                let front = ours::front(ours::memory())?;
                ready()?;
                let router = ::axum::Router::new().route_service(CALLBACK, front);
                return in_axum(listener, router).await;
            }
            Self::MemoryLayer => {
                let layer = ours::front(ours::memory())?.layer(CALLBACK)?;
                ready()?;
                let app = layer.layer(tower_fn(bare::answer));
                return listen(listener, TowerToHyperService::new(app)).await;
            }
            Self::Memory => ours::front(ours::memory())?,
            Self::MemoryWorker => with_worker(ours::memory())?,
            Self::Sqlite => ours::front(SqliteStore::open(at).await?)?,
            Self::SqliteWorker => with_worker(SqliteStore::open(at).await?)?,
            Self::Postgres => ours::front(PostgresStore::open(at).await?)?,
            Self::PostgresWorker => with_worker(PostgresStore::open(at).await?)?,
            Self::Redis => ours::front(redis(at, name).await?)?,
            Self::RedisWorker => with_worker(redis(at, name).await?)?,
        };
        ready()?;
        listen(listener, TowerToHyperService::new(service)).await
    }
}

async fn redis(at: &str, name: &str) -> Result<RedisStore, BoxError> {
    Ok(RedisStore::options().with_name(name).connect(at).await?)
}

fn with_worker(store: impl Store) -> Result<CallbackService, BoxError> {
    let (front, worker) = ours::endpoint()
        .store(store)
        .handle(|_| async { Ok(()) })
        .build()?;
    tokio::spawn(worker.run_until(std::future::pending()));
    Ok(front)
}

async fn in_axum(listener: TcpListener, router: ::axum::Router) -> Result<(), BoxError> {
    use ::axum::serve::ListenerExt;
    let listener = listener.tap_io(|stream| {
        // Without it, answers would only be later.
        let _ = stream.set_nodelay(true);
    });
    Ok(::axum::serve(listener, router).await?)
}

/// The hand-written receiver with something durable in place of its map.
async fn by_hand(listener: TcpListener, group: Group) -> Result<(), BoxError> {
    let answer = move |request| keep(group.clone(), request);
    listen(listener, service_fn(answer)).await
}

async fn keep(
    group: Group,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if !hand_written::is_proven(request.uri().query()) {
        return Ok(hand_written::reply(StatusCode::UNAUTHORIZED, b""));
    }
    let Ok(body) = request.into_body().collect().await else {
        return Ok(hand_written::reply(StatusCode::BAD_REQUEST, b""));
    };
    let body = body.to_bytes();
    let read = serde_json::from_slice::<hand_written::Callback>(&body);
    let id = read
        .ok()
        .and_then(|read| read.data.task_id.as_bytes().try_into().ok());
    let Some(id) = id else {
        return Ok(hand_written::reply(StatusCode::BAD_REQUEST, b""));
    };
    Ok(match group.insert(Record { id, body }).await {
        Ok(()) => hand_written::reply(StatusCode::OK, RECEIVED),
        Err(_) => hand_written::reply(StatusCode::SERVICE_UNAVAILABLE, b""),
    })
}
