//! The proofs that are tried, and what each must say: told a second time, from the input alone.

use http::{HeaderMap, Uri, header::AUTHORIZATION};
use tower_callback::{
    Token, Verify,
    verify::{Presented, Refusal, RefusalKind, Secrets, Verdict, Verified},
    verify_fn,
};

use super::case::{Case, Mount};

/// The secrets that are good.
const SECRETS: [&str; 2] = ["first", "second"];

/// A proof to build an endpoint with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    None,
    One(Part),
    And(Part, Part),
    Or(Part, Part),
}

/// What proofs are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Query,
    Segment,
    Header,
    Bearer,
    /// The header `x-length` says how long the body is, and `x-subject` which event it signs.
    Body,
    /// Needs the body, and cannot decide with it either.
    Undecided,
    /// Panics when the header `x-panic` says so.
    Panics,
}

/// What a proof must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Accept { subject: Option<String> },
    Refuse,
    NeedsBody,
    Panic,
}

use Part::{Bearer, Body, Header, Panics, Query, Segment, Undecided};

impl Proof {
    pub(super) const ALL: [Self; 16] = [
        Self::One(Query),
        Self::One(Segment),
        Self::One(Header),
        Self::One(Bearer),
        Self::One(Body),
        Self::And(Query, Body),
        Self::Or(Query, Body),
        Self::And(Header, Segment),
        Self::Or(Segment, Bearer),
        Self::Or(Body, Header),
        Self::And(Body, Bearer),
        Self::Or(Undecided, Query),
        Self::One(Undecided),
        Self::One(Panics),
        Self::And(Panics, Query),
        Self::None,
    ];

    pub(super) fn reads_segment(self) -> bool {
        match self {
            Self::None => false,
            Self::One(part) => part == Segment,
            Self::And(a, b) | Self::Or(a, b) => a == Segment || b == Segment,
        }
    }

    pub(super) fn build(self) -> Option<Box<dyn Verify>> {
        Some(match self {
            Self::None => return None,
            Self::One(part) => part.build(),
            Self::And(a, b) => Box::new(a.build().and(b.build())),
            Self::Or(a, b) => Box::new(a.build().or(b.build())),
        })
    }

    pub(super) fn expected(self, case: &Case, body: Option<&[u8]>) -> Expected {
        use Expected::{Accept, NeedsBody, Panic, Refuse};
        match self {
            Self::None => Accept { subject: None },
            Self::One(part) => part.expected(case, body),
            Self::And(a, b) => match (a.expected(case, body), b.expected(case, body)) {
                (Panic, _) | (_, Panic) => Panic,
                (Refuse, _) | (_, Refuse) => Refuse,
                (NeedsBody, _) | (_, NeedsBody) => NeedsBody,
                (Accept { subject }, Accept { subject: other }) => Accept {
                    subject: subject.or(other),
                },
            },
            Self::Or(a, b) => match (a.expected(case, body), b.expected(case, body)) {
                (Panic, _) | (_, Panic) => Panic,
                (accepted @ Accept { .. }, _) | (_, accepted @ Accept { .. }) => accepted,
                (NeedsBody, _) | (_, NeedsBody) => NeedsBody,
                (Refuse, Refuse) => Refuse,
            },
        }
    }
}

impl Part {
    fn build(self) -> Box<dyn Verify> {
        let secrets: Secrets = [("1", SECRETS[0]), ("2", SECRETS[1])].into();
        match self {
            Query => Box::new(Token::query("token", secrets)),
            Segment => Box::new(Token::segment(secrets)),
            Header => Box::new(Token::header("x-token", secrets)),
            Bearer => Box::new(Token::bearer(secrets)),
            Body => Box::new(verify_fn(by_length)),
            Undecided => Box::new(verify_fn(|_| Verdict::NeedsBody)),
            Panics => Box::new(verify_fn(|presented| {
                let when = presented.headers().get("x-panic").map(|v| v.as_bytes());
                match (when, presented.body()) {
                    (Some(b"head"), None) | (Some(b"body"), Some(_)) => {
                        panic!("the proof was told to panic")
                    }
                    (Some(b"body"), None) => Verdict::NeedsBody,
                    _ => Verdict::Accept(Verified::assertion()),
                }
            })),
        }
    }

