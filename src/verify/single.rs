//! What a request gives exactly once.

use http::{HeaderMap, HeaderValue};

use super::{Presented, RefusalKind};

/// The one value of a header.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a [u8], RefusalKind> {
    only(headers.get_all(name).iter().map(HeaderValue::as_bytes))
}

/// The one value of a query parameter, as it stands there.
pub(super) fn parameter<'a>(
    presented: &Presented<'a>,
    name: &str,
) -> Result<&'a [u8], RefusalKind> {
    // Bytes, because to search such short texts for characters takes longer.
    let query = presented.uri().query().unwrap_or_default().as_bytes();
    only(query.split(|&byte| byte == b'&').filter_map(|pair| {
        let mut parts = pair.splitn(2, |&byte| byte == b'=');
        let found = parts.next().unwrap_or_default();
        (found == name.as_bytes()).then(|| parts.next().unwrap_or_default())
    }))
}

/// The path segment that may hold a token.
pub(super) fn segment<'a>(presented: &Presented<'a>) -> Result<&'a [u8], RefusalKind> {
    let segment = presented.segment().map(str::as_bytes);
    segment.ok_or(RefusalKind::Missing)
}

/// The one value. Of several, none is right.
pub(super) fn only<'a>(
    mut values: impl Iterator<Item = &'a [u8]>,
) -> Result<&'a [u8], RefusalKind> {
    match (values.next(), values.next()) {
        (None, _) => Err(RefusalKind::Missing),
        (Some(value), None) => Ok(value),
        (Some(_), Some(_)) => Err(RefusalKind::Repeated),
    }
}
