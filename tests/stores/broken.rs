//! Stores with one flaw each, and the clause that catches it.

use std::{
    any::Any,
    cell::Cell,
    collections::{BTreeSet, HashSet},
};

use tower_callback::testing::conformance::{
    Clause, Outcome, clauses, complete_clauses, inspect_clauses,
};

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
    let clause = all()
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

/// What a clause of the suite is about: the numbers of the [contract](PROMISES).
macro_rules! caught {
    ($($number:literal $clause:ident: $($flaw:ident),+;)*) => {
        const CAUGHT: &[(usize, &str, &[Flaw])] = &[
            $(($number, stringify!($clause), &[$(Flaw::$flaw),+])),*
        ];
    };
}

/// The contract of a store, in short; the last one is for operators.
///
/// What a lease *costs* (18) is nothing that a suite could see from outside without a clock. That is
/// shown store by store: by the pages it touches (`tests/postgres/plans.rs`), by the commands it runs
/// (`tests/redis/server.rs`), by SQLite's plan (`src/store/sqlite/lease.rs`). The memory store looks at
/// the first of what is in order of due time, and there is no other way in its code.
const PROMISES: [&str; 23] = [
    "the same id again is fresh, another id is a duplicate",
    "cut after the commit, the retry is acknowledged",
    "a duplicate waits for the first copy to be durable",
    "a bad record does not fail its neighbours",
    "a higher rank upgrades, a lower one is ignored",
    "queues are isolated",
    "tokens never recur",
    "expired settles, leased again is stale, a repeat is applied",
    "a mixed batch is settled item by item",
    "batches in opposite order do not deadlock",
    "a held row does not block heartbeats and inserts",
    "an attempt is durable at the lease",
    "the caller's clock changes nothing",
    "a full store settles, finds and purges",
    "a purge counts from settlement and takes nothing pending",
    "disown frees the key",
    "leases are in due order",
    "an empty lease over many future records is empty, and costs as one over none",
    "find agrees with what was answered",
    "a completion is as good as its transaction",
    "a kill between any two calls is survived",
    "large bodies, hostile keys, many records and connections",
    "operators see and tell what is so",
];

