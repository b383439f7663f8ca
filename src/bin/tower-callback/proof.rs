//! What proves the caller, as it is said in a command line.

use std::{fmt::Write as _, str::FromStr};

use clap::ValueEnum;
use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use tower_callback::testing::Signer;
use zeroize::Zeroizing;

use crate::{
    given::Given,
    stop::{Result, Stop},
};

#[derive(clap::Args)]
#[command(next_help_heading = "Proof")]
pub(crate) struct Proof {
    /// The token: `env:NAME` or `file:PATH`
    #[arg(long, value_name = "FROM")]
    token: Option<Given>,
    /// Where the token goes: `query:NAME`, `segment`, `bearer` or `header:NAME`
    #[arg(long, value_name = "PLACE", default_value = "query:token")]
    token_in: TokenIn,
    /// Sign each callback as this provider does
    #[arg(long, value_enum, value_name = "PROVIDER", requires = "key")]
    sign: Option<Scheme>,
    /// The key that signs: `env:NAME` or `file:PATH`
    #[arg(long, value_name = "FROM", requires = "sign")]
    key: Option<Given>,
}

#[derive(Clone)]
enum TokenIn {
    Query(String),
    Segment,
    Header(HeaderName),
    Bearer,
}

impl FromStr for TokenIn {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.split_once(':').unwrap_or((text, "")) {
            ("query" | "header", "") => Err("say its name: query:token".to_owned()),
            ("query", name) => Ok(Self::Query(name.to_owned())),
            ("header", name) => match name.parse() {
                Ok(name) => Ok(Self::Header(name)),
                Err(_) => Err("that is no name of a header".to_owned()),
            },
            ("segment", "") => Ok(Self::Segment),
            ("bearer", "") => Ok(Self::Bearer),
            _ => Err("it is query:NAME, segment, bearer or header:NAME".to_owned()),
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Scheme {
    Kie,
    Github,
    Stripe,
    StandardWebhooks,
}

/// What a callback carries.
pub(crate) struct Carried {
    pub(crate) url: Zeroizing<String>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) signer: Option<Signer>,
}

impl Proof {
    /// Whether there is one beside what the URL holds.
    pub(crate) fn is_there(&self) -> bool {
        self.token.is_some() || self.sign.is_some()
    }

    /// A callback to this URL with all that proves it.
    pub(crate) fn carried(&self, url: &str) -> Result<Carried> {
        let mut carried = Carried {
            url: Zeroizing::new(url.to_owned()),
            headers: Vec::new(),
            signer: self.signer()?,
        };
        if let Some(token) = &self.token {
            self.put(&token.secret("--token")?, &mut carried)?;
        }
        Ok(carried)
    }

    /// The same with a token that is wrong and no signature; the URL's own query is changed.
    pub(crate) fn forged(&self, url: &str) -> Result<Carried> {
        let mut carried = Carried {
            url: Zeroizing::new(with_wrong_query(url)),
            headers: Vec::new(),
            signer: None,
        };
        if self.token.is_some() {
            self.put("not-the-token", &mut carried)?;
        }
        Ok(carried)
    }

    fn put(&self, token: &str, carried: &mut Carried) -> Result {
        let value = |text: &str| {
            let value = HeaderValue::from_str(text);
            let mut value = value.map_err(|_| Stop::usage("no header can carry this token"))?;
            value.set_sensitive(true);
            Ok::<_, Stop>(value)
        };
        match &self.token_in {
            TokenIn::Query(name) => {
                let mark = if carried.url.contains('?') { '&' } else { '?' };
                let token = Zeroizing::new(encoded(token));
                *carried.url += &format!("{mark}{name}={}", *token);
            }
            TokenIn::Segment => {
                let (path, query) = match carried.url.split_once('?') {
                    Some((path, query)) => (path, format!("?{query}")),
                    None => (&**carried.url, String::new()),
                };
                let path = path.trim_end_matches('/');
                *carried.url = format!("{path}/{}{query}", encoded(token));
            }
            TokenIn::Header(name) => carried.headers.push((name.clone(), value(token)?)),
            TokenIn::Bearer => {
                let bearer = Zeroizing::new(format!("Bearer {token}"));
                carried.headers.push((AUTHORIZATION, value(&bearer)?));
            }
        }
        Ok(())
    }

    fn signer(&self) -> Result<Option<Signer>> {
        let (Some(scheme), Some(key)) = (self.sign, &self.key) else {
            return Ok(None);
        };
        let key = key.secret("--key")?;
        Ok(Some(match scheme {
            Scheme::Kie => Signer::kie(&*key),
            Scheme::Github => Signer::github(&*key),
            Scheme::Stripe => Signer::stripe(&*key),
            Scheme::StandardWebhooks => Signer::standard_webhooks(&*key)
                .map_err(|error| Stop::usage(format!("--key: {error}")))?,
        }))
    }
}

/// A text as a part of a path or a query.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(byte.into());
            }
            // A string takes all that is written to it.
            _ => _ = write!(encoded, "%{byte:02X}"),
        }
    }
    encoded
}

/// The same URL, each value of its query with a character more.
fn with_wrong_query(url: &str) -> String {
    match url.split_once('?') {
        Some((path, query)) => {
            let pairs: Vec<_> = query.split('&').map(|pair| format!("{pair}0")).collect();
            format!("{path}?{}", pairs.join("&"))
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_encoded_for_where_it_goes() {
        assert_eq!(encoded("aZ9-._~"), "aZ9-._~");
        assert_eq!(encoded("a+b/c=&ü"), "a%2Bb%2Fc%3D%26%C3%BC");
        assert_eq!(
            with_wrong_query("http://h/c?token=a&b=c"),
            "http://h/c?token=a0&b=c0"
        );
    }
}
