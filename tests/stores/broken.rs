//! Stores with one flaw each, and the clause that catches it.

use std::{any::Any, cell::Cell, collections::HashSet};

use tower_callback::testing::conformance::{Outcome, clauses};

use libtest_mimic::Trial;

use crate::flaws::{Flaw, Flawed};

thread_local! {
    /// Whether this thread is to panic.
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Says nothing of panics that a test waits for.
pub(crate) fn hush_expected_panics() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !EXPECTED.get() {
            tell(panic);
        }
    }));
}

/// Runs a clause, and gives what it panicked with.
///
/// On paused time: nothing here waits for a socket or a thread, so that only a deadlock can let a
/// bounded wait end.
fn panic_of(clause: &str, flaw: Flaw) -> Result<Outcome, String> {
    let clause = clauses::<Flawed>()
        .into_iter()
        .find(|known| known.name == clause)
        .expect("the suite has this clause");
    EXPECTED.set(true);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let joined = runtime.block_on(async move {
        tokio::spawn(async move { clause.run(&Flawed(flaw)).await }).await
    });
    EXPECTED.set(false);
    joined.map_err(|error| {
        let panic: Box<dyn Any + Send> = error.into_panic();
        match panic.downcast::<String>() {
            Ok(message) => *message,
            Err(panic) => (*panic.downcast::<&str>().unwrap()).to_owned(),
        }
    })
}

macro_rules! caught {
    ($($clause:ident: $($flaw:ident),+;)*) => {
        const CAUGHT: &[(&str, &[Flaw])] = &[$((stringify!($clause), &[$(Flaw::$flaw),+])),*];
    };
}

caught! {
    the_same_id_again_is_fresh_and_another_id_is_a_duplicate:
        SameIdIsADuplicate, DuplicatesAreFresh, RepeatsRevive, DiffersIsNotTold;
    a_repeat_within_one_batch_is_a_duplicate: BatchForgetsItself;
    each_record_of_a_batch_is_answered_in_order: AnswersInReverse;
    queues_share_nothing: KeysAreJoined, KeysAreCollated;
    quarantine_is_never_leased: QuarantineIsLeased;
    a_full_store_refuses_only_new_records: FullForgetsDuplicates, FullCannotSettle;
    find_agrees_with_what_was_answered: FindForgetsTheToken, FindSaysDoneEarly;
    large_bodies_and_hostile_keys_come_back_byte_for_byte: KeysAreText, BodiesAreCut;
    a_higher_rank_replaces_what_is_pending: UpgradeKeepsAttempts;
    a_higher_rank_revives_what_is_done_or_dead: UpgradeLeavesWhatIsSettled;
    a_lower_rank_changes_nothing: LastOneWins;
    an_upgrade_while_leased_is_due_when_the_lease_ends:
        UpgradeIsDueAtOnce, SettlementEndsNewerContent;
    an_upgrade_while_leased_keeps_its_delay: UpgradeForgetsItsDelay;
    a_late_settlement_does_not_end_newer_content: SettlementEndsNewerContent;
    tokens_never_recur: TokenIsTheRecord;
    a_record_is_leased_to_one_caller: LeaseIsOnlyALook;
    an_attempt_counts_at_the_lease_and_a_release_gives_it_back: ReleaseCounts;
    an_expired_lease_is_counted: ExpiryIsNotCounted;
    a_suspect_is_leased_alone: SuspectsComeTogether;
    extending_keeps_a_lease: ExtendIsIgnored;
    leases_are_in_order_of_due_time_then_sequence: NewestFirst;
    a_failing_backlog_does_not_starve_new_work: OldestFirst;
    a_lease_over_future_records_is_empty: DelaysAreForgotten;
    only_durations_cross_the_border: AgeIsATimeOfDay;
    an_expired_lease_that_nobody_took_still_settles: ExpiredIsStale;
    a_lease_that_was_taken_over_is_stale: FencingIsIgnored, TokenIsTheRecord;
    a_repeated_settlement_is_applied: RepeatsAreStale;
    a_mixed_batch_settles_item_by_item: OneStaleSpoilsAll;
    disown_frees_the_key: DisownIsDone;
    purge_counts_from_settlement: PurgeCountsFromInsert;
    purge_never_takes_what_is_pending: PurgeTakesPending;
    purge_forgets_bodies_keys_and_dead_letters_each_by_its_own_age: BodiesAreKept;
    purge_and_a_duplicate_race_safely: PurgeTakesPending, PurgeReadsThenDeletes;
    concurrent_inserts_of_one_key_make_one_record: ChecksThenActs;
    batches_in_opposite_order_do_not_deadlock: LocksInOrderOfTheBatch;
    inserting_and_extending_go_on_while_others_lease_and_settle: ExtendIsBusy;
    many_callers_lose_nothing_and_double_nothing: LosesSome, LeasesSomeTwice;
    a_dropped_call_leaves_the_store_whole: InsertsInTwoSteps;
    what_was_acknowledged_survives_reopening: ReopensEmpty;
    leases_and_tokens_survive_reopening: ReopensEmpty, ReopeningEndsLeases;
    a_duplicate_of_a_dropped_insert_survives_reopening: AnswersForWhatIsOnItsWay, ReopensEmpty;
}

pub(crate) fn trials() -> Vec<Trial> {
    let caught = CAUGHT.iter().flat_map(|&(clause, flaws)| {
        flaws.iter().map(move |&flaw| {
            let name = format!("broken stores::{flaw:?} is caught by {clause}");
            Trial::test(name, move || {
                is_caught(clause, flaw);
                Ok(())
            })
        })
    });
    let mut trials: Vec<_> = caught.collect();
    trials.push(Trial::test(
        "broken stores::every clause catches one",
        || {
            every_clause_catches_a_broken_store();
            Ok(())
        },
    ));
    trials.extend(clauses::<Flawed>().into_iter().map(|clause| {
        let name = format!("the wrapper of the flaws, without one::{}", clause.name);
        Trial::test(name, move || {
            assert_eq!(panic_of(clause.name, Flaw::None), Ok(Outcome::Kept));
            Ok(())
        })
    }));
    trials
}

fn is_caught(clause: &str, flaw: Flaw) {
    match panic_of(clause, flaw) {
        Ok(outcome) => panic!("{flaw:?} was not caught: {outcome:?}"),
        Err(message) => assert!(
            message.starts_with(&format!("{clause}: ")),
            "{flaw:?} was caught without naming the clause: {message}"
        ),
    }
}

fn every_clause_catches_a_broken_store() {
    let caught: HashSet<_> = CAUGHT.iter().map(|(clause, _)| *clause).collect();
    let known: HashSet<_> = clauses::<Flawed>()
        .iter()
        .map(|clause| clause.name)
        .collect();
    assert_eq!(caught, known);
}
