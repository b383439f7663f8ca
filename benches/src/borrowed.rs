//! The provider's success callback as serde_json reads it into borrowed fields, with none of our
//! tolerances: the peer of our parser.

use serde::Deserialize;

#[derive(Deserialize)]
#[expect(dead_code, reason = "only what it costs to read them counts")]
pub(crate) struct Envelope<'a> {
    code: i64,
    msg: &'a str,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only what it costs to read them counts")]
struct Data<'a> {
    task_id: &'a str,
    video_url: Option<&'a str>,
}
