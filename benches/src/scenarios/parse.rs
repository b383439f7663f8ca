//! Reading one callback: with all tolerances, and beside it serde_json with all fields and none of
//! them.

use std::{hint::black_box, time::SystemTime};

use http::HeaderMap;
use tower_callback::{Callback, Event, MusicVideo};

use crate::{borrowed::Envelope, payload::body};

const ID: &[u8] = b"847715e66259774b9aa0422f";

pub(super) fn music_video(times: u32) {
    let (body, headers) = (body(ID), HeaderMap::new());
    let callback = Callback::new(&body, SystemTime::UNIX_EPOCH, &headers);
    for _ in 0..times {
        let event = MusicVideo::parse(black_box(&callback));
        assert!(black_box(event).is_ok(), "it is a callback");
    }
}

pub(super) fn serde_json_borrowed(times: u32) {
    let body = body(ID);
    for _ in 0..times {
        let read = serde_json::from_slice::<Envelope<'_>>(black_box(&body));
        assert!(black_box(read).is_ok(), "it is a callback");
    }
}
