//! Which trace something belongs to, as W3C Trace Context writes it.

use std::{fmt, str::FromStr};

use http::{HeaderMap, header::HeaderName};
use serde::{Deserialize, Serialize};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The most bytes of a `tracestate` that are kept: as many as the specification has everybody carry.
const MAX_STATE: usize = 512;
/// The most members of a `tracestate`.
const MAX_MEMBERS: usize = 32;
/// The most bytes of a member's key, and of its value.
const MAX_PART: usize = 256;

/// Where something stands in a distributed trace: the headers `traceparent` and `tracestate` of
/// [W3C Trace Context](https://www.w3.org/TR/trace-context/), read and valid.
///
/// It goes with an event from the request that brought it, and from the submission that asked for it, to the
/// handler: [`Delivery::trace_context`](crate::Delivery::trace_context),
/// [`Delivery::submission_trace_context`](crate::Delivery::submission_trace_context). It is a name of
/// somebody else's span and no proof of anything: make a *link* of it, and only where you trust the
/// provider a parent.
///
/// A request's own is that of its headers. A middleware of yours that has begun a span for the request puts
/// that span's into the request's extensions, which go before the headers.
///
/// ```
/// use tower_callback::TraceContext;
///
/// let context: TraceContext = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse()?;
/// assert!(context.is_sampled());
/// assert_eq!(context.span_id()[0], 0xb7);
/// # Ok::<(), tower_callback::event::InvalidTraceContext>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
    state: Box<str>,
}

impl TraceContext {
    /// A context by its parts: with `0x01` among the flags, the trace is sampled.
    ///
    /// # Errors
    ///
    /// When one of the ids is all zeros.
    pub fn new(
        trace_id: [u8; 16],
        span_id: [u8; 8],
        flags: u8,
    ) -> Result<Self, InvalidTraceContext> {
        if trace_id == [0; 16] || span_id == [0; 8] {
            return Err(InvalidTraceContext(()));
        }
        Ok(Self {
            trace: trace_id,
            span: span_id,
            flags,
            state: Box::default(),
        })
    }

    /// With a `tracestate`, or without one if it is invalid or longer than 512 bytes, as the
    /// specification has it.
    #[must_use]
    pub fn with_state(mut self, state: &str) -> Self {
        let state = state.trim_matches([' ', '\t']);
        self.state = match is_state(state) {
            true => state.into(),
            false => Box::default(),
        };
        self
    }

    /// What the headers of a request say. `None` where they say nothing, or nothing valid.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut parents = headers.get_all(TRACEPARENT).iter();
        let (parent, None) = (parents.next()?, parents.next()) else {
            return None;
        };
        let context: Self = parent.to_str().ok()?.parse().ok()?;
        let mut all = String::new();
        for state in headers.get_all(TRACESTATE) {
            let separator = if all.is_empty() { "" } else { "," };
            match state.to_str() {
                Ok(state) if all.len() + state.len() <= MAX_STATE => {
                    all.extend([separator, state]);
                }
                _ => return Some(context),
            }
        }
        Some(context.with_state(&all))
    }

    /// The trace.
    pub fn trace_id(&self) -> [u8; 16] {
        self.trace
    }

    /// The span in the trace.
    pub fn span_id(&self) -> [u8; 8] {
        self.span
    }

    /// The flags, of which only the lowest two bits mean something so far.
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// Whether whoever began the trace records it.
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// The header `traceparent`, of version 00. It is what `Display` prints, too.
    pub fn traceparent(&self) -> String {
        self.to_string()
    }

    /// The header `tracestate`; empty where there is none.
    ///
    /// # Security
    ///
    /// It is the caller's text, and not printed by `Debug`.
    pub fn tracestate(&self) -> &str {
        &self.state
    }
}

/// Reads a `traceparent`.
impl FromStr for TraceContext {
    type Err = InvalidTraceContext;

