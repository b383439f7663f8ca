//! `GET` and `HEAD` of `/videos/….mp4`.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE,
    },
};
use http_body_util::{Either, Full};

use super::{
    Video,
    answer::Body,
    connection::Cutter,
    fate::DownloadMishap,
    file_body::FileBody,
    range::{Asked, asked},
    world::{File, World},
};

pub(super) fn file<B>(world: &World, request: &Request<B>, cutter: &Cutter) -> Response<Body> {
    let is_get = request.method() == Method::GET;
    if !is_get && request.method() != Method::HEAD {
        let mut response = bare(StatusCode::METHOD_NOT_ALLOWED);
        let methods = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, methods);
        return response;
    }
    let (video, mishap) = match world.file(request.uri().path(), is_get) {
        File::Unknown => return bare(StatusCode::NOT_FOUND),
        File::Expired(status) => return bare(status),
        File::Found(video, mishap) => (video, mishap),
    };
    // A range says nothing to a HEAD.
    let part = if is_get {
        asked_part(request.headers(), video)
    } else {
        Asked::Whole
    };
    let extra = match mishap {
        Some(DownloadMishap::TooLong(extra)) => extra,
        _ => 0,
    };
    let announced = video.length() + extra;
    let (status, range) = match part {
        Asked::Whole => (StatusCode::OK, 0..video.length()),
        Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Asked::Unsatisfiable => {
            let mut response = bare(StatusCode::RANGE_NOT_SATISFIABLE);
            let range = header(format!("bytes */{}", video.length()));
            response.headers_mut().insert(CONTENT_RANGE, range);
            return response;
        }
    };
    let length = range.end - range.start;
    let content_range = format!("bytes {}-{}/{announced}", range.start, range.end - 1);
    let mut response = Response::new(if is_get {
        Either::Right(body(
            world,
            FileBody::new(video, range),
            length,
            mishap,
            cutter,
        ))
    } else {
        Either::Left(Full::default())
    });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("video/mp4"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(ETAG, header(video.etag()));
    headers.insert(CONTENT_LENGTH, (length + extra).into());
    if status == StatusCode::PARTIAL_CONTENT {
        headers.insert(CONTENT_RANGE, header(content_range));
    }
    response
}

/// The range that counts: none, if the file is not the one that the caller has a part of.
fn asked_part(headers: &HeaderMap, video: Video) -> Asked {
    let is_same = headers
        .get(IF_RANGE)
        .is_none_or(|etag| etag.as_bytes() == video.etag().as_bytes());
    let range = headers.get(RANGE).filter(|_| is_same);
    asked(range.and_then(|range| range.to_str().ok()), video.length())
}

fn body(
    world: &World,
    body: FileBody,
    length: u64,
    mishap: Option<DownloadMishap>,
    cutter: &Cutter,
) -> FileBody {
    match mishap {
        None => body,
        Some(DownloadMishap::Slow(all)) => body.slowly(all, world.settings.clock.clone()),
        // In 128 bits, since a length times 1024 may not fit into 64.
        Some(DownloadMishap::Cut(share)) => {
            let kept = u128::from(length) * u128::from(share) / 1024;
            body.cut_after(kept as u64, cutter.clone())
        }
        Some(DownloadMishap::TooLong(_)) => body.cut_after(length, cutter.clone()),
    }
}

fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::<Bytes>::default()));
    *response.status_mut() = status;
    response
}

fn header(text: String) -> HeaderValue {
    text.try_into()
        .expect("digits and punctuation are a header's value")
}
