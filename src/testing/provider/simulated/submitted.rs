//! What was submitted.

/// A submission that the provider is about to decide on, for [`plan_with`].
///
/// [`plan_with`]: super::SimulatedProviderBuilder::plan_with
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Submitted<'a> {
    /// Which new submission of the provider's it is, counted from 0. Calls that it refuses or knows
    /// already are not counted again.
    pub number: usize,
    /// The music task.
    pub task_id: &'a str,
    /// The track of it.
    pub audio_id: &'a str,
    /// How many tasks there are already for this track: 0, unless
    /// [repeats are accepted](super::SimulatedProviderBuilder::accept_repeats).
    pub repeat: usize,
}