    fn from_str(parent: &str) -> Result<Self, InvalidTraceContext> {
        let read = || {
            let bytes = parent.as_bytes();
            let version = hex::<1>(bytes.get(..2)?)?[0];
            let is_whole = match (version, bytes.get(55)) {
                (0xff, _) => false,
                (_, None) => true,
                (0, Some(_)) => false,
                // What a later version appends is passed over.
                (_, Some(next)) => *next == b'-',
            };
            let dashes = [2, 35, 52].map(|at| bytes.get(at) == Some(&b'-'));
            if !is_whole || dashes != [true; 3] {
                return None;
            }
            let trace = hex(bytes.get(3..35)?)?;
            let span = hex(bytes.get(36..52)?)?;
            let [flags] = hex(bytes.get(53..55)?)?;
            Self::new(trace, span, flags).ok()
        };
        read().ok_or(InvalidTraceContext(()))
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trace = u128::from_be_bytes(self.trace);
        let span = u64::from_be_bytes(self.span);
        write!(f, "00-{trace:032x}-{span:016x}-{:02x}", self.flags)
    }
}

/// Without the state, which is somebody else's text.
impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceContext({self})")
    }
}

/// This is no trace context: not a `traceparent`, or one of its ids is all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no `traceparent` of W3C Trace Context")]
pub struct InvalidTraceContext(());

/// A context as it is kept with a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    traceparent: String,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    tracestate: Box<str>,
}

impl From<TraceContext> for Kept {
    fn from(context: TraceContext) -> Self {
        Self {
            traceparent: context.to_string(),
            tracestate: context.state,
        }
    }
}

impl Kept {
    /// Nothing, if somebody else has changed it in the store.
    pub(super) fn read(&self) -> Option<TraceContext> {
        let context: TraceContext = self.traceparent.parse().ok()?;
        Some(context.with_state(&self.tracestate))
    }
}

/// Small hexadecimal digits, and no others.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = digits.as_chunks() else {
        return None;
    };
    let pairs: &[[u8; 2]; N] = pairs.try_into().ok()?;
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = 16 * digit(*high)? + digit(*low)?;
    }
    Some(bytes)
}

fn is_state(state: &str) -> bool {
    let members = || {
        state
            .split(',')
            .map(|member| member.trim_matches([' ', '\t']))
    };
    let is_member = |member: &str| match member.split_once('=') {
        Some((key, value)) => is_key(key) && is_value(value),
        None => member.is_empty(),
    };
    let keys = || members().filter_map(|member| Some(member.split_once('=')?.0));
    let is_repeated = |(index, key)| keys().take(index).any(|before| before == key);
    state.len() <= MAX_STATE
        && members().count() <= MAX_MEMBERS
        && members().all(is_member)
        && !keys().enumerate().any(is_repeated)
}

fn is_key(key: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=MAX_PART).contains(&key.len())
        && key.bytes().next().is_some_and(is_plain)
        && key
            .bytes()
            .all(|byte| is_plain(byte) || b"_-*/@".contains(&byte))
}

