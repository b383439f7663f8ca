//! The straightforward receiver: forty lines of axum, and a set of the tasks that were seen.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use axum::{Json, Router, extract::State, routing::post};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower_callback::BoxError;

use super::{PATH, Work};

#[derive(Deserialize)]
struct Callback {
    code: i64,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    task_id: String,
}

#[derive(Clone)]
struct App {
    seen: Arc<Mutex<HashSet<String>>>,
    work: Work,
}

/// "The same taskId may receive multiple callbacks": only the first one counts.
async fn receive(
    State(app): State<App>,
    Json(Callback { code, data }): Json<Callback>,
) -> Result<Json<Value>, StatusCode> {
    let is_new = app
        .seen
        .lock()
        .expect("nobody panics")
        .insert(data.task_id.clone());
    if is_new && app.work.act(&data.task_id, code).await.is_err() {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    Ok(Json(json!({ "status": "received" })))
}

pub(super) async fn serve(listener: TcpListener, work: Work) -> Result<(), BoxError> {
    let seen = Arc::default();
    let app = Router::new()
        .route(PATH, post(receive))
        .with_state(App { seen, work });
    Ok(axum::serve(listener, app).await?)
}
