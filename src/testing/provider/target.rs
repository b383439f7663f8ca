//! Where callbacks go.

use std::{fmt, io};

use http::{HeaderMap, HeaderValue, Uri};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::error::BuildError;

/// A callback URL, taken apart: whom to connect to, and what to say there.
#[derive(Clone)]
pub(in crate::testing) struct Target {
    host: String,
    port: u16,
    pub(in crate::testing) authority: HeaderValue,
    pub(in crate::testing) path: Uri,
    #[cfg(feature = "cli")]
    tls: Option<super::tls::Tls>,
}

/// A connection, whatever it is encrypted with.
pub(in crate::testing) type Stream = Box<dyn Connection>;

pub(in crate::testing) trait Connection:
    AsyncRead + AsyncWrite + Send + Unpin
{
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin> Connection for C {}

impl Target {
    /// # Errors
    ///
    /// They say what is wrong, and never repeat the URL: it holds the token.
    pub(in crate::testing) fn parse(url: &str) -> Result<Self, BuildError> {
        let wrong = |what: &str| BuildError::new("url", what.to_owned());
        let url: Uri = url.parse().map_err(|_| wrong("is no URL"))?;
        let is_https = match url.scheme_str() {
            Some("http") => false,
            Some("https") if cfg!(feature = "cli") => true,
            Some("https") => {
                return Err(wrong(
                    "is not plain http://…: the simulated provider speaks TLS with the feature `cli` alone",
                ));
            }
            _ => return Err(wrong("is not http://…")),
        };
        let authority = url.authority().ok_or_else(|| wrong("names no host"))?;
        let host = authority.host();
        // An IPv6 address is in brackets in a URL, and without them for a socket.
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            host: host.to_owned(),
            port: authority
                .port_u16()
                .unwrap_or(if is_https { 443 } else { 80 }),
            authority: HeaderValue::from_str(authority.as_str())
                .map_err(|_| wrong("has a host that no header can carry"))?,
            path: path.parse().map_err(|_| wrong("has no readable path"))?,
            #[cfg(feature = "cli")]
            tls: match is_https {
                true => Some(super::tls::Tls::of(host)?),
                false => None,
            },
        })
    }

    pub(in crate::testing) async fn connect(&self) -> io::Result<Stream> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        #[cfg(feature = "cli")]
        if let Some(tls) = &self.tls {
            return tls.connect(stream).await;
        }
        Ok(Box::new(stream))
    }

    /// The same place, with what proves the caller changed: every value of the query and every
    /// header, or the last segment of the path where there is neither.
    pub(super) fn forged(&self, headers: &HeaderMap, proven_by_headers: bool) -> (Self, HeaderMap) {
        let path = match self.path.query() {
            Some(query) => {
                let pairs: Vec<_> = query.split('&').map(text_tampered).collect();
                format!("{}?{}", self.path.path(), pairs.join("&"))
            }
            None if !proven_by_headers => text_tampered(self.path.path()),
            None => self.path.path().to_owned(),
        };
        let target = Self {
            // The last character became a digit, which a path or query may end in.
            path: path.parse().unwrap_or_default(),
            ..self.clone()
        };
        (target, forged_headers(headers))
    }
}

/// The same headers, each with a value that is nearly right.
pub(super) fn forged_headers(headers: &HeaderMap) -> HeaderMap {
    let mut forged = HeaderMap::new();
    for (name, value) in headers {
        let value = tampered(value.as_bytes());
        // One digit in place of another character is as good a header as before.
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            forged.append(name, value);
        }
    }
    forged
}

/// The same but for its last character: what is nearly right must be refused too.
fn tampered(value: &[u8]) -> Vec<u8> {
    let mut value = value.to_vec();
    let last = value.pop();
    value.push(if last == Some(b'0') { b'1' } else { b'0' });
    value
}

fn text_tampered(text: &str) -> String {
    String::from_utf8_lossy(&tampered(text.as_bytes())).into_owned()
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;

    use super::*;

    fn forged(url: &str, headers: &HeaderMap) -> String {
        let (target, _) = Target::parse(url)
            .unwrap()
            .forged(headers, !headers.is_empty());
        target.path.to_string()
    }

    #[test]
    fn a_forged_request_is_nearly_right_wherever_the_proof_is() {
        let none = HeaderMap::new();
        assert_eq!(
            forged("http://h/callback?token=secret", &none),
            "/callback?token=secre0"
        );
        assert_eq!(
            forged("http://h/callback?a=0&b=c", &none),
            "/callback?a=1&b=0"
        );
        assert_eq!(
            forged("http://h/callback/secret", &none),
            "/callback/secre0"
        );
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer secret"));
        let target = Target::parse("http://h/callback").unwrap();
        let (target, headers) = target.forged(&headers, true);
        assert_eq!(target.path, "/callback", "the proof is in the header");
        assert_eq!(headers[AUTHORIZATION], "Bearer secre0");
    }

    #[test]
    fn what_is_no_callback_url_is_refused_and_never_repeated() {
        for url in [
            "ftp://example.com/callback?token=s3cret",
            #[cfg(not(feature = "cli"))]
            "https://example.com/callback?token=s3cret",
            "/callback?token=s3cret",
            "http://exa mple.com/?token=s3cret",
            "",
        ] {
            let error = Target::parse(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"));
        }
    }

    #[test]
    fn neither_path_nor_query_is_shown() {
        let target = Target::parse("http://[::1]:8080/secret?token=secret").unwrap();
        assert_eq!(
            format!("{target:?}"),
            r#"Target { host: "::1", port: 8080, .. }"#
        );
    }
}