    /// Written anew, with other means than the proofs have.
    fn expected(self, case: &Case, body: Option<&[u8]>) -> Expected {
        let accepted = match self {
            Query => is_secret(query(&case.uri)),
            Segment => is_secret(segment(case)),
            Header => is_secret(header(&case.headers, "x-token")),
            Bearer => is_secret(
                header(&case.headers, AUTHORIZATION.as_str()).and_then(|value| {
                    let scheme = value.get(..7)?;
                    scheme
                        .eq_ignore_ascii_case("bearer ")
                        .then(|| value[7..].trim_ascii_start().to_owned())
                }),
            ),
            Body => return body_expected(&case.headers, body),
            Undecided => return Expected::NeedsBody,
            Panics => {
                let when = case.headers.get("x-panic").and_then(|v| v.to_str().ok());
                return match (when, body) {
                    (Some("head"), None) | (Some("body"), Some(_)) => Expected::Panic,
                    (Some("body"), None) => Expected::NeedsBody,
                    _ => Expected::Accept { subject: None },
                };
            }
        };
        if accepted {
            Expected::Accept { subject: None }
        } else {
            Expected::Refuse
        }
    }
}

fn by_length(presented: &Presented<'_>) -> Verdict {
    let refuse = |kind| Verdict::Refuse(Refusal::new(kind, "length"));
    let text = |name| presented.headers().get(name).and_then(|v| v.to_str().ok());
    let Some(length) = text("x-length") else {
        return refuse(RefusalKind::Missing);
    };
    let Some(body) = presented.body() else {
        return Verdict::NeedsBody;
    };
    if length.parse() != Ok(body.len()) {
        return refuse(RefusalKind::Mismatch);
    }
    let verified = Verified::assertion();
    Verdict::Accept(match text("x-subject") {
        Some(subject) => verified.with_subject(subject),
        None => verified,
    })
}

fn body_expected(headers: &HeaderMap, body: Option<&[u8]>) -> Expected {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    match (text("x-length"), body) {
        (None, _) => Expected::Refuse,
        (Some(_), None) => Expected::NeedsBody,
        (Some(length), Some(body)) if length.parse() == Ok(body.len()) => Expected::Accept {
            subject: text("x-subject").map(str::to_owned),
        },
        _ => Expected::Refuse,
    }
}

fn is_secret(token: Option<String>) -> bool {
    token.is_some_and(|token| SECRETS.contains(&token.as_str()))
}

/// The token of the query, if there is exactly one.
fn query(uri: &Uri) -> Option<String> {
    let query = format!("&{}&", uri.query()?);
    let given = query.replace('&', "&&");
    let mut tokens = given
        .split('&')
        .filter(|pair| *pair == "token" || pair.starts_with("token="));
    let token = tokens.next()?;
    tokens
        .next()
        .is_none()
        .then(|| token.trim_start_matches("token").replacen('=', "", 1))
}

/// The segment that may hold the token.
fn segment(case: &Case) -> Option<String> {
    let path = case.uri.path();
    match case.mount {
        Mount::Leaf => {
            let path = path.trim_end_matches('/');
            Some(path[path.rfind('/').map_or(0, |at| at + 1)..].to_owned())
        }
        Mount::Layer => {
            let token = path.strip_prefix("/cb/")?;
            Some(token.strip_suffix('/').unwrap_or(token).to_owned())
        }
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<_> = headers.get_all(name).iter().collect();
    match values[..] {
        [value] => value.to_str().ok().map(str::to_owned),
        _ => None,
    }
}
