//! What must become of a request: worked out from the input alone, the way the documentation says it.

use std::time::UNIX_EPOCH;

use http::{HeaderMap, StatusCode, header};
use tower_callback::{Callback, Event, event::ParseErrorKind, testing::Fault};

use super::{
    case::{Case, Crowd, EventType, Mount, Step},
    proof::Expected as Proved,
};

/// The limits of a case whose bodies are small.
pub(super) const SMALL_BODY: usize = 120;
pub(super) const SMALL_UNPROVEN_BODY: usize = 40;

/// What a request is, as long as the store is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// For the app behind the layer.
    Foreign,
    /// Refused by its head. Nothing is read.
    Head { status: u16, proven: bool },
    /// Refused while or after its body was read.
    Body { status: u16, proven: bool },
    /// Kept in quarantine.
    Unreadable { status: u16 },
    /// Received.
    Event,
}

/// Where something is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Events,
    Quarantine,
}

/// What must be seen of a request.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) status: StatusCode,
    pub(super) kept: Option<Place>,
    pub(super) reads_body: bool,
}

/// What a request is.
pub(super) fn outcome<E: Event>(case: &Case) -> Outcome {
    let (proven, limit) = match by_head(case) {
        Ok(admitted) => admitted,
        Err(outcome) => return outcome,
    };
    let body = match read(case, limit) {
        Ok(body) => body,
        Err(status) => return Outcome::Body { status, proven },
    };
    let refused = |status| Outcome::Body {
        status,
        proven: false,
    };
    let with_body = if proven { None } else { Some(body.as_slice()) };
    match case.proof.expected(case, with_body) {
        Proved::Refuse | Proved::NeedsBody => refused(401),
        Proved::Panic => refused(503),
        Proved::Accept { subject } => proved::<E>(case, &body, subject.as_deref()),
    }
}

/// Whether its body is read before it is proven.
pub(super) fn needs_a_place(case: &Case) -> bool {
    matches!(by_head(case), Ok((false, _)))
}

/// What the head decides, or whether it proves the caller, and how much of the body may be read.
fn by_head(case: &Case) -> Result<(bool, usize), Outcome> {
    if case.mount == Mount::Layer && !is_ours(case) {
        return Err(Outcome::Foreign);
    }
    let refused = |status, proven| Err(Outcome::Head { status, proven });
    if case.method != "POST" {
        return refused(405, false);
    }
    let (proven, limit) = match case.proof.expected(case, None) {
        Proved::Refuse => return refused(401, false),
        Proved::Panic => return refused(503, false),
        Proved::Accept { .. } => (true, limits(case).0),
        Proved::NeedsBody => (false, limits(case).1),
    };
    if announced(&case.headers) > limit {
        return refused(413, proven);
    }
    Ok((proven, limit))
}

/// What must be seen of it, with a store that may fail, and with others who may be there.
pub(super) fn expected(
    case: &Case,
    outcome: &Outcome,
    fault: Option<Fault>,
    crowd: Crowd,
) -> Expected {
    let before = |status, proven: bool| match case.conceal && !proven {
        true => 404,
        false => status,
    };
    let (status, kept, reads_body) = match *outcome {
        Outcome::Foreign => unreachable!("the app answers it"),
        _ if crowd == Crowd::Many && needs_a_place(case) => (before(503, false), None, false),
        Outcome::Head { status, proven } => (before(status, proven), None, false),
        Outcome::Body { status, proven } => (before(status, proven), None, true),
        Outcome::Unreadable { status } => {
            let (is_told, is_kept) = stored(fault, case.durable);
            let place = is_kept.then_some(Place::Quarantine);
            (if is_told { status } else { 503 }, place, true)
        }
        Outcome::Event => {
            let (is_told, is_kept) = stored(fault, case.durable);
            let place = is_kept.then_some(Place::Events);
            (if is_told { 200 } else { 503 }, place, true)
        }
    };
    Expected {
        status: StatusCode::from_u16(status).expect("a status"),
        kept,
        reads_body,
    }
}

/// The constant body of a reply.
pub(super) fn body(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200 => r#"{"status":"received"}"#,
        400 => r#"{"error":"bad request"}"#,
        401 => r#"{"error":"unauthorized"}"#,
        404 => r#"{"error":"not found"}"#,
        405 => r#"{"error":"method not allowed"}"#,
        408 => r#"{"error":"request timeout"}"#,
        413 => r#"{"error":"payload too large"}"#,
        415 => r#"{"error":"unsupported media type"}"#,
        422 => r#"{"error":"unprocessable"}"#,
        503 => r#"{"error":"unavailable"}"#,
        other => panic!("{other} is in no table"),
    }
}

