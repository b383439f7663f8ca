//! Which paths are ours.

use std::{fmt, ops::Range};

use crate::error::BuildError;

/// The path of a layer: exact, with one trailing slash tolerated, and an optional last `{token}` segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PathPattern {
    /// Without the trailing slash, and without the token.
    prefix: String,
    has_token: bool,
}

/// As it was given, but for a trailing slash.
impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.prefix.as_str(), self.has_token) {
            ("", false) => f.write_str("/"),
            (prefix, false) => f.write_str(prefix),
            (prefix, true) => write!(f, "{prefix}{TOKEN}"),
        }
    }
}

/// Whose a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// Ours, and where in the path the token stands.
    Ours(Option<Range<usize>>),
    /// Not ours, but so like ours that somebody may have mistyped it.
    NearMiss,
    /// Not ours.
    Foreign,
}

const TOKEN: &str = "/{token}";

impl PathPattern {
    pub(super) fn parse(path: &str) -> Result<Self, BuildError> {
        let prefix = path.strip_suffix('/').unwrap_or(path);
        let (prefix, has_token) = match prefix.strip_suffix(TOKEN) {
            Some(prefix) => (prefix, true),
            None => (prefix, false),
        };
        let problem = if !path.starts_with('/') {
            "does not start with a slash: write it as \"/callback\", without scheme and host"
        } else if prefix.contains("//") || prefix.ends_with('/') {
            "has a doubled slash, and few requests do: write one"
        } else if prefix.contains(['{', '}', '*', ':']) {
            "has a parameter: only a last segment `{token}` is one, for a proof in the path"
        } else if prefix.contains(['?', '#']) || !prefix.bytes().all(|b| b.is_ascii_graphic()) {
            "has characters that no path has: leave out query and fragment, and percent-encode"
        } else {
            return Ok(Self {
                prefix: prefix.to_owned(),
                has_token,
            });
        };
        Err(BuildError::new(
            "layer",
            format!("the path {path:?} {problem}"),
        ))
    }

    pub(super) fn has_token(&self) -> bool {
        self.has_token
    }

    /// Runs for every foreign request: no allocation, and most are told apart by their first letter.
    pub(super) fn match_path(&self, path: &str) -> Match {
        if path.is_empty() {
            // `CONNECT` has no path, and a layer at `/` is not meant for it.
            return Match::Foreign;
        }
        match path.strip_prefix(self.prefix.as_str()) {
            Some("" | "/") => return Match::Ours(None),
            Some(rest) if self.has_token => {
                if let Some(token) = rest.strip_prefix('/') {
                    let token = token.strip_suffix('/').unwrap_or(token);
                    if !token.is_empty() && !token.contains('/') {
                        let start = self.prefix.len() + 1;
                        return Match::Ours(Some(start..start + token.len()));
                    }
                }
            }
            _ => {}
        }
        if self.is_near(path) {
            Match::NearMiss
        } else {
            Match::Foreign
        }
    }

    /// Whether case and doubled slashes make the difference.
    fn is_near(&self, path: &str) -> bool {
        if path.len() < self.prefix.len() {
            return false;
        }
        let mut theirs = plain(path);
        if !plain(&self.prefix).all(|ours| theirs.next() == Some(ours)) {
            return false;
        }
        // A path of our very spelling is no misspelling, however it goes on.
        match (theirs.next(), theirs.next()) {
            (None | Some(b'/'), None) => true,
            (Some(b'/'), Some(_)) => {
                let token_ends = theirs.any(|byte| byte == b'/');
                self.has_token && !(token_ends && theirs.next().is_some())
            }
            _ => false,
        }
    }
}

/// A path in lower case and without doubled slashes.
fn plain(path: &str) -> impl Iterator<Item = u8> {
    let mut last = 0;
    path.bytes()
        .filter(move |&byte| std::mem::replace(&mut last, byte) != b'/' || byte != b'/')
        .map(|byte| byte.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pattern: &str, path: &str) -> Match {
        PathPattern::parse(pattern).unwrap().match_path(path)
    }

    #[test]
    fn a_path_is_matched_exactly_with_one_trailing_slash_tolerated() {
        for pattern in ["/hooks/video", "/hooks/video/"] {
            assert_eq!(of(pattern, "/hooks/video"), Match::Ours(None));
            assert_eq!(of(pattern, "/hooks/video/"), Match::Ours(None));
            for foreign in [
                "/",
                "",
                "*",
                "/hooks",
                "/hooks/videos",
                "/hooks/video/x",
                "/x/hooks/video",
            ] {
                assert_eq!(of(pattern, foreign), Match::Foreign, "{foreign}");
            }
        }
        assert_eq!(of("/", "/"), Match::Ours(None));
        assert_eq!(of("/", ""), Match::Foreign);
    }

    #[test]
    fn a_near_miss_differs_by_case_or_doubled_slashes() {
        for near in [
            "/Hooks/Video",
            "//hooks/video",
            "/hooks//video",
            "/hooks/video//",
        ] {
            assert_eq!(of("/hooks/video", near), Match::NearMiss, "{near}");
        }
    }

    #[test]
    fn a_token_is_one_segment_and_the_path_without_it_is_ours_too() {
        let pattern = "/cb/{token}";
        assert_eq!(of(pattern, "/cb/abc"), Match::Ours(Some(4..7)));
        assert_eq!(of(pattern, "/cb/abc/"), Match::Ours(Some(4..7)));
        assert_eq!(of(pattern, "/cb"), Match::Ours(None));
        assert_eq!(of(pattern, "/cb/"), Match::Ours(None));
        assert_eq!(of(pattern, "/cb/a/b"), Match::Foreign);
        assert_eq!(of(pattern, "/cb//abc"), Match::NearMiss);
        assert_eq!(of(pattern, "/CB/abc"), Match::NearMiss);
        assert_eq!(of(pattern, "/CB/abc/"), Match::NearMiss);
        assert_eq!(of(pattern, "/CB/a/b"), Match::Foreign);
    }

    #[test]
    fn a_pattern_that_could_never_match_is_an_error_that_says_why() {
        for (bad, why) in [
            ("hooks", "slash"),
            ("", "slash"),
            ("//hooks", "doubled"),
            ("/hooks/{id}", "parameter"),
            ("/{token}/x", "parameter"),
            ("/hooks?x=1", "query"),
            ("/hö", "percent"),
        ] {
            let error = PathPattern::parse(bad).unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
