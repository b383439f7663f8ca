//! Bodies that nobody can read.

use bytes::Bytes;

use super::random::SplitMix64;

/// A body that is no event, made from one that is.
pub(super) fn malformed(body: &Bytes, random: &mut SplitMix64) -> Bytes {
    match random.below(7) {
        0 => Bytes::new(),
        1 => body.slice(..body.len() / 2),
        2 => [body.as_ref(), b"}"].concat().into(),
        3 => [b"{\"msg\":\"\xff\xfe\",", body.get(1..).unwrap_or_default()]
            .concat()
            .into(),
        4 => Bytes::from_static(b"<html><body><h1>502 Bad Gateway</h1></body></html>"),
        5 => Bytes::from_static(br#"{"code":200,"msg":"success","data":{"video_url":null}}"#),
        _ => "[".repeat(10_000).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, time::SystemTime};

    use http::HeaderMap;

    use super::*;
    use crate::{Callback, Event, MusicVideo};

    #[test]
    fn no_malformed_body_is_an_event_and_each_sort_comes() {
        let body = MusicVideo::failed("task-1", 400, "no").encode();
        let mut random = SplitMix64::new(7);
        let bodies: HashSet<_> = (0..200).map(|_| malformed(&body, &mut random)).collect();
        assert_eq!(bodies.len(), 7);
        let headers = HeaderMap::new();
        for body in bodies {
            let callback = Callback::new(&body, SystemTime::now(), &headers);
            MusicVideo::parse(&callback).unwrap_err();
        }
    }
}
