//! The suite as a list of tests, for each store.

use crate::{child, servers::cannot_run};
use libtest_mimic::{Completion, Trial};
use tower_callback::{
    store::Inspect,
    testing::conformance::{
        Clause, Completes, Fixture, Need, Outcome, clauses, complete_clauses, inspect_clauses,
    },
};

/// Whether a fixture can be made here, or what the machine lacks for it.
pub(crate) type Made<F> = Result<F, String>;

/// Tries a store by every clause. `lacks` says what it does not promise, so that the list tells which
/// clauses do not apply to it and why; the rest must be kept.
///
/// `make` is called in each test, so that servers start only for tests that run.
pub(crate) fn of<F: Fixture>(
    store: &str,
    lacks: &'static [Need],
    make: impl Fn() -> Made<F> + Clone + Send + 'static,
) -> Vec<Trial> {
    of_clauses(store, clauses::<F>(), lacks, make)
}

/// The same for a store that can be looked into: those clauses too.
pub(crate) fn inspected<F: Fixture<Store: Inspect>>(
    store: &str,
    lacks: &'static [Need],
    make: impl Fn() -> Made<F> + Clone + Send + 'static,
) -> Vec<Trial> {
    let clauses = clauses::<F>().into_iter().chain(inspect_clauses::<F>());
    of_clauses(store, clauses.collect(), lacks, make)
}

/// The clauses of `complete`, for a store that has it.
pub(crate) fn completing<F: Completes>(
    store: &str,
    lacks: &'static [Need],
    make: impl Fn() -> Made<F> + Clone + Send + 'static,
) -> Vec<Trial> {
    of_clauses(store, complete_clauses::<F>(), lacks, make)
}

fn of_clauses<F: Fixture>(
    store: &str,
    clauses: Vec<Clause<F>>,
    lacks: &'static [Need],
    make: impl Fn() -> Made<F> + Clone + Send + 'static,
) -> Vec<Trial> {
    clauses
        .into_iter()
        .map(|clause| trial(store, clause, lacks, make.clone()))
        .collect()
}

fn trial<F: Fixture>(
    store: &str,
    clause: Clause<F>,
    lacks: &'static [Need],
    make: impl Fn() -> Made<F> + Send + 'static,
) -> Trial {
    let name = format!("{store}::{}", clause.name);
    let lacking = clause.needs.filter(|need| lacks.contains(need));
    let trial = Trial::ignorable_test(name, move || {
        if clause.needs == Some(Need::WrongClocks)
            && lacking.is_none()
            && let Some(reason) = child::missing_for_wrong_clocks()
        {
            return cannot_run(reason);
        }
        let fixture = match make() {
            Ok(fixture) => fixture,
            Err(reason) => return cannot_run(reason),
        };
        match (clause.run_in_runtime(&fixture), lacking) {
            (Outcome::Kept, None) | (Outcome::DoesNotApply { .. }, Some(_)) => {
                Ok(Completion::Completed)
            }
            (Outcome::DoesNotApply { because }, None) => {
                Err(format!("must be kept, and did not apply, because {because}").into())
            }
            (Outcome::Kept, Some(need)) => Err(format!(
                "is kept, though the list says of the store: {}",
                need.lacking()
            )
            .into()),
        }
    });
    match lacking {
        Some(need) => trial.with_kind(format!("does not apply: {}", need.lacking())),
        None => trial,
    }
}
