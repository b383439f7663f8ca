//! The elements of a header line, from the right to the left.
//!
//! Whoever calls a proxy writes the left end of the line, and the proxy writes the right. So nothing
//! here looks further to the left than it must: how an element is read depends on itself and on what
//! stands to its right, never on what stands to its left.

/// The elements of a line of `X-Forwarded-For`: commas between them, and no quotes.
pub(super) fn plain(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.rsplit(|b| *b == b',').map(<[u8]>::trim_ascii)
}

/// The elements of a line of `Forwarded`: commas between them, but not those within quotes.
pub(super) fn quoted(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let comma = last_comma(line);
        rest = comma.map(|comma| &line[..comma]);
        Some(line[comma.map_or(0, |comma| comma + 1)..].trim_ascii())
    })
}

/// The last comma that is not within quotes, when the line's end is not.
fn last_comma(line: &[u8]) -> Option<usize> {
    let mut is_within = false;
    for (at, byte) in line.iter().enumerate().rev() {
        match byte {
            b'"' if !(is_within && is_escaped(line, at)) => is_within = !is_within,
            b',' if !is_within => return Some(at),
            _ => {}
        }
    }
    None
}

/// Whether the byte has an odd number of backslashes before it.
fn is_escaped(line: &[u8], at: usize) -> bool {
    let backslashes = line[..at].iter().rev().take_while(|b| **b == b'\\').count();
    backslashes % 2 == 1
}

/// What an element of `Forwarded` says in `for`, without its quotes.
///
/// `None` for an element that is not written as RFC 7239 says, or has no `for`, or several. Where
/// the quotes are missing around something harmless, such as `[2001:db8::1]:80`, that is no matter.
pub(super) fn forwarded_for(element: &[u8]) -> Option<Vec<u8>> {
    let mut rest = element;
    let mut found = None;
    loop {
        let name_end = rest.iter().position(|b| !is_token(*b))?;
        let (name, after) = rest.split_at(name_end);
        let value = after.strip_prefix(b"=")?;
        let (value, after) = match value.strip_prefix(b"\"") {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = value.iter().position(|b| !is_bare(*b));
                let (value, after) = value.split_at(end.unwrap_or(value.len()));
                (value.to_vec(), after)
            }
        };
        if name.is_empty() || value.is_empty() {
            return None;
        }
        if name.eq_ignore_ascii_case(b"for") && found.replace(value).is_some() {
            return None;
        }
        match after.trim_ascii_start() {
            [] => return found,
            // Spaces around the semicolon are not RFC 7239's, but some write them.
            after => rest = after.strip_prefix(b";")?.trim_ascii_start(),
        }
    }
}

/// The text of a quoted string, and what comes after it.
fn unquote(quoted: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut text = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((text, &quoted[at + 1..])),
            b'\\' => text.push(*bytes.next()?.1),
            byte => text.push(*byte),
        }
    }
    None
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A token's characters, and those of an address.
fn is_bare(byte: u8) -> bool {
    is_token(byte) || b":[]".contains(&byte)
}
