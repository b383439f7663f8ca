//! What becomes of a test that needs what is not there.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "a module of its own in each test, which uses its own part"
)]

/// Whether what is missing here must be there: a run that is to prove something must not skip.
pub fn must_have_all() -> bool {
    std::env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false" && ci != "0")
}

/// Why a test cannot run here: ignored on somebody's machine, failed where everything must be there.
pub fn cannot_run(reason: String) -> Result<libtest_mimic::Completion, libtest_mimic::Failed> {
    if must_have_all() {
        return Err(reason.into());
    }
    Ok(libtest_mimic::Completion::ignored_with(reason))
}
