//! A shared secret that the caller presents as it is.

use http::{HeaderName, header::AUTHORIZATION};

use super::{
    Presented, Refusal, RefusalKind, Secret, Secrets, Setup, Verdict, Verified, Verify,
    secret::Guess,
    single::{header, parameter, segment},
};
use crate::error::BuildError;

/// A shared secret that the caller presents: in a query parameter, as the last path segment, in a
/// header, or as a bearer token.
///
/// A provider that takes nothing but a callback URL can send back only the first two. Several
/// secrets can be good [at once](Secrets).
///
/// # Security
///
/// Whoever sees one request can make others: access logs and proxies see URLs. Use HTTPS only, 32
/// random characters or more, and change the secret when it may have been seen. A token that is
/// given twice is refused, so that no two readers of a request can be played against each other.
#[derive(Clone, Debug)]
pub struct Token {
    place: TokenPlace,
    secrets: Secrets,
}

#[derive(Clone, Debug)]
enum TokenPlace {
    Query(String),
    Segment,
    Header(String),
    Bearer,
}

impl Token {
    /// In a query parameter: `https://example.com/callback?token=…`.
    ///
    /// The secrets are made of letters, digits and `-._~` only, which no proxy rewrites; `build` fails otherwise.
    pub fn query(parameter: impl Into<String>, secrets: impl Into<Secrets>) -> Self {
        Self::new(TokenPlace::Query(parameter.into()), secrets)
    }

    /// As the last segment of the path: `https://example.com/callback/…`.
    ///
    /// A layer is mounted at `/callback/{token}` then. The leaf reads the last segment that is not
    /// empty, so its route ends in a segment that matches anything: `/callback/{token}` in axum.
    ///
    /// The secrets are made of letters, digits and `-._~` only, which no proxy rewrites; `build` fails otherwise.
    pub fn segment(secrets: impl Into<Secrets>) -> Self {
        Self::new(TokenPlace::Segment, secrets)
    }

    /// In a header of its own.
    pub fn header(name: impl Into<String>, secrets: impl Into<Secrets>) -> Self {
        Self::new(TokenPlace::Header(name.into()), secrets)
    }

    /// In the header `Authorization: Bearer …`.
    pub fn bearer(secrets: impl Into<Secrets>) -> Self {
        Self::new(TokenPlace::Bearer, secrets)
    }

    fn new(place: TokenPlace, secrets: impl Into<Secrets>) -> Self {
        Self {
            place,
            secrets: secrets.into(),
        }
    }

    fn presented<'a>(&self, presented: &Presented<'a>) -> Result<&'a [u8], RefusalKind> {
        match &self.place {
            TokenPlace::Query(name) => parameter(presented, name),
            TokenPlace::Segment => segment(presented),
            TokenPlace::Header(name) => header(presented.headers(), name),
            TokenPlace::Bearer => {
                let value = header(presented.headers(), AUTHORIZATION.as_str())?;
                match value.split_at_checked(7) {
                    Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => {
                        Ok(token.trim_ascii_start())
                    }
                    _ => Err(RefusalKind::Malformed),
                }
            }
        }
    }
}

impl Verify for Token {
    fn verify(&self, presented: &Presented<'_>) -> Verdict {
        let token = match self.presented(presented) {
            Ok([]) => return Verdict::Refuse(Refusal::new(RefusalKind::Missing, "token")),
            Ok(token) => token,
            Err(kind) => return Verdict::Refuse(Refusal::new(kind, "token")),
        };
        let guess = Guess::new(token);
        match (self.secrets).find(presented.arrived(), |secret| guess.is(secret)) {
            Ok(secret) => Verdict::Accept(Verified::assertion().with_matched(&secret)),
            Err(kind) => Verdict::Refuse(Refusal::new(kind, "token")),
        }
    }

    fn check(&self, setup: &Setup<'_>) -> Result<(), BuildError> {
        match &self.place {
            TokenPlace::Query(parameter) => {
                check_parameter("Token::query", parameter)?;
                self.secrets.require("Token::query", unreserved)?;
            }
            TokenPlace::Segment => {
                if setup.has_segment == Some(false) {
                    return Err(BuildError::new(
                        "layer",
                        "the proof reads the token from the path: mount the layer at a path that \
                         ends in `/{token}`",
                    ));
                }
                self.secrets.require("Token::segment", unreserved)?;
            }
            TokenPlace::Header(name) => {
                if HeaderName::from_bytes(name.as_bytes()).is_err() {
                    return Err(BuildError::new(
                        "Token::header",
                        format!("{name:?} is no header's name: write it as \"x-token\""),
                    ));
                }
                self.secrets.require("Token::header", visible)?;
            }
            TokenPlace::Bearer => self.secrets.require("Token::bearer", visible)?,
        }
        for secret in &*self.secrets.current() {
            if secret.key().len() < SHORT {
                tracing::warn!(
                    endpoint = setup.endpoint,
                    label = secret.label().map(|label| &**label),
                    "a secret of under {SHORT} characters can be guessed: use 32 random ones"
                );
            }
        }
        Ok(())
    }
}

/// Whether a parameter's name stays as it is in a URL.
pub(super) fn check_parameter(setting: &'static str, parameter: &str) -> Result<(), BuildError> {
    if parameter.is_empty() || !parameter.bytes().all(is_unreserved) {
        return Err(BuildError::new(
            setting,
            format!(
                "{parameter:?} is no parameter's name that stays as it is in a URL: use letters, \
                 digits, and - . _ ~ only"
            ),
        ));
    }
    Ok(())
}

/// Whether no client, proxy or provider rewrites the character in a URL: RFC 3986 says so of these.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Secrets shorter than this are warned about.
const SHORT: usize = 16;

fn unreserved(secrets: &[Secret]) -> Result<(), String> {
    every(
        secrets,
        is_unreserved,
        "has characters that change on their way through a URL: use letters, digits, and - . _ ~ \
         only (is there a line feed at its end?)",
    )
}

fn visible(secrets: &[Secret]) -> Result<(), String> {
    every(
        secrets,
        |byte| byte.is_ascii_graphic(),
        "has characters that no header can carry: use visible ASCII without spaces (is there a \
         line feed at its end?)",
    )
}

fn every(secrets: &[Secret], good: fn(u8) -> bool, problem: &str) -> Result<(), String> {
    let bad = |secret: &&Secret| !secret.key().iter().copied().all(good);
    match secrets.iter().find(bad) {
        Some(secret) => Err(format!("the secret {} {problem}", secret.name())),
        None => Ok(()),
    }
}
