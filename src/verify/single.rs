//! What a request gives exactly once.

use http::{HeaderMap, HeaderValue};

use super::RefusalKind;

/// The one value of a header.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a [u8], RefusalKind> {
    only(headers.get_all(name).iter().map(HeaderValue::as_bytes))
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