fn is_value(value: &str) -> bool {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !b",=".contains(&byte);
    value.len() <= MAX_PART && value.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &str)| {
            let value = HeaderValue::from_str(value).unwrap();
            (HeaderName::from_static(name), value)
        };
        all.iter().map(header).collect()
    }

    #[test]
    fn a_traceparent_is_read_and_written_as_it_was() {
        let context: TraceContext = PARENT.parse().unwrap();
        assert_eq!(context.traceparent(), PARENT);
        assert_eq!(
            u128::from_be_bytes(context.trace_id()),
            0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c
        );
        assert_eq!(u64::from_be_bytes(context.span_id()), 0xb7ad_6b71_6920_3331);
        assert!(context.is_sampled());
        for (flags, is_sampled) in [("00", false), ("02", false), ("03", true)] {
            let other = format!("{}{flags}", &PARENT[..53]);
            let other: TraceContext = other.parse().unwrap();
            assert_eq!(other.is_sampled(), is_sampled, "{flags}");
        }
        let kept = Kept::from(context.clone().with_state("a=1"));
        assert_eq!(kept.read(), Some(context.with_state("a=1")));
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        for later in [
            PARENT.replace("00-", "01-"),
            format!("cc{}-x", &PARENT[2..]),
        ] {
            let context: TraceContext = later.parse().unwrap();
            assert_eq!(context.traceparent(), PARENT);
        }
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        for wrong in [
            String::new(),
            "00".to_owned(),
            PARENT[..54].to_owned(),
            format!("{PARENT}-x"),
            format!("{PARENT}0"),
            format!("cc{}x", &PARENT[2..]),
            PARENT.replace("00-", "ff-"),
            PARENT.replace("00-", "0g-"),
            PARENT.to_uppercase(),
            PARENT.replace('-', "_"),
            PARENT.replace("b7ad6b7169203331", "0000000000000000"),
            PARENT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            PARENT.replace("b7ad", "ä7"),
        ] {
            assert!(wrong.parse::<TraceContext>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn headers_that_contradict_each_other_say_nothing() {
        assert_eq!(TraceContext::from_headers(&headers(&[])), None);
        let twice = [("traceparent", PARENT), ("traceparent", PARENT)];
        assert_eq!(TraceContext::from_headers(&headers(&twice)), None);
        let wrong = [("traceparent", "hello"), ("tracestate", "a=1")];
        assert_eq!(TraceContext::from_headers(&headers(&wrong)), None);
    }

    #[test]
    fn a_tracestate_is_joined_and_dropped_if_it_is_invalid_or_long() {
        let read = |states: &[&str]| {
            let mut all = vec![("traceparent", PARENT)];
            all.extend(states.iter().map(|state| ("tracestate", *state)));
            let context = TraceContext::from_headers(&headers(&all)).unwrap();
            assert_eq!(context.traceparent(), PARENT, "it is kept in any case");
            context.tracestate().to_owned()
        };
        assert_eq!(
            read(&["rojo=00f0", "congo=t6 1,a@b=x"]),
            "rojo=00f0,congo=t6 1,a@b=x"
        );
        assert_eq!(read(&["ab=1,a=2"]), "ab=1,a=2");
        let long = format!("a={}", "x".repeat(MAX_PART));
        assert_eq!(read(&[&long]), long);
        let long_key = format!("{}=1", "k".repeat(MAX_PART));
        assert_eq!(read(&[&long_key]), long_key);
        let many = |count| (0..count).map(|n| format!("k{n}=1")).collect::<Vec<_>>();
        assert_eq!(read(&[&many(32).join(",")]), many(32).join(","));
        for wrong in [
            "no member",
            "A=1",
            "=1",
            "_a=1",
            &format!("k{long_key}"),
            "a=1,a=2",
            "a=1=2",
            &format!("{long}x"),
            &format!("{long},b{long}"),
            &many(33).join(","),
        ] {
            assert_eq!(read(&[wrong]), "", "{wrong}");
        }
        assert_eq!(read(&[&long, &long.replace('a', "b")]), "");
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_is_written_so_that_it_is_read_again(
            parent in "[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,9})?|.{0,60}",
            state in "([a-z]=[ -~]{0,9},){0,4}[a-z]=[a-z]{1,9}|.{0,60}",
        ) {
            let Ok(context) = parent.parse::<TraceContext>() else {
                return Ok(());
            };
            let context = context.with_state(&state);
            proptest::prop_assert_eq!(context.flags(), u8::from_str_radix(&parent[53..55], 16).unwrap());
            proptest::prop_assert!(context.tracestate().is_empty() || context.tracestate() == state.trim());
            let kept = Kept::from(context.clone());
            let json = serde_json::to_vec(&kept).unwrap();
            let kept: Kept = serde_json::from_slice(&json).unwrap();
            proptest::prop_assert_eq!(kept.read(), Some(context));
        }
    }

    #[test]
    fn debug_does_not_print_the_callers_text() {
        let context: TraceContext = PARENT.parse().unwrap();
        let debug = format!("{:?}", context.with_state("a=secret"));
        assert_eq!(debug, format!("TraceContext({PARENT})"));
    }
}
