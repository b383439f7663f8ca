//! What one writes on axum: extractors for the token and the JSON, and the same map.

use axum::{Json, Router, extract::Query, extract::State, http::StatusCode, routing::post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::hand_written::{Callback, Seen, note};
use crate::payload::{CALLBACK, SECRET};

#[derive(Deserialize)]
struct Proof {
    token: String,
}

async fn receive(
    State(seen): State<Seen>,
    Query(proof): Query<Proof>,
    Json(callback): Json<Callback>,
) -> Result<Json<Value>, StatusCode> {
    if proof.token != SECRET {
        return Err(StatusCode::UNAUTHORIZED);
    }
    note(&seen, callback);
    Ok(Json(json!({ "status": "received" })))
}

pub(crate) fn router() -> Router {
    Router::new()
        .route(CALLBACK, post(receive))
        .with_state(Seen::default())
}
