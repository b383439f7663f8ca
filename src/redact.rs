//! URIs without their secrets, for access logs.

use std::{borrow::Cow, fmt};

use http::{Request, Uri};

/// A URI without the values of its query parameters, and without the last segment of its path where
/// that looks like a token, for an access log.
///
/// Whoever gives out a callback URL with a secret in it must keep that URL out of his logs, and the
/// usual ones print it.
///
/// ```
/// use tower_callback::redact;
///
/// let uri = "/music-video-callback?token=a-secret&page=2".parse()?;
/// assert_eq!(redact(&uri), "/music-video-callback?token=***&page=***");
/// let uri = "/music-video-callback/Ck6Wc9cAq5Xs1nZt7eRj0vLp".parse()?;
/// assert_eq!(redact(&uri), "/music-video-callback/***");
/// # Ok::<(), http::uri::InvalidUri>(())
/// ```
///
/// # Security
///
/// What looks like a token is a guess: 16 characters or more, all of them letters, digits or one of
/// `-._~%+=`, and among them a digit or a capital letter. A shorter token, one of small letters
/// alone, and one that is not the last segment are shown; a UUID, or a long name with a number in
/// it, is left out though it is no secret. Where the secret is a segment of the path, build a
/// [`Redaction`], which is told where it is and guesses nothing.
pub fn redact(uri: &Uri) -> String {
    let rules = Redaction {
        tokens: true,
        ..Redaction::new()
    };
    rules.redact(uri)
}

/// What is left out of a URI before it is logged, and a span maker for the trace layer of
/// `tower_http`, whose own one prints the whole URI.
///
/// ```
/// use tower_callback::Redaction;
/// use tower_http::trace::TraceLayer;
///
/// let redaction = Redaction::new().below("/music-video-callback");
/// # let uri = "/music-video-callback/a-secret?page=2".parse()?;
/// assert_eq!(redaction.redact(&uri), "/music-video-callback/***?page=***");
///
/// let app = axum::Router::<()>::new()
///     // .route_service("/music-video-callback/{token}", callback)
///     .layer(TraceLayer::new_for_http().make_span_with(redaction.into_make_span()));
/// # Ok::<(), http::uri::InvalidUri>(())
/// ```
///
/// # Security
///
/// This is for logs of your own. Servers, proxies and load balancers in front have logs too, and so
/// has the provider.
///
/// A user name and password in the URI are always left out.
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    parameters: Option<Vec<String>>,
    below: Vec<String>,
    last_segment: bool,
    /// Leaves out the last segment where it looks like a token.
    tokens: bool,
}

/// What stands for a secret.
const HIDDEN: &str = "***";

impl Redaction {
    /// Leaves out the values of all query parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves out the values of these query parameters only, and shows the others.
    ///
    /// Names are compared without regard to case. A value without a name, a name without a value, and
    /// what has a name with odd characters are left out as well: it could be a secret in the wrong place.
    #[must_use]
    pub fn only<P: Into<String>>(mut self, parameters: impl IntoIterator<Item = P>) -> Self {
        self.parameters = Some(parameters.into_iter().map(Into::into).collect());
        self
    }

    /// Leaves out what comes after this path, for a layer that is mounted at `path/{token}`.
    ///
    /// May be called for several paths. They are compared without regard to case, to doubled
    /// slashes and to percent-encoding, so that a mistyped callback URL is not logged either.
    #[must_use]
    pub fn below(mut self, path: impl Into<String>) -> Self {
        self.below.push(path.into());
        self
    }

    /// Leaves out the last segment of every path, whatever the path is. [`below`](Self::below) leaves
    /// the other paths readable.
    #[must_use]
    pub fn last_segment(mut self) -> Self {
        self.last_segment = true;
        self
    }

    /// The URI without what is left out.
    pub fn redact(&self, uri: &Uri) -> String {
        Redacted { rules: self, uri }.to_string()
    }

    /// A span like that of `tower_http`'s `DefaultMakeSpan`, at level INFO: with the method, the
    /// version, and the URI without what is left out.
    pub fn make_span<B>(&self, request: &Request<B>) -> tracing::Span {
        tracing::info_span!(
            "request",
            method = %request.method(),
            uri = %Redacted { rules: self, uri: request.uri() },
            version = ?request.version(),
        )
    }

