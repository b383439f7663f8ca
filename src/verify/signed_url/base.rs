//! The public URL of an endpoint.

use http::{Uri, uri::Scheme};

use super::Place;

/// Under which URL the provider reaches the endpoint.
#[derive(Clone)]
pub(super) struct Base {
    url: String,
    plain: bool,
}

impl Base {
    /// An error completes the sentence "the base URL …". It does not quote the URL, which may hold a secret.
    pub(super) fn parse(url: &str, place: &Place) -> Result<Self, &'static str> {
        if url.contains(['{', '}']) {
            return Err("has a placeholder: leave it out, the capability is appended");
        }
        if url.contains('#') {
            return Err("has a fragment, which no caller sends: leave it out");
        }
        if !url.bytes().all(|b| b.is_ascii_graphic())
            || url.contains(['"', '<', '>', '\\', '^', '`', '|'])
        {
            return Err("has characters that change on their way: percent-encode them");
        }
        let uri: Uri = url
            .parse()
            .map_err(|_| "is no URL: write it as https://example.com/callback")?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err("has no scheme or no host: write it as https://example.com/callback");
        };
        let plain = *scheme == Scheme::HTTP;
        if !plain && *scheme != Scheme::HTTPS {
            return Err("is not https://");
        }
        if authority.host().is_empty() || authority.as_str().contains('@') {
            return Err("has no host, or has a user name in it: leave that out");
        }
        match place {
            Place::Query(parameter) => {
                let query = uri.query().unwrap_or_default();
                let name = |pair: &str| pair.split('=').next() == Some(parameter);
                if query.split('&').any(name) {
                    return Err("has the parameter already: leave it out, or choose another name");
                }
            }
            Place::Segment if url.contains('?') => {
                return Err("has a query, which cannot stand before a segment: leave it out");
            }
            Place::Segment => {}
        }
        Ok(Self {
            url: url.to_owned(),
            plain,
        })
    }

    /// Whether everybody on the way can read what is sent there.
    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    pub(super) fn with(&self, place: &Place, capability: &str) -> String {
        let url = &self.url;
        match place {
            Place::Query(parameter) => {
                let separator = match url.split_once('?') {
                    None => "?",
                    Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
                    Some(_) => "&",
                };
                format!("{url}{separator}{parameter}={capability}")
            }
            Place::Segment => format!("{}/{capability}", url.trim_end_matches('/')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minted(base: &str, place: &Place) -> Result<String, &'static str> {
        Base::parse(base, place).map(|base| base.with(place, "CAP"))
    }

    #[test]
    fn a_parameter_is_appended_to_whatever_query_there_is() {
        let place = Place::Query("cap".to_owned());
        for (base, expected) in [
            ("https://a.example/cb", "https://a.example/cb?cap=CAP"),
            ("https://a.example/cb/", "https://a.example/cb/?cap=CAP"),
            ("https://a.example:8443/", "https://a.example:8443/?cap=CAP"),
            ("https://a.example/cb?", "https://a.example/cb?cap=CAP"),
            ("https://a.example/cb?x", "https://a.example/cb?x&cap=CAP"),
            (
                "https://a.example/cb?x=1&",
                "https://a.example/cb?x=1&cap=CAP",
            ),
            ("HTTPS://[::1]/cb", "HTTPS://[::1]/cb?cap=CAP"),
        ] {
            assert_eq!(minted(base, &place).unwrap(), expected);
        }
    }

    #[test]
    fn a_segment_is_appended_after_one_slash() {
        for base in ["https://a.example/cb", "https://a.example/cb/"] {
            assert_eq!(
                minted(base, &Place::Segment).unwrap(),
                "https://a.example/cb/CAP"
            );
        }
        assert_eq!(
            minted("https://a.example", &Place::Segment).unwrap(),
            "https://a.example/CAP"
        );
    }

    #[test]
    fn what_no_provider_could_call_is_an_error_that_says_why() {
        let query = Place::Query("cap".to_owned());
        for (base, why) in [
            ("", "no URL"),
            ("a.example/cb", "no URL"),
            ("/cb", "scheme"),
            ("https:///cb", "no URL"),
            ("ftp://a.example/cb", "https://"),
            ("https://user:password@a.example/cb", "user name"),
            ("https://a.example/cb#top", "fragment"),
            ("https://a.example/cb/{token}", "placeholder"),
            ("https://a.example/c b", "percent-encode"),
            ("https://a.example/cä", "percent-encode"),
            ("https://a.example/cb?x=1&cap=2", "parameter already"),
            ("https://a.example/cb?cap", "parameter already"),
        ] {
            let problem = minted(base, &query).unwrap_err();
            assert!(problem.contains(why), "{base}: {problem}");
        }
        let problem = minted("https://a.example/cb?x=1", &Place::Segment).unwrap_err();
        assert!(problem.contains("query"), "{problem}");
    }
}
