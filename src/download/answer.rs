//! What an answer promises to bring, judged by its head alone.

use std::time::Duration;

use http::{
    HeaderMap, StatusCode, Version,
    header::{
        CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, HeaderName, HeaderValue,
        LAST_MODIFIED, RETRY_AFTER, TRANSFER_ENCODING,
    },
};

use super::{
    content_range::{ContentRange, number},
    error::{DownloadError, DownloadErrorKind as Kind},
};

/// What tells one state of a file from another, byte for byte: the value of `If-Range`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Validator(pub(super) HeaderValue);

/// What is known when something is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// The first byte that is wanted. Where it is not 0, `Range` was sent.
    pub(super) from: u64,
    pub(super) total: Option<u64>,
    pub(super) validator: Option<&'a Validator>,
    /// Whether a digest will show that something is missing.
    pub(super) has_digest: bool,
    pub(super) max: u64,
}

/// What the body of an answer is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Its first byte: 0, or what was asked for.
    pub(super) from: u64,
    /// One after its last byte, where that is known.
    pub(super) end: Option<u64>,
    /// The length of the whole, where that is known.
    pub(super) total: Option<u64>,
    pub(super) validator: Option<Validator>,
}

/// Why an answer brings nothing, and what helps.
#[derive(Debug)]
pub(super) enum Setback {
    /// To ask again, for what is missing.
    Again(DownloadError),
    /// To ask again, for the whole.
    Anew(DownloadError),
    /// To ask at another URL.
    Expired(DownloadError),
    /// Nothing helps here and now.
    Final(DownloadError),
}

impl Setback {
    pub(super) fn at_host(self, host: &str) -> Self {
        let at_host = |error: DownloadError| error.at_host(Some(host));
        match self {
            Self::Again(error) => Self::Again(at_host(error)),
            Self::Anew(error) => Self::Anew(at_host(error)),
            Self::Expired(error) => Self::Expired(at_host(error)),
            Self::Final(error) => Self::Final(at_host(error)),
        }
    }

    pub(super) fn anew(text: &'static str) -> Self {
        Self::Anew(DownloadError::new(Kind::Inconsistent, text))
    }

    pub(super) fn end(kind: Kind, text: &'static str) -> Self {
        Self::Final(DownloadError::new(kind, text))
    }
}

pub(super) fn judge(
    status: StatusCode,
    version: Version,
    headers: &HeaderMap,
    asked: Asked<'_>,
) -> Result<Part, Setback> {
    let part = match status {
        StatusCode::OK => whole(version, headers, asked)?,
        StatusCode::PARTIAL_CONTENT => rest(headers, asked)?,
        StatusCode::RANGE_NOT_SATISFIABLE if asked.from > 0 => {
            return Err(Setback::anew("the server has no such part any more"));
        }
        other => return Err(refused(other, headers)),
    };
    let encoded = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().any(encoded) {
        let text = "the answer is compressed, though that was not asked for";
        return Err(Setback::end(Kind::Encoded, text));
    }
    if part
        .total
        .or(part.end)
        .is_some_and(|total| total > asked.max)
    {
        return Err(too_large());
    }
    Ok(part)
}

pub(super) fn too_large() -> Setback {
    Setback::end(Kind::TooLarge, "the file is larger than allowed")
}

fn whole(version: Version, headers: &HeaderMap, asked: Asked<'_>) -> Result<Part, Setback> {
    let total = length(headers)?;
    // HTTP/1 without either ends where the connection does, for whatever reason.
    let ends = version >= Version::HTTP_2 || headers.contains_key(TRANSFER_ENCODING);
    if total.is_none() && !ends && !asked.has_digest {
        let text = "the server does not say how long the file is";
        return Err(Setback::end(Kind::UnknownLength, text));
    }
    Ok(Part {
        from: 0,
        end: total,
        total,
        validator: validator(headers),
    })
}