    /// The function for `tower_http::trace::TraceLayer::make_span_with`.
    pub fn into_make_span<B>(self) -> impl Fn(&Request<B>) -> tracing::Span + Clone {
        move |request| self.make_span(request)
    }

    fn hides(&self, parameter: &str) -> bool {
        self.parameters.as_ref().is_none_or(|parameters| {
            let mut hidden = parameters.iter();
            hidden.any(|hidden| hidden.eq_ignore_ascii_case(parameter))
        })
    }

    /// Where the part of the path begins that is left out.
    fn hidden_from(&self, path: &str) -> Option<usize> {
        let below = self
            .below
            .iter()
            .filter_map(|mount| end_of(mount, path))
            .min();
        let path_end = path.trim_end_matches('/');
        let last = path_end.rfind('/').map(|slash| slash + 1);
        let last =
            last.filter(|last| self.last_segment || self.tokens && is_token(&path_end[*last..]));
        // A path of slashes alone has nothing to hide.
        let from = below.into_iter().chain(last).min()?;
        path[from..].contains(|c| c != '/').then_some(from)
    }
}

/// A URI as it is logged.
struct Redacted<'a> {
    rules: &'a Redaction,
    uri: &'a Uri,
}

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = self.uri.scheme_str() {
            write!(f, "{scheme}://")?;
        }
        if let Some(host) = self.uri.host() {
            f.write_str(host)?;
            if let Some(port) = self.uri.port() {
                write!(f, ":{port}")?;
            }
        }
        let path = self.uri.path();
        match self.rules.hidden_from(path) {
            Some(from) => write!(f, "{}{HIDDEN}", &path[..from])?,
            None => f.write_str(path)?,
        }
        let Some(query) = self.uri.query() else {
            return Ok(());
        };
        for (at, pair) in query.split('&').enumerate() {
            f.write_str(if at == 0 { "?" } else { "&" })?;
            match pair.split_once('=') {
                _ if pair.is_empty() => {}
                Some((name, value)) if is_name(name) && !value.is_empty() => {
                    let value = if self.rules.hides(name) {
                        HIDDEN
                    } else {
                        value
                    };
                    write!(f, "{name}={value}")?;
                }
                // A value without a name looks just like a name without a value.
                _ => f.write_str(HIDDEN)?,
            }
        }
        Ok(())
    }
}

/// What looks like a token.
fn is_token(segment: &str) -> bool {
    let of_token = |b: u8| b.is_ascii_alphanumeric() || b"-._~%+=".contains(&b);
    segment.len() >= 16
        && segment.bytes().all(of_token)
        && (segment.bytes()).any(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
}

/// What nobody takes for something else than a parameter's name.
fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~[]".contains(&b);
    !name.is_empty() && name.bytes().all(plain)
}

/// Where the path goes on after the mount's path, if it begins with it.
fn end_of(mount: &str, path: &str) -> Option<usize> {
    let mut from = 0;
    for expected in segments(mount).map(|(segment, _)| segment) {
        let (segment, end) = segments(&path[from..]).next()?;
        if !same(segment, expected) {
            return None;
        }
        from += end;
    }
    path[from..]
        .find(|c| c != '/')
        .map(|slashes| from + slashes)
}

/// The segments of a path that are not empty, and where each ends.
fn segments(path: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut end = 0;
    path.split('/').filter_map(move |segment| {
        end += segment.len();
        let ended = end;
        end += 1;
        (!segment.is_empty()).then_some((segment, ended))
    })
}

fn same(segment: &str, expected: &str) -> bool {
    decoded(segment).eq_ignore_ascii_case(&decoded(expected))
}

fn decoded(segment: &str) -> Cow<'_, [u8]> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment.as_bytes());
    }
    let mut text = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [byte, after @ ..] = rest {
        match (byte, after) {
            (b'%', [high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                text.push(digit(*high) << 4 | digit(*low));
                rest = after;
            }
            _ => {
                text.push(*byte);
                rest = after;
            }
        }
    }
    Cow::Owned(text)
}

/// The value of a hexadecimal digit.
fn digit(hex: u8) -> u8 {
    match hex {
        b'0'..=b'9' => hex - b'0',
        _ => (hex | 0x20) - b'a' + 10,
    }
}
