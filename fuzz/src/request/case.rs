//! One input as text that people can write: a line of settings, then a request.
//!
//! ```text
//! pkcsmlfi
//! POST /cb?token=first
//! content-type: application/json
//!
//! {"code":200}
//! ```
//!
//! The settings are one letter each, `a` for the first choice; what is missing is `a`. Five bytes
//! that never occur in UTF-8 stand between the chunks of a body, and say what happens there.
//!
//! What nobody could guess is written for him: `{mint}` in the target is a capability that we
//! minted, `{sign}` in a header is the signature of the body. The header `x-peer` is who calls.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header::HOST};
use tower_callback::testing::Fault;

use super::proof::{self, Proof};

/// What a run is made of.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) proof: Proof,
    pub(super) mount: Mount,
    pub(super) event: EventType,
    pub(super) conceal: bool,
    pub(super) strict: bool,
    /// Bodies of 120 and 40 bytes at most, instead of the defaults.
    pub(super) small: bool,
    pub(super) fault: Option<Fault>,
    /// Whether the store says that it is durable, so that inserts go through the group commit.
    pub(super) durable: bool,
    /// Whether the app behind the layer needs a moment to be ready.
    pub(super) busy_app: bool,
    pub(super) transport: Transport,
    pub(super) crowd: Crowd,
    pub(super) peer: Option<IpAddr>,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<Step>,
}

/// How the endpoint is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mount {
    Leaf,
    /// A layer at `/cb`, or at `/cb/{token}` where the proof reads a segment.
    Layer,
}

/// How a request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Call,
    Http1,
    Http2,
}

/// Who else has a body that is read before proof, where there is one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crowd {
    Nobody,
    /// Somebody who hangs up while the request waits.
    One,
    /// So many that the request waits too long.
    Many,
}

/// What is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventType {
    MusicVideo,
    Note,
}

/// What a body does when it is polled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Data(Vec<u8>),
    Trailers,
    /// Comes back at once.
    Pause,
    /// Never comes back.
    Hang,
    Error,
}

impl Case {
    /// Reads an input; `None` where there is no request in it.
    pub(super) fn parse(input: &[u8]) -> Option<Self> {
        let (settings, request) = split(input, b'\n')?;
        let (line, mut rest) = split(request, b'\n').unwrap_or((request, &[]));
        let (method, target) = split(line, b' ')?;
        let target = replace(target, b"{mint}", proof::minted().as_bytes());
        let mut lines = Vec::new();
        loop {
            let (line, after) = split(rest, b'\n').unwrap_or((rest, &[]));
            rest = after;
            let Some(header) = split(line, b':') else {
                break;
            };
            lines.push(header);
        }
        let body = steps(rest);
        let signature = proof::signature(&whole(&body));
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let value = replace(value.trim_ascii(), b"{sign}", signature.as_bytes());
            // What no server would let through is not a header.
            if let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(name),
                HeaderValue::from_bytes(&value),
            ) {
                headers.try_append(name, value).ok()?;
            }
        }
        let peer = headers.remove("x-peer");
        let choice = |index: usize, of: usize| {
            let letter = settings.get(index).copied().unwrap_or(b'a');
            usize::from(letter.wrapping_sub(b'a')) % of
        };
        let uri = Uri::try_from(&*target).ok()?;
        // As a server does: the name of the host is not part of what is tested.
        headers.remove(HOST);
        Some(Self {
            proof: Proof::ALL[choice(0, Proof::ALL.len())],
            mount: [Mount::Leaf, Mount::Layer][choice(1, 2)],
            event: [EventType::MusicVideo, EventType::Note][choice(2, 2)],
            conceal: choice(3, 2) == 1,
            strict: choice(4, 2) == 1,
            small: choice(5, 2) == 1,
            fault: [
                None,
                Some(Fault::Unavailable),
                Some(Fault::Rejected),
                Some(Fault::Hang),
                Some(Fault::Full),
                Some(Fault::Busy),
                Some(Fault::Panic),
                Some(Fault::LostAnswer),
            ][choice(6, 8)],
            durable: choice(7, 2) == 1,
            busy_app: choice(8, 2) == 1,
            transport: [Transport::Call, Transport::Http1, Transport::Http2][choice(9, 3)],
            crowd: [Crowd::Nobody, Crowd::One, Crowd::Many][choice(10, 3)],
            peer: peer.and_then(|peer| peer.to_str().ok()?.parse().ok()),
            method: Method::from_bytes(method).ok()?,
            uri,
            headers,
            body,
        })
    }

    /// The bytes of the body's chunks together.
    pub(super) fn whole_body(&self) -> Vec<u8> {
        whole(&self.body)
    }
}

fn whole(body: &[Step]) -> Vec<u8> {
    let data = body.iter().filter_map(|step| match step {
        Step::Data(data) => Some(data.as_slice()),
        _ => None,
    });
    data.collect::<Vec<_>>().concat()
}

/// The bytes with something in place of the first marker.
fn replace(bytes: &[u8], marker: &[u8], by: &[u8]) -> Vec<u8> {
    match bytes.windows(marker.len()).position(|part| part == marker) {
        Some(at) => [&bytes[..at], by, &bytes[at + marker.len()..]].concat(),
        None => bytes.to_vec(),
    }
}

fn split(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == at)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

fn steps(body: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    for chunk in body.split_inclusive(|byte| (0xf9..=0xfd).contains(byte)) {
        let (data, step) = match chunk.split_last() {
            Some((0xf9, data)) => (data, Some(Step::Trailers)),
            Some((0xfa, data)) => (data, Some(Step::Pause)),
            Some((0xfb, data)) => (data, Some(Step::Hang)),
            Some((0xfc, data)) => (data, Some(Step::Error)),
            // Two chunks, and nothing between them.
            Some((0xfd, data)) => (data, None),
            _ => (chunk, None),
        };
        // An empty chunk is one too, unless there is nothing at all.
        if !data.is_empty() || step.is_none() {
            steps.push(Step::Data(data.to_vec()));
        }
        steps.extend(step);
    }
    steps
}
