//! What the headers say about a body, before anybody reads it.

use http::{HeaderMap, header};

use super::{Disposition, Endpoint};

impl Endpoint {
    /// What the headers say of a body that we do not read.
    pub(super) fn unreadable_by_head(&self, headers: &HeaderMap) -> Option<Disposition> {
        let encoded = headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .flat_map(|codings| codings.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"));
        if encoded {
            return Some(Disposition::Encoded);
        }
        (self.settings.strict_content_type && !is_json(headers)).then_some(Disposition::ContentType)
    }
}

/// Whether there is a content type, and every one that is given is JSON.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter().peekable();
    types.peek().is_some() && types.all(|value| value.to_str().is_ok_and(is_json_type))
}

fn is_json_type(value: &str) -> bool {
    let essence = value.split(';').next().unwrap_or_default().trim();
    let essence = essence.as_bytes();
    let has_suffix = |(name, suffix): (&[u8], &[u8; 5])| {
        !name.is_empty() && suffix.eq_ignore_ascii_case(b"+json")
    };
    essence.eq_ignore_ascii_case(b"application/json")
        || essence.split_last_chunk().is_some_and(has_suffix)
}