/// Where the layer is mounted.
pub(super) fn layer_path(case: &Case) -> &'static str {
    if case.proof.reads_segment() {
        "/cb/{token}"
    } else {
        "/cb"
    }
}

fn is_ours(case: &Case) -> bool {
    match case.uri.path() {
        "/cb" | "/cb/" => true,
        path if case.proof.reads_segment() => {
            let parts: Vec<_> = path.split('/').collect();
            matches!(parts[..], ["", "cb", token] | ["", "cb", token, ""] if !token.is_empty())
        }
        _ => false,
    }
}

/// The largest body after and before proof.
fn limits(case: &Case) -> (usize, usize) {
    if case.small {
        (SMALL_BODY, SMALL_UNPROVEN_BODY)
    } else {
        (2 * 1024 * 1024, 256 * 1024)
    }
}

fn announced(headers: &HeaderMap) -> usize {
    let value = headers.get(header::CONTENT_LENGTH);
    let value = value.and_then(|value| value.to_str().ok());
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

fn read(case: &Case, limit: usize) -> Result<Vec<u8>, u16> {
    let mut body = Vec::new();
    for step in &case.body {
        match step {
            Step::Data(data) => body.extend_from_slice(data),
            Step::Trailers | Step::Pause => {}
            Step::Hang => return Err(408),
            Step::Error => return Err(400),
        }
        if body.len() > limit {
            return Err(413);
        }
    }
    Ok(body)
}

/// What becomes of what a proven caller sent.
fn proved<E: Event>(case: &Case, body: &[u8], signed: Option<&str>) -> Outcome {
    let unreadable = |status| Outcome::Unreadable { status };
    let mut headers = HeaderMap::new();
    let mut size = 0;
    for name in E::HEADERS {
        for value in case.headers.get_all(*name) {
            let twice = |byte: &&u8| !byte.is_ascii() || b"\"\\\t".contains(byte);
            let value_size = value.len() + value.as_bytes().iter().filter(twice).count();
            size += name.len() + value_size + 8;
            headers.append(*name, value.clone());
        }
    }
    if size > 8 * 1024 {
        return Outcome::Body {
            status: 413,
            proven: true,
        };
    }
    if values(case, header::CONTENT_ENCODING)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|coding| {
            !matches!(
                &*coding.trim_ascii().to_ascii_lowercase(),
                b"" | b"identity"
            )
        })
    {
        return unreadable(415);
    }
    if case.strict {
        let types: Vec<_> = values(case, header::CONTENT_TYPE).map(is_json).collect();
        if types.is_empty() || types.contains(&false) {
            return unreadable(415);
        }
    }
    if case.event == EventType::Note && body == b"panic" {
        return unreadable(503);
    }
    let event = match E::parse(&Callback::new(body, UNIX_EPOCH, &headers)) {
        Ok(event) => event,
        Err(error) if error.kind() == ParseErrorKind::Syntax => return unreadable(400),
        Err(_) => return unreadable(422),
    };
    if signed.is_some_and(|signed| event.subject() != Some(signed)) {
        return Outcome::Body {
            status: 401,
            proven: false,
        };
    }
    match event.key() {
        Ok(_) => Outcome::Event,
        Err(_) => unreadable(422),
    }
}

fn values(case: &Case, name: header::HeaderName) -> impl Iterator<Item = &[u8]> {
    case.headers
        .get_all(name)
        .into_iter()
        .map(|value| value.as_bytes())
}

fn is_json(value: &[u8]) -> bool {
    let Some(value) = std::str::from_utf8(value)
        .ok()
        .filter(|value| value.is_ascii())
    else {
        return false;
    };
    let value = value.to_ascii_lowercase();
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence == "application/json" || essence.len() > 5 && essence.ends_with("+json")
}

/// Whether the caller is told that it is stored, and whether it is.
fn stored(fault: Option<Fault>, durable: bool) -> (bool, bool) {
    match (fault, durable) {
        (None, _) => (true, true),
        // Behind a durable store what failed is tried again until the deadline.
        (Some(Fault::Unavailable | Fault::LostAnswer), true) => (true, true),
        (Some(Fault::LostAnswer), false) => (false, true),
        (Some(_), _) => (false, false),
    }
}