caught! {
    1 the_same_id_again_is_fresh_and_another_id_is_a_duplicate:
        SameIdIsADuplicate, DuplicatesAreFresh, RepeatsRevive, DiffersIsNotTold;
    1 a_repeat_within_one_batch_is_a_duplicate: BatchForgetsItself;
    2 a_call_that_lost_its_connection_is_repeated:
        LostAnswersAreRejected, NeverConnectsAgain, RetriesUnderNewIds, RepeatsAreStale;
    3 a_duplicate_of_a_dropped_insert_survives_reopening: AnswersForWhatIsOnItsWay, ReopensEmpty;
    4 a_bad_record_does_not_fail_its_neighbours:
        BadRecordsAreUnavailable, RejectedBatchesAreRemembered;
    4 each_record_of_a_batch_is_answered_in_order: AnswersInReverse;
    5 a_higher_rank_replaces_what_is_pending: UpgradeKeepsAttempts;
    5 a_higher_rank_revives_what_is_done_or_dead: UpgradeLeavesWhatIsSettled;
    5 a_lower_rank_changes_nothing: LastOneWins;
    5 an_upgrade_while_leased_is_due_when_the_lease_ends:
        UpgradeIsDueAtOnce, SettlementEndsNewerContent;
    5 an_upgrade_while_leased_keeps_its_delay: UpgradeForgetsItsDelay;
    5 a_late_settlement_does_not_end_newer_content: SettlementEndsNewerContent;
    6 queues_share_nothing: KeysAreJoined, KeysAreCollated;
    6 quarantine_is_never_leased: QuarantineIsLeased;
    7 tokens_never_recur: TokenIsTheRecord;
    7 tokens_of_stores_with_one_history_differ: TokensAreCounted;
    7 tokens_never_recur_in_another_process: TokensAreCounted;
    7 leases_and_tokens_survive_reopening: ReopensEmpty, ReopeningEndsLeases;
    8 an_expired_lease_that_nobody_took_still_settles: ExpiredIsStale;
    8 a_lease_that_was_taken_over_is_stale: FencingIsIgnored, TokenIsTheRecord;
    8 a_repeated_settlement_is_applied: RepeatsAreStale;
    9 a_mixed_batch_settles_item_by_item: OneStaleSpoilsAll, SettlingSkipsWhatOthersLookAt;
    10 batches_in_opposite_order_do_not_deadlock: LocksInOrderOfTheBatch;
    11 an_open_transaction_holds_up_nobody_else: HeldRowsAreWaitedFor, HeldRowsAreIgnored;
    11 inserting_and_extending_go_on_while_others_lease_and_settle: ExtendIsBusy;
    12 an_attempt_counts_at_the_lease_and_a_release_gives_it_back: ReleaseCounts;
    12 an_expired_lease_is_counted: ExpiryIsNotCounted;
    12 a_suspect_is_leased_alone: SuspectsComeTogether;
    12 a_record_is_leased_to_one_caller: LeaseIsOnlyALook;
    12 extending_keeps_a_lease: ExtendIsIgnored;
    13 a_callers_wrong_clock_changes_nothing: CallersClockCounts;
    13 only_durations_cross_the_border: AgeIsATimeOfDay;
    14 a_full_store_refuses_only_new_records: FullForgetsDuplicates, FullCannotSettle;
    15 purge_counts_from_settlement: PurgeCountsFromInsert;
    15 purge_never_takes_what_is_pending: PurgeTakesPending;
    15 purge_forgets_bodies_keys_and_dead_letters_each_by_its_own_age: BodiesAreKept;
    15 purge_and_a_duplicate_race_safely: PurgeTakesPending, PurgeReadsThenDeletes;
    16 disown_frees_the_key: DisownIsDone;
    17 leases_are_in_order_of_due_time_then_sequence: NewestFirst;
    17 a_failing_backlog_does_not_starve_new_work: OldestFirst;
    18 a_lease_over_future_records_is_empty: DelaysAreForgotten;
    19 find_agrees_with_what_was_answered: FindForgetsTheToken, FindSaysDoneEarly;
    20 a_completion_is_as_good_as_its_transaction: CompletesAtOnce;
    20 an_ambiguous_commit_is_told: CompletesTwice;
    20 a_frozen_worker_completes_nothing: CompletesWhatIsLost;
    21 what_was_acknowledged_survives_reopening: ReopensEmpty;
    21 what_a_killed_process_was_answered_stands:
        AnswersBeforeItWrites, LeasesEndWithTheProcess, EachReplicaIsAlone;
    21 a_process_killed_in_a_call_made_it_or_did_not: WritesInTwoSteps;
    21 a_dropped_call_leaves_the_store_whole: InsertsInTwoSteps;
    22 large_bodies_and_hostile_keys_come_back_byte_for_byte: KeysAreText, BodiesAreCut;
    22 concurrent_inserts_of_one_key_make_one_record: ChecksThenActs;
    22 many_callers_lose_nothing_and_double_nothing: LosesSome, LeasesSomeTwice;
    22 replicas_share_what_they_know: EachReplicaIsAlone;
    22 many_replicas_lose_nothing_and_double_nothing: LosesSome, LeasesSomeTwice, ChecksThenActs;
    22 many_processes_lose_nothing_and_double_nothing: LosesSome, LeasesSomeTwice;
    23 counts_agree_with_what_was_answered: ExpiredCountsAsLeased, LaterCountsAsDue;
    23 queues_are_told_in_order: QueuesAreTwice;
    23 a_list_tells_each_record_once_and_in_order: ListsAllQueues, ListsOldestFirst;
    23 a_list_is_stable_while_others_are_at_work: PagesAreNumbered;
    23 a_cursor_of_nobody_is_rejected: CursorsAreTrusted;
    23 a_look_tells_everything_that_is_known: LooksElsewhere, BodiesAreNotLookedAt;
    23 the_newest_failures_are_remembered:
        FailuresAreForgotten, FailuresAreOldestFirst, FailuresSurviveUpgrades;
    23 a_requeue_begins_again:
        RequeueKeepsAttempts, RequeueKeepsTokens, RequeueTakesLeased, RequeueIsInsert;
    23 a_requeue_is_answered_item_by_item:
        RequeueAnswersInReverse, EveryRequeueApplies, RequeueTakesLeased;
    23 many_operators_requeue_once: EveryRequeueApplies;
    23 what_is_deleted_frees_its_key: DeletionIsALook, DeletionTakesLeased;
    23 a_release_inserts_and_then_deletes: DeletionIsALook;
    23 a_full_store_can_be_operated: RequeueIsInsert;
    23 what_operators_did_survives_reopening: ReopensEmpty;
}

pub(crate) fn trials() -> Vec<Trial> {
    let caught = CAUGHT.iter().flat_map(|&(number, clause, flaws)| {
        flaws.iter().map(move |&flaw| {
            let promise = PROMISES[number - 1];
            let name =
                format!("broken stores::{number:02} {promise}::{flaw:?} is caught by {clause}");
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
    trials.extend(all().into_iter().map(|clause| {
        let name = format!("the wrapper of the flaws, without one::{}", clause.name);
        Trial::test(name, move || {
            assert_eq!(panic_of(clause.name, Flaw::None), Ok(Outcome::Kept));
            Ok(())
        })
    }));
    trials
}

fn all() -> Vec<Clause<Flawed>> {
    let of_all = clauses().into_iter().chain(inspect_clauses());
    of_all.chain(complete_clauses()).collect()
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
    let numbers: BTreeSet<_> = CAUGHT.iter().map(|(number, ..)| *number).collect();
    assert!(
        numbers.into_iter().eq(1..=PROMISES.len()),
        "a promise has no broken store"
    );
    let caught: HashSet<_> = CAUGHT.iter().map(|(_, clause, _)| *clause).collect();
    let known: HashSet<_> = all().iter().map(|clause| clause.name).collect();
    assert_eq!(caught, known);
}
