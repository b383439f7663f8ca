//! Where secrets are read from, and how they are written there.

use std::{env, fs::File, io::Read, path::PathBuf};

use zeroize::Zeroizing;

use super::{Secret, SecretsError, until};

/// Where secrets came from.
pub(super) enum Source {
    /// From the program itself.
    Values,
    Env(String),
    File(PathBuf),
}

/// More than this is no file of secrets.
const MAX: usize = 64 * 1024;

/// A secret shorter than this may be a label.
const SHORT: usize = 16;

impl Source {
    pub(super) fn read(&self) -> Result<Vec<Secret>, SecretsError> {
        let text = match self {
            Self::Values => {
                return Err(SecretsError::new(
                    self.place(),
                    "came from neither an environment variable nor a file: use `replace`",
                ));
            }
            Self::Env(variable) => match env::var(variable) {
                Ok(value) => Zeroizing::new(value.into_bytes()),
                Err(env::VarError::NotPresent) => {
                    return Err(SecretsError::new(self.place(), "is not set"));
                }
                Err(env::VarError::NotUnicode(_)) => {
                    return Err(SecretsError::new(self.place(), "is not UTF-8"));
                }
            },
            Self::File(path) => {
                // All of the room at once: a vector that grows leaves copies behind.
                let mut text = Zeroizing::new(Vec::with_capacity(MAX + 1));
                File::open(path)
                    .and_then(|file| file.take(MAX as u64 + 1).read_to_end(&mut text))
                    .map_err(|error| SecretsError::io(self.place(), error))?;
                text
            }
        };
        if text.len() > MAX {
            return Err(SecretsError::new(self.place(), "is larger than 64 KiB"));
        }
        parse(&text).map_err(|Unreadable { line, problem }| {
            let place = match line {
                Some(line) => format!("{}, line {line}", self.place()),
                None => self.place(),
            };
            SecretsError::new(place, problem)
        })
    }

    /// Its name in an error.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Values => "the secrets".to_owned(),
            Self::Env(variable) => format!("the environment variable {variable}"),
            Self::File(path) => format!("the file {}", path.display()),
        }
    }
}

/// Where a text is wrong, counted from 1, and in what. Words of the text are left out: whoever
/// mistook one column for another has a secret anywhere.
#[derive(Debug, PartialEq, Eq)]
struct Unreadable {
    line: Option<usize>,
    problem: &'static str,
}

fn parse(text: &[u8]) -> Result<Vec<Secret>, Unreadable> {
    let mut secrets: Vec<Secret> = Vec::new();
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let wrong = |problem| Unreadable {
            line: Some(at + 1),
            problem,
        };
        let line = str::from_utf8(line).map_err(|_| wrong("is not UTF-8"))?;
        if line.trim_ascii_start().starts_with('#') {
            continue;
        }
        let mut words = line.split_ascii_whitespace();
        let secret = match (words.next(), words.next(), words.next(), words.next()) {
            (None, ..) => continue,
            (Some(secret), None, ..) => Secret::new(secret),
            (Some(label), Some(secret), None, _) => Secret::new(secret).with_label(label),
            (Some(label), Some(secret), Some(end), None) => {
                let end = until::parse(end).ok_or_else(|| {
                    wrong("the third word is no end: write it as 2026-12-01T00:00:00Z or as Unix seconds")
                })?;
                Secret::new(secret).with_label(label).with_until(end)
            }
            (_, _, _, Some(_)) => {
                return Err(wrong(
                    "has more than three words: a label, the secret, and its end if it has one",
                ));
            }
        };
        if secret.label.as_ref().is_some_and(|label| {
            let len = secret.key().len();
            len < SHORT && len < label.len()
        }) {
            return Err(wrong(
                "has a secret of under 16 bytes that is shorter than its label: the label comes first, \
                 or else the secret would be traced",
            ));
        }
        if secrets.iter().any(|other| other.label == secret.label) {
            return Err(wrong(
                "has the label of a line before: give each secret its own",
            ));
        }
        secrets.push(secret);
    }
    if secrets.is_empty() {
        return Err(Unreadable {
            line: None,
            problem: "holds no secret",
        });
    }
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    type Read<'a> = (Option<&'a str>, &'a [u8], Option<u64>);

    fn read(secrets: &[Secret]) -> Vec<Read<'_>> {
        let seconds = |secret: &Secret| {
            let until = secret.until?.duration_since(UNIX_EPOCH).unwrap();
            assert_eq!(until, Duration::from_secs(until.as_secs()));
            Some(until.as_secs())
        };
        secrets
            .iter()
            .map(|secret| (secret.label.as_deref(), secret.key(), seconds(secret)))
            .collect()
    }

    #[test]
    fn each_line_is_a_label_a_secret_and_maybe_an_end() {
        let text = b"# for the provider\r\n\r\n new\t alpha \r\nold beta 2026-12-01T00:00:00Z\n\
                     older gamma 1735661400 \n  # b c d e f\nbare";
        assert_eq!(
            read(&parse(text).unwrap()),
            [
                (Some("new"), &b"alpha"[..], None),
                (Some("old"), b"beta", Some(1_796_083_200)),
                (Some("older"), b"gamma", Some(1_735_661_400)),
                (None, b"bare", None),
            ]
        );
    }

    #[test]
    fn a_secret_of_16_bytes_or_as_long_as_its_label_is_a_secret() {
        for text in [
            &b"a-label-that-is-quite-long sixteen---s3cret"[..],
            b"label s3cre",
            b"s3cret",
        ] {
            assert_eq!(parse(text).unwrap().len(), 1);
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_line_and_never_shown() {
        for (text, line, problem) in [
            (&b""[..], None, "no secret"),
            (b"\n# only a comment\n", None, "no secret"),
            (b"a s3cret\nb s3cret s3cret", Some(2), "no end"),
            (b"\n\na s3cret 1 x", Some(3), "three words"),
            (b"a s3cret\na s3cret2", Some(2), "label of a line before"),
            (b"s3cret\ns3cret2", Some(2), "label of a line before"),
            (b"a s3cret\xff", Some(1), "UTF-8"),
            (
                b"a s3cret\nlong-s3cret 2026-11",
                Some(2),
                "label comes first",
            ),
            (b"long-s3cret 2026-11 1", Some(1), "label comes first"),
            (
                b"of-16-bytes-and-longer fifteen--s3cret",
                Some(1),
                "label comes first",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.line, line);
            assert!(error.problem.contains(problem), "{error:?}");
            assert!(!error.problem.contains("s3cret"));
        }
    }
}
