//! What the provider sends: the success callback of a music video, with an id of ours.

use std::ops::Range;

pub(crate) const SECRET: &str = "a-secret-of-32-characters-or-so";
pub(crate) const CALLBACK: &str = "/music-video-callback";

/// A task id: 24 hexadecimal digits, and random, as the provider's are.
pub(crate) fn random_id() -> [u8; 24] {
    let mut digits = *b"000000000000000000000000";
    let mut bits = fastrand::u128(..);
    for digit in &mut digits {
        *digit = b"0123456789abcdef"[(bits & 15) as usize];
        bits >>= 4;
    }
    digits
}

/// A body with this id.
pub(crate) fn body(id: &[u8]) -> Vec<u8> {
    let mut body =
        br#"{"code":200,"msg":"MP4 generated successfully.","data":{"task_id":""#.to_vec();
    body.extend_from_slice(id);
    body.extend_from_slice(
        br#"","video_url":"https://example.com/videos/video_847715e66259.mp4"}}"#,
    );
    body
}

/// A whole HTTP/1.1 request, head and body in one piece, whose id can be changed in place.
#[derive(Clone)]
pub(crate) struct Request {
    bytes: Vec<u8>,
    id: Range<usize>,
}

impl Request {
    pub(crate) fn new(path: &str, secret: &str) -> Self {
        let id = random_id();
        let body = body(&id);
        let mut bytes = format!(
            "POST {path}?token={secret} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        let within = body
            .windows(id.len())
            .position(|window| window == id)
            .expect("the id is in the body");
        let start = bytes.len() + within;
        bytes.extend_from_slice(&body);
        Self {
            bytes,
            id: start..start + id.len(),
        }
    }

    /// What the provider sends.
    pub(crate) fn proven() -> Self {
        Self::new(CALLBACK, SECRET)
    }

    /// What a stranger sends.
    pub(crate) fn forged() -> Self {
        Self::new(CALLBACK, "a-guess-of-32-characters-or-more")
    }

    pub(crate) fn set_id(&mut self, id: [u8; 24]) {
        self.bytes[self.id.clone()].copy_from_slice(&id);
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
