//! The provider's answers to us.

use tower_callback::testing::{fuzz_details, fuzz_generated};

use crate::json;

/// Holds the laws of the provider's answers against a letter, which says what was asked, and the
/// body of an answer: `d` for the details of a task, `g` for a submission.
///
/// # Panics
///
/// When a law is broken.
pub fn details_response(input: &[u8]) {
    match input.split_first() {
        Some((question, body)) if question % 2 == 0 => json::linear(body, fuzz_details),
        Some((_, body)) => json::linear(body, fuzz_generated),
        None => {}
    }
}
