//! The suite that decides whether something is a store.
//!
//! Each clause of the contract of [`Inbox`](crate::store::Inbox) and [`Store`](crate::store::Store)
//! is a public function, named by its promise. It opens its own stores by a [`Fixture`] and
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
//!
//! [`inspect_conformance!`](crate::inspect_conformance) does the same for
//! [`Inspect`], and [`complete_conformance!`](crate::complete_conformance) for
//! stores that [complete](Completes) leases in transactions of the user's. Where tests are a list that
//! is made at run time, so are the clauses: [`clauses`], [`inspect_clauses`], [`complete_clauses`].
//!
//! # What a fixture can offer
//!
//! The more of these a fixture has, the more is shown. A clause that [needs](Need) one that is not
//! there finds that it [does not apply](Outcome::DoesNotApply); see to it that your tests expect that.
//!
//! | method | for a store | shows |
//! | --- | --- | --- |
//! | [`open`](Fixture::open) | of any kind | what one store promises to many callers |
//! | [`open_bounded`](Fixture::open_bounded) | with a limit of records | what goes on when it is full |
//! | [`reopen`](Fixture::reopen) | that is durable | what it knows afterwards |
//! | [`open_again`](Fixture::open_again) | that others can open too | what replicas share |
//! | [`process`](Fixture::process) | the same | kills after each call and in the middle of one, and, where the store has a clock of its own, callers that think that it is yesterday |
//! | [`cut`](Fixture::cut) | over a connection | that each call survives its loss, wherever it was cut |
//!
//! # Processes
//!
//! [`Fixture::process`] starts a program that opens the same place and calls [`serve`]. The simplest
//! one is the test itself, started again with a variable that says where the store is: with a `main`
//! of its own it looks there first, and under the usual harness a test that does nothing without the
//! variable does it:
//!
//! ```no_run
//! use std::process::Command;
//! use tower_callback::{store::MemoryStore, testing::conformance::{Process, serve}};
//!
//! const PLACE: &str = "MY_STORE_UNDER_TEST";
//!
//! // In the fixture's `process`.
//! fn start(place: &str) -> std::io::Result<Process> {
//!     let mut command = Command::new(std::env::current_exe()?);
//!     command.args(["--exact", "serves_a_store_to_the_suite", "--nocapture"]);
//!     command.env(PLACE, place);
//!     Process::start(command)
//! }
//!
//! #[tokio::test]
//! async fn serves_a_store_to_the_suite() {
//!     if let Ok(_place) = std::env::var(PLACE) {
//!         // Yours opens what is at the place.
//!         serve(MemoryStore::new()).await;
//!     }
//! }
//! # let _ = start("");
//! ```

mod calls;
mod complete;
mod connection;
mod crowd;
mod fixture;
mod full;
mod insert;
mod inspect;
mod lease;
mod operate;
mod process;
mod processes;
mod purge;
mod rank;
mod reopen;
mod replicas;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod scratch;
mod settle;
mod wire;

pub use self::{
    complete::{Completed, Completes},
    fixture::{Cut, Fixture, Need},
    process::{Process, serve},
};

#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
pub use self::scratch::{Scratch, serve_scratch};

use std::{fmt, pin::Pin};

use crate::store::Inspect;

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
pub fn run<F: Fixture>(clauses: Vec<Clause<F>>, name: &str, fixture: &F) -> Outcome {
    let Some(clause) = clauses.into_iter().find(|clause| clause.name == name) else {
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

/// One list of the clauses of a tier, for everything that goes through them: `$list` makes it, for
/// fixtures that are `$fixture`, and `$tests` makes tests of it.
macro_rules! clauses {
    (
        $d:tt
        $(#[$list_doc:meta])* $list:ident: [$($bound:tt)*];
        $(#[$tests_doc:meta])* $tests:ident;
        $($module:ident $([$need:ident])? ::{$($name:ident),* $(,)?})*
    ) => {
        $(pub use self::$module::{$($name),*};)*

        $(#[$list_doc])*
        pub fn $list<F>() -> Vec<Clause<F>>
        where
            F: $($bound)*,
        {
            let mut clauses = Vec::new();
            $(clauses.extend(clauses_of!(F, $module $([$need])?, $($name)*));)*
            clauses
        }

        $(#[$tests_doc])*
        #[macro_export]
        macro_rules! $tests {
            ($d fixture:expr) => {
                $($(
                    #[test]
                    fn $name() {
                        use $d crate::testing::conformance;
                        let clauses = conformance::$list();
                        conformance::run(clauses, stringify!($name), &$d fixture);
                    }
                )*)*
            };
        }
    };
}

clauses! { $
    /// Every clause of [`Inbox`](crate::store::Inbox) and [`Store`](crate::store::Store).
    clauses: [Fixture];
    /// Makes a `#[test]` of every clause of [the suite](crate::testing::conformance). The argument
    /// is an expression that makes the [`Fixture`](crate::testing::conformance::Fixture).
    store_conformance;
    insert::{
        the_same_id_again_is_fresh_and_another_id_is_a_duplicate,
        a_repeat_within_one_batch_is_a_duplicate,
        each_record_of_a_batch_is_answered_in_order,
        queues_share_nothing,
        quarantine_is_never_leased,
        find_agrees_with_what_was_answered,
        large_bodies_and_hostile_keys_come_back_byte_for_byte,
        a_bad_record_does_not_fail_its_neighbours,
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
        tokens_of_stores_with_one_history_differ,
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
    replicas[Replicas]::{
        replicas_share_what_they_know,
        many_replicas_lose_nothing_and_double_nothing,
    }
    processes[Processes]::{
        many_processes_lose_nothing_and_double_nothing,
        what_a_killed_process_was_answered_stands,
        tokens_never_recur_in_another_process,
        a_process_killed_in_a_call_made_it_or_did_not,
    }
    processes[WrongClocks]::{
        a_callers_wrong_clock_changes_nothing,
    }
    connection[Connection]::{
        a_call_that_lost_its_connection_is_repeated,
    }
}

clauses! { $
    /// Every clause of [`Inspect`].
    inspect_clauses: [Fixture<Store: Inspect>];
    /// Makes a `#[test]` of every clause of [`Inspect`], as
    /// [`store_conformance!`](crate::store_conformance) does for the tiers below.
    inspect_conformance;
    inspect::{
        counts_agree_with_what_was_answered,
        queues_are_told_in_order,
        a_list_tells_each_record_once_and_in_order,
        a_list_is_stable_while_others_are_at_work,
        a_cursor_of_nobody_is_rejected,
        a_look_tells_everything_that_is_known,
        the_newest_failures_are_remembered,
    }
    operate::{
        a_requeue_begins_again,
        a_requeue_is_answered_item_by_item,
        many_operators_requeue_once,
        what_is_deleted_frees_its_key,
        a_release_inserts_and_then_deletes,
    }
    operate[Limit]::{
        a_full_store_can_be_operated,
    }
    operate[Durability]::{
        what_operators_did_survives_reopening,
    }
}

clauses! { $
    /// Every clause of `complete`, for a store that has it.
    complete_clauses: [Completes];
    /// Makes a `#[test]` of every clause of `complete`, for a fixture that
    /// [`Completes`](crate::testing::conformance::Completes), as
    /// [`store_conformance!`](crate::store_conformance) does for the tiers of every store.
    complete_conformance;
    complete::{
        a_completion_is_as_good_as_its_transaction,
        an_ambiguous_commit_is_told,
        a_frozen_worker_completes_nothing,
    }
    complete[RowLocks]::{
        an_open_transaction_holds_up_nobody_else,
    }
}
