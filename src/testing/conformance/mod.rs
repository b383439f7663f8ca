//! The suite that decides whether something is a store.
//!
//! Each clause of the contract of [`Inbox`] and [`Store`] that one process can
//! show is a public function, named by its promise. It opens its own stores by a [`Fixture`] and
//! panics with its name and with what it saw when the promise is broken. Every wait in it is bounded,
//! and nothing in it depends on how fast the machine is.
//!
//! A store's test file is a fixture and one line, which makes a test of every clause:
//!
//! ```
//! use tower_callback::{store::MemoryStore, testing::conformance::Fixture};
//!
//! struct Memory;
//!
//! impl Fixture for Memory {
//!     type Store = MemoryStore;
//!
//!     async fn open(&self) -> MemoryStore {
//!         MemoryStore::new()
//!     }
//!     async fn open_bounded(&self, records: usize) -> Option<MemoryStore> {
//!         Some(MemoryStore::new().with_capacity(records))
//!     }
//! }
//!
//! tower_callback::store_conformance!(Memory);
//! ```

mod calls;
mod crowd;
mod fixture;
mod full;
mod insert;
mod lease;
mod purge;
mod rank;
mod reopen;
mod settle;

pub use self::fixture::{Fixture, Need};

use std::{fmt, pin::Pin};

/// What a clause found, when it was not broken.
///
/// Exhaustive: a clause that is neither kept nor out of place has panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The promise is kept.
    Kept,
    /// It is not one that this store makes.
    DoesNotApply {
        /// Why not.
        because: &'static str,
    },
}

/// One clause of the contract.
#[non_exhaustive]
pub struct Clause<F> {
    /// Its promise, which is the name of its function too.
    pub name: &'static str,
    /// What it needs beyond a new store. Where that is lacking, it does not apply.
    pub needs: Option<Need>,
    run: for<'f> fn(&'f F) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'f>>,
}

impl<F: Fixture> Clause<F> {
    /// Tries a store by this clause.
    ///
    /// # Panics
    ///
    /// When the store breaks it.
    pub async fn run(&self, fixture: &F) -> Outcome {
        (self.run)(fixture).await
    }

    /// The same in a runtime of its own, for a test that is no future.
    ///
    /// # Panics
    ///
    /// When the store breaks it, and when there are no threads to be had.
    pub fn run_in_runtime(&self, fixture: &F) -> Outcome {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("the operating system gives a runtime its threads");
        runtime.block_on(self.run(fixture))
    }
}

impl<F> fmt::Debug for Clause<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clause").field(&self.name).finish()
    }
}

/// Tries a store by every clause, and tells what each found.
///
/// # Panics
///
/// When the store breaks one.
pub async fn check<F: Fixture>(fixture: &F) -> Vec<(&'static str, Outcome)> {
    let mut outcomes = Vec::new();
    for clause in clauses() {
        outcomes.push((clause.name, clause.run(fixture).await));
    }
    outcomes
}

/// Tries a store by the clause of this name, in a runtime of its own: what
/// [`store_conformance!`](crate::store_conformance) makes of every clause.
///
/// # Panics
///
/// When the store breaks the clause, and when there is no clause of this name.
pub fn run<F: Fixture>(name: &str, fixture: &F) -> Outcome {
    let Some(clause) = clauses::<F>()
        .into_iter()
        .find(|clause| clause.name == name)
    else {
        panic!("the suite has no clause `{name}`");
    };
    let outcome = clause.run_in_runtime(fixture);
    if let Outcome::DoesNotApply { because } = outcome {
        println!("{name}: does not apply, because {because}");
    }
    outcome
}

/// The clauses of one module, which need the same.
macro_rules! clauses_of {
    ($F:ident, $module:ident, $($name:ident)*) => {
        clauses_of!(@ $F, $module, None, $($name)*)
    };
    ($F:ident, $module:ident [$need:ident], $($name:ident)*) => {
        clauses_of!(@ $F, $module, Some(Need::$need), $($name)*)
    };
    (@ $F:ident, $module:ident, $needs:expr, $($name:ident)*) => {
        [$(Clause::<$F> {
            name: stringify!($name),
            needs: $needs,
            run: |fixture| Box::pin($module::$name(fixture)),
        }),*]
    };
}

/// One list of all clauses, for everything that goes through them.
macro_rules! clauses {
    ($d:tt $($module:ident $([$need:ident])? ::{$($name:ident),* $(,)?})*) => {
        $(pub use self::$module::{$($name),*};)*

        /// Every clause.
        pub fn clauses<F: Fixture>() -> Vec<Clause<F>> {
            let mut clauses = Vec::new();
            $(clauses.extend(clauses_of!(F, $module $([$need])?, $($name)*));)*
            clauses
        }

        /// Makes a `#[test]` of every clause of [the suite](crate::testing::conformance). The
        /// argument is an expression that makes the
        /// [`Fixture`](crate::testing::conformance::Fixture).
        #[macro_export]
        macro_rules! store_conformance {
            ($d fixture:expr) => {
                $($(
                    #[test]
                    fn $name() {
                        $d crate::testing::conformance::run(stringify!($name), &$d fixture);
                    }
                )*)*
            };
        }
    };
}

clauses! { $
    insert::{
        the_same_id_again_is_fresh_and_another_id_is_a_duplicate,
        a_repeat_within_one_batch_is_a_duplicate,
        each_record_of_a_batch_is_answered_in_order,
        queues_share_nothing,
        quarantine_is_never_leased,
        find_agrees_with_what_was_answered,
        large_bodies_and_hostile_keys_come_back_byte_for_byte,
    }
    full[Limit]::{
        a_full_store_refuses_only_new_records,
    }
    rank::{
        a_higher_rank_replaces_what_is_pending,
        a_higher_rank_revives_what_is_done_or_dead,
        a_lower_rank_changes_nothing,
        an_upgrade_while_leased_is_due_when_the_lease_ends,
        an_upgrade_while_leased_keeps_its_delay,
        a_late_settlement_does_not_end_newer_content,
    }
    lease::{
        tokens_never_recur,
        a_record_is_leased_to_one_caller,
        an_attempt_counts_at_the_lease_and_a_release_gives_it_back,
        an_expired_lease_is_counted,
        a_suspect_is_leased_alone,
        extending_keeps_a_lease,
        leases_are_in_order_of_due_time_then_sequence,
        a_failing_backlog_does_not_starve_new_work,
        a_lease_over_future_records_is_empty,
        only_durations_cross_the_border,
    }
    settle::{
        an_expired_lease_that_nobody_took_still_settles,
        a_lease_that_was_taken_over_is_stale,
        a_repeated_settlement_is_applied,
        a_mixed_batch_settles_item_by_item,
        disown_frees_the_key,
    }
    purge::{
        purge_counts_from_settlement,
        purge_never_takes_what_is_pending,
        purge_forgets_bodies_keys_and_dead_letters_each_by_its_own_age,
        purge_and_a_duplicate_race_safely,
    }
    crowd::{
        concurrent_inserts_of_one_key_make_one_record,
        batches_in_opposite_order_do_not_deadlock,
        inserting_and_extending_go_on_while_others_lease_and_settle,
        many_callers_lose_nothing_and_double_nothing,
        a_dropped_call_leaves_the_store_whole,
    }
    reopen[Durability]::{
        what_was_acknowledged_survives_reopening,
        leases_and_tokens_survive_reopening,
        a_duplicate_of_a_dropped_insert_survives_reopening,
    }
}