fn rest(headers: &HeaderMap, asked: Asked<'_>) -> Result<Part, Setback> {
    if asked.from == 0 {
        return Err(Setback::anew("a part came, though the whole was asked for"));
    }
    let range =
        single(headers, CONTENT_RANGE).and_then(|value| ContentRange::parse(value.as_bytes()));
    let Some(ContentRange {
        part: Some((from, end)),
        total,
    }) = range
    else {
        return Err(Setback::anew("a part came that does not say which"));
    };
    if from != asked.from {
        return Err(Setback::anew("another part came than was asked for"));
    }
    if total.is_some() && asked.total.is_some() && total != asked.total {
        return Err(Setback::anew("the file has another length than before"));
    }
    let total = asked.total.or(total);
    if total.is_some_and(|total| end > total) {
        return Err(Setback::anew("a part came that is longer than the whole"));
    }
    if total.is_none() && !asked.has_digest {
        return Err(Setback::anew("a part came that does not say of how much"));
    }
    if length(headers)?.is_some_and(|length| length != end - from) {
        return Err(Setback::anew(
            "the length of a part is not that of its range",
        ));
    }
    if let Some(Validator(known)) = asked.validator {
        let is_same = if is_strong(known) {
            headers.get(ETAG).is_none_or(|etag| etag == known)
        } else {
            // A server may leave it out, but so does one that regards no `If-Range`.
            single(headers, LAST_MODIFIED) == Some(known)
        };
        if !is_same {
            return Err(Setback::anew("the file may have changed"));
        }
    }
    Ok(Part {
        from,
        end: Some(end),
        total,
        validator: asked.validator.cloned(),
    })
}

fn refused(status: StatusCode, headers: &HeaderMap) -> Setback {
    let retry_after = single(headers, RETRY_AFTER)
        .and_then(|value| number(value.to_str().ok()?))
        .map(Duration::from_secs);
    let error = DownloadError::status_of(status.as_u16(), retry_after);
    match error.kind() {
        Kind::Expired => Setback::Expired(error),
        _ if error.is_retryable() => Setback::Again(error),
        _ => Setback::Final(error),
    }
}

