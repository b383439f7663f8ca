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
    let query = presented.uri().query().unwrap_or_default();
    only(query.split('&').filter_map(|pair| {
        let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
        (found == name).then_some(value.as_bytes())
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
