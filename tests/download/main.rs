//! Downloads from a hostile file server: whatever it does, a video is whole and of one piece, or it is
//! not there, and nothing is asked of anybody who is not to be asked.
//!
//! `SEEDS=…` cuts more connections, `GIB=10` fetches videos of 10 GiB instead of one.

#![allow(clippy::unwrap_used)]

mod addresses;
#[path = "../../src/testing/capture.rs"]
mod capture;
mod child;
#[path = "../support/ci.rs"]
mod ci;
mod content;
mod cuts;
mod disk;
mod dropped;
#[allow(dead_code, reason = "this file uses its own part of it")]
#[path = "../../src/testing/dropped.rs"]
mod drops;
mod fetch;
mod kill;
mod memory;
mod refresh;
mod secrets;
mod server;
mod slow;
#[path = "../support/small_disk.rs"]
mod small_disk;
mod stores;
mod support;

use std::process::ExitCode;

use ci::cannot_run;
use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if let Some(task) = child::Task::given() {
        return child::run(&task);
    }
    libtest_mimic::run(&Arguments::from_args(), trials()).exit_code()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

macro_rules! trials {
    ($($module:ident: $($test:ident),+;)+) => {
        vec![$($(Trial::test(stringify!($test), || {
            block_on($module::$test());
            Ok(())
        })),+),+]
    };
}

fn trials() -> Vec<Trial> {
    let mut trials = trials! {
        addresses:
            a_redirect_is_followed_and_only_so_many,
            a_redirect_to_nowhere_is_refused,
            a_redirect_to_an_address_that_is_not_public_is_refused_and_not_followed,
            a_name_of_an_address_that_is_not_public_is_refused_and_not_connected_to,
            of_a_names_addresses_only_the_public_ones_are_connected_to,
            a_name_that_means_something_else_later_gains_nothing,
            plain_http_and_what_is_no_url_are_refused,
            everything_but_public_addresses_is_refused_by_default;
        content:
            a_page_instead_of_a_video_is_refused,
            too_little_to_be_a_video_is_refused,
            a_compressed_answer_is_refused_and_none_is_asked_for,
            a_file_shorter_than_announced_is_not_kept,
            a_length_that_is_none_is_not_believed,
            a_file_that_ends_where_the_connection_does_needs_a_digest,
            a_chunked_file_that_ends_is_whole,
            an_endless_file_ends_at_the_limit,
            another_file_than_expected_is_refused,
            pieces_of_two_files_are_told_by_a_digest_and_fetched_anew,
            a_status_says_whether_another_attempt_helps,
            a_server_that_asks_to_wait_is_obeyed;
        cuts:
            cuts_at_random_bytes_make_one_whole_file,
            a_server_that_ignores_ranges_is_asked_for_the_whole,
            a_file_that_changes_meanwhile_is_fetched_from_its_start,
            a_changed_file_sent_as_a_part_is_not_patched_together,
            wrong_parts_are_never_written,
            a_part_shorter_than_the_rest_is_taken_and_the_rest_asked_for,
            what_does_not_identify_a_file_does_not_continue_it,
            a_last_modified_of_another_second_continues_a_file,
            a_part_of_a_file_of_another_or_no_date_is_not_patched_on,
            a_server_with_another_file_each_time_is_left_in_the_end,
            a_broken_connection_is_a_retryable_error_that_leaves_nothing;
        dropped:
            a_fetch_into_a_directory_may_be_dropped_at_any_point,
            a_fetch_into_an_object_store_may_be_dropped_at_any_point;
        fetch:
            what_is_there_is_not_asked_for_again,
            what_is_there_and_is_not_what_is_expected_is_replaced,
            fetches_of_one_task_at_once_are_one_download,
            a_fetch_that_is_dropped_leaves_nothing,
            nothing_is_visible_before_the_last_byte,
            no_more_run_at_once_than_allowed,
            a_busy_host_does_not_hold_up_another,
            progress_is_told_at_most_ten_times_a_second_and_at_the_end,
            a_name_can_be_chosen_and_stays_where_it_belongs,
            settings_that_cannot_work_are_refused,
            a_probe_tells_a_video_from_what_is_none_and_keeps_nothing;
        refresh:
            an_expired_url_is_replaced_and_the_download_goes_on_where_it_was,
            without_a_fresh_url_it_has_expired,
            what_was_never_a_url_is_asked_for,
            fresh_urls_that_expire_too_end_in_an_error,
            a_failing_refresh_is_retryable,
            a_fresh_url_is_checked_as_the_first_was;
        secrets:
            a_signature_is_in_no_trace_error_or_debug;
        slow:
            a_server_that_drips_is_left,
            a_server_that_says_nothing_is_left,
            a_server_that_falls_silent_is_left_and_the_rest_fetched_again,
            a_deadline_ends_a_download_that_only_goes_on,
            a_slow_store_is_not_the_servers_fault,
            waiting_for_a_turn_takes_nothing_from_the_retries_and_the_deadline;
        stores:
            a_small_video_is_one_object_put_at_once,
            a_large_video_is_uploaded_in_equal_parts_and_visible_at_the_end,
            the_size_limit_takes_no_memory_and_what_has_too_many_parts_is_refused,
            a_part_that_fails_ends_the_upload_and_removes_its_parts,
            an_upload_that_cannot_be_completed_removes_its_parts,
            a_full_store_is_a_full_disk,
            a_fetch_that_is_dropped_removes_its_parts,
            an_upload_begun_anew_removes_its_first_parts,
            a_local_file_system_is_a_store_too;
    };
    #[cfg(feature = "client")]
    trials.extend(trials! {
        refresh:
            the_provider_is_asked_for_a_fresh_url,
            a_provider_that_does_not_show_the_video_yet_is_asked_by_the_next_attempt;
    });
    trials.extend(disk::trials());
    trials.extend(kill::trials());
    trials.extend(memory::trials());
    trials
}
