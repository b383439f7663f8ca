//! What the API answers: HTTP 200, and the result in the body.

use bytes::Bytes;
use http::{HeaderValue, Response, header::CONTENT_TYPE};
use http_body_util::{Either, Full};
use serde_json::{Value, json};

use super::file_body::FileBody;

/// The body of any answer.
pub(super) type Body = Either<Full<Bytes>, FileBody>;

/// `{"code":…,"msg":…,"data":…}`. The HTTP status is not the result, as recorded.
pub(super) fn envelope(code: i64, msg: &str, data: Value) -> Response<Body> {
    let envelope = json!({ "code": code, "msg": msg, "data": data });
    let mut response = Response::new(Either::Left(Full::from(envelope.to_string())));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// A code of the provider's table, with words for it.
pub(super) fn refusal(code: i64) -> Response<Body> {
    let msg = match code {
        400 | 422 => "Invalid parameters",
        401 => "You do not have access permissions",
        402 => "Insufficient credits",
        404 => "The requested resource does not exist",
        405 | 430 => "Your call frequency is too high. Please try again later",
        413 => "The text is too long",
        429 => "Too many requests, or insufficient credits",
        455 => "The service is being maintained",
        500 => "Internal Error - Please try again later",
        _ => "error",
    };
    envelope(code, msg, Value::Null)
}
