//! Whether a signature's settings can be right.

use http::HeaderName;

use super::{Signature, Timestamp};
use crate::error::BuildError;

impl Signature {
    pub(super) fn check_settings(&self) -> Result<(), BuildError> {
        named("Signature", &self.header)?;
        self.check_list()?;
        if let Some(name) = &self.id {
            named("Signature::id_header", name)?;
            if self.separator.chars().count() != 1 {
                return Err(BuildError::new(
                    "Signature::separator",
                    "is not one character, so nobody could tell where the signed id ends",
                ));
            }
        }
        if self.id.is_none() && self.id_is_subject {
            return Err(BuildError::new(
                "Signature::id_is_subject",
                "has no effect without an id that is signed: add `.id_header(…)`, or leave it out",
            ));
        }
        if self.timestamp.is_some() && self.separator.is_empty() {
            return Err(BuildError::new(
                "Signature::separator",
                "is empty, so digits could move between the signed time and the body",
            ));
        }
        if self.timestamp.is_some() && self.separator.contains(|c: char| c.is_ascii_digit()) {
            return Err(BuildError::new(
                "Signature::separator",
                "has a digit, so nobody could tell where the signed time ends",
            ));
        }
        match &self.timestamp {
            Some(Timestamp::Header(name)) => named("Signature::timestamp_header", name)?,
            Some(Timestamp::Listed(prefix)) => {
                if self.list.is_none() {
                    return Err(BuildError::new(
                        "Signature::timestamp_in_list",
                        "needs a list: say what stands between its items with `.list(',')`",
                    ));
                }
                if prefix.is_empty() || self.prefix.is_empty() {
                    return Err(BuildError::new(
                        "Signature::timestamp_in_list",
                        "needs a prefix, and so do the signatures, or nobody could tell one from \
                         the other",
                    ));
                }
            }
            None if self.tolerance.is_some() => {
                return Err(BuildError::new(
                    "Signature::tolerance",
                    "has no effect without a time that is signed: add `.timestamp_header(…)`, or \
                     leave it out",
                ));
            }
            None => {}
        }
        self.window().check("Signature::tolerance")
    }

    /// What stands between the items of a list stands in none of them.
    fn check_list(&self) -> Result<(), BuildError> {
        let Some(separator) = self.list else {
            return Ok(());
        };
        let of_signatures = separator.is_ascii_alphanumeric() || "+/=".contains(separator);
        let listed = match &self.timestamp {
            Some(Timestamp::Listed(prefix)) => prefix,
            _ => "",
        };
        if !separator.is_ascii()
            || of_signatures
            || self.prefix.contains(separator)
            || listed.contains(separator)
        {
            return Err(BuildError::new(
                "Signature::list",
                format!("{separator:?} can be part of an item, so it cannot stand between items"),
            ));
        }
        Ok(())
    }
}

fn named(setting: &'static str, name: &str) -> Result<(), BuildError> {
    match HeaderName::from_bytes(name.as_bytes()) {
        Ok(_) => Ok(()),
        Err(_) => Err(BuildError::new(
            setting,
            format!("{name:?} is no header's name"),
        )),
    }
}