fn single(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn length(headers: &HeaderMap) -> Result<Option<u64>, Setback> {
    if !headers.contains_key(CONTENT_LENGTH) {
        return Ok(None);
    }
    let length = single(headers, CONTENT_LENGTH).and_then(|value| number(value.to_str().ok()?));
    match length {
        Some(length) => Ok(Some(length)),
        None => Err(Setback::anew("the length is no number")),
    }
}

fn is_strong(etag: &HeaderValue) -> bool {
    let etag = etag.as_bytes();
    etag.len() >= 2 && etag.starts_with(b"\"") && etag.ends_with(b"\"")
}

/// A strong `ETag`, or else a `Last-Modified` that is older than the answer: within one second a file
/// can change twice.
fn validator(headers: &HeaderMap) -> Option<Validator> {
    let etag = single(headers, ETAG).filter(|etag| is_strong(etag));
    let modified = || {
        let date = single(headers, DATE)?;
        single(headers, LAST_MODIFIED).filter(|modified| *modified != date)
    };
    etag.or_else(modified).cloned().map(Validator)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODIFIED: &str = "Wed, 01 Jan 2025 00:00:00 GMT";
    const LATER: &str = "Wed, 01 Jan 2025 00:00:09 GMT";

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        pairs.iter().map(pair).collect()
    }

    fn judged(
        status: u16,
        pairs: &[(&'static str, &'static str)],
        from: u64,
    ) -> Result<Part, (char, Kind)> {
        let etag = Validator(HeaderValue::from_static("\"a\""));
        let asked = Asked {
            from,
            total: (from > 0).then_some(10),
            validator: Some(&etag),
            has_digest: false,
            max: 20,
        };
        let status = StatusCode::from_u16(status).unwrap();
        judge(status, Version::HTTP_11, &headers(pairs), asked).map_err(|setback| match setback {
            Setback::Again(error) => ('a', error.kind()),
            Setback::Anew(error) => ('n', error.kind()),
            Setback::Expired(error) => ('e', error.kind()),
            Setback::Final(error) => ('f', error.kind()),
        })
    }

    #[test]
    fn a_part_is_taken_only_where_everything_agrees() {
        let etag = ("etag", "\"a\"");
        let good = [
            ("content-range", "bytes 4-9/10"),
            ("content-length", "6"),
            etag,
        ];
        let part = judged(206, &good, 4).unwrap();
        assert_eq!((part.from, part.end, part.total), (4, Some(10), Some(10)));
        let short = judged(206, &[("content-range", "bytes 4-6/*")], 4).unwrap();
        assert_eq!((short.end, short.total), (Some(7), Some(10)));
        for wrong in [
            vec![],
            vec![("content-range", "bytes 0-9/10")],
            vec![("content-range", "bytes 5-9/10")],
            vec![("content-range", "bytes 4-9/11")],
            vec![("content-range", "bytes 4-10/*")],
            vec![("content-range", "bytes */10")],
            vec![("content-range", "bytes 4-9/10"), ("content-length", "7")],
            vec![("content-range", "bytes 4-9/10"), ("content-length", "six")],
            vec![("content-range", "bytes 4-9/10"), ("etag", "\"b\"")],
            vec![
                ("content-range", "bytes 4-9/10"),
                ("content-range", "bytes 4-9/10"),
            ],
        ] {
            assert_eq!(
                judged(206, &wrong, 4),
                Err(('n', Kind::Inconsistent)),
                "{wrong:?}"
            );
        }
        assert_eq!(judged(206, &good, 0), Err(('n', Kind::Inconsistent)));
        assert_eq!(
            judged(416, &[("content-range", "bytes */10")], 4),
            Err(('n', Kind::Inconsistent))
        );
        assert_eq!(judged(416, &[], 0), Err(('f', Kind::Status)));
    }

    #[test]
    fn a_part_of_what_is_known_by_its_date_must_have_that_date() {
        let date = Validator(HeaderValue::from_static(MODIFIED));
        let asked = Asked {
            from: 4,
            total: Some(10),
            validator: Some(&date),
            has_digest: false,
            max: 20,
        };
        let is_taken = |more: &[_]| {
            let pairs = [&[("content-range", "bytes 4-9/10")][..], more].concat();
            rest(&headers(&pairs), asked).is_ok()
        };
        let (same, other) = (("last-modified", MODIFIED), ("last-modified", LATER));
        assert!(is_taken(&[same]) && is_taken(&[same, ("etag", "W/\"a\"")]));
        for wrong in [&[][..], &[other], &[same, other], &[("etag", "\"a\"")]] {
            assert!(!is_taken(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_whole_must_say_where_it_ends_and_be_small_enough() {
        let part = judged(200, &[("content-length", "20")], 4).unwrap();
        assert_eq!((part.from, part.end, part.total), (0, Some(20), Some(20)));
        assert_eq!(
            judged(200, &[("content-length", "21")], 0),
            Err(('f', Kind::TooLarge))
        );
        assert_eq!(judged(200, &[], 0), Err(('f', Kind::UnknownLength)));
        let chunked = judged(200, &[("transfer-encoding", "chunked")], 0).unwrap();
        assert_eq!(chunked.total, None);
        let twice = [("content-length", "5"), ("content-length", "6")];
        assert_eq!(judged(200, &twice, 0), Err(('n', Kind::Inconsistent)));
    }

    #[test]
    fn what_is_compressed_is_refused() {
        let length = ("content-length", "5");
        for encoding in ["gzip", "br", "identity, gzip", "x-unknown"] {
            let answer = [length, ("content-encoding", encoding)];
            assert_eq!(
                judged(200, &answer, 0),
                Err(('f', Kind::Encoded)),
                "{encoding}"
            );
        }
        assert!(judged(200, &[length, ("content-encoding", "Identity")], 0).is_ok());
    }

    #[test]
    fn a_status_says_what_helps() {
        for (status, setback) in [
            (403, ('e', Kind::Expired)),
            (404, ('e', Kind::Expired)),
            (410, ('e', Kind::Expired)),
            (408, ('a', Kind::Status)),
            (429, ('a', Kind::Status)),
            (500, ('a', Kind::Status)),
            (503, ('a', Kind::Status)),
            (204, ('f', Kind::Status)),
            (400, ('f', Kind::Status)),
            (401, ('f', Kind::Status)),
            (451, ('f', Kind::Status)),
        ] {
            assert_eq!(judged(status, &[], 0), Err(setback), "{status}");
        }
    }

    #[test]
    fn only_what_tells_bytes_apart_validates_a_range() {
        let of = |pairs: &[_]| validator(&headers(pairs)).map(|found| found.0);
        let etag = ("etag", "\"a\"");
        assert_eq!(of(&[etag, ("last-modified", MODIFIED)]).unwrap(), "\"a\"");
        assert_eq!(of(&[("etag", "W/\"a\"")]), None);
        assert_eq!(of(&[("etag", "a")]), None);
        let dated = [("last-modified", MODIFIED), ("date", LATER)];
        assert_eq!(of(&dated).unwrap(), MODIFIED);
        assert_eq!(of(&[("last-modified", MODIFIED), ("date", MODIFIED)]), None);
        assert_eq!(of(&[("last-modified", MODIFIED)]), None);
    }
}
