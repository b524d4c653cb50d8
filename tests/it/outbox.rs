//! The outbox: one conformance suite, run for every store with one line each.

mod acts;
mod alone;
mod attempts;
mod away;
mod chains;
pub(crate) mod cluster;
mod copied;
pub(crate) mod fixture;
mod keeping;
mod ledger;
mod looks;
mod migrated;
mod million;
mod model;
mod nodes;
mod opening;
mod parts;
mod pooled;
mod pooler;
mod postgres;
mod promoted;
mod receipts;
mod rekey;
mod rekeyed;
mod replies;
mod sealed;
mod served;
mod tended;
mod transports;
mod walks;
mod wire;

use std::sync::Arc;

use punctual::outbox::memory::MemoryOutbox;
use punctual::outbox::sqlite::{Access, SqliteOutbox};

use acts::*;
use alone::*;
use attempts::*;
use fixture::Store;
use keeping::*;
use ledger::*;
use looks::*;
use parts::*;
use receipts::*;
use replies::*;
use transports::*;
use walks::*;

/// Runs each case on a fresh store.
macro_rules! conformance {
    ($store:ident) => {
        conformance!($store:
            a_new_store_knows_nothing,
            an_alert_lasts_until_it_is_over,
            sessions_and_participants_come_back,
            presences_and_the_departed_come_back,
            whatever_happens_to_a_session_touches_it,
            a_session_moves_to_another_source_with_its_history,
            what_waits_of_a_source_that_is_gone_is_held,
            the_parts_of_a_source_are_remembered,
            a_digest_that_changes_raises_the_revision,
            a_key_is_added_once,
            moves_and_ends_are_guarded_by_the_state,
            what_nobody_said_counts_as_no_snapshot,
            what_is_guarded_waits_for_an_operator,
            what_an_operator_decides_is_done_by_the_next_walk,
            what_passed_is_remembered_for_a_while,
            what_is_over_need_not_be_read,
            what_was_noted_by_a_clock_that_was_ahead_is_noted_anew,
            whoever_is_missed_is_so_since_the_clock_was_set,
            looks_are_wanted_until_they_are_had,
            what_was_announced_is_known_with_its_facts,
            who_left_an_hour_is_looked_for_at_it,
            a_walk_is_applied_whole_or_not_at_all,
            a_new_notice_needs_its_session_and_its_participant,
            omissions_are_replaced_by_session,
            faults_are_replaced_by_source,
            the_most_urgent_is_claimed_first,
            a_claim_is_of_one_channel_and_of_what_is_due,
            a_claimed_notice_is_not_claimed_again,
            a_claim_holds_all_that_is_decided_upon,
            claims_of_one_session_each_know_who_departed,
            attempts_are_fenced_by_the_epoch,
            attempts_are_fenced_by_the_revision,
            a_suppressed_address_fences_what_is_on_its_way_to_it,
            a_short_lease_lets_nothing_out,
            an_attempt_begins_and_passes_in_one_step,
            an_end_and_the_next_beginning_are_guarded_each_by_itself,
            what_goes_over_another_transport_is_on_record,
            a_refusal_that_was_about_us_is_taken_back,
            what_a_person_wished_is_not_taken_back,
            what_was_settled_lately_is_recalled,
            each_settlement_has_its_row,
            a_late_answer_ends_a_doubt,
            a_lost_claim_settles_nothing_but_its_delivery,
            a_return_restores_the_state_before,
            an_end_must_be_one,
            what_is_in_doubt_is_sent_again_as_it_was,
            an_expired_lease_is_taken_back,
            a_start_takes_everything_back,
            a_doubt_left_undecided_is_named_again,
            every_act_in_every_state,
            a_cancel_is_taken_back,
            what_staff_told_is_remembered,
            what_is_past_its_use_lapses_and_keeps_its_reason,
            what_a_plan_ends_too_late_has_lapsed,
            a_retry_is_claimed_again,
            a_retry_is_never_before_the_due_time,
            a_rejection_is_remembered,
            an_opt_out_outlives_a_bounce,
            lists_are_filtered_and_in_due_order,
            lists_come_in_pages,
            sessions_are_found_by_their_start,
            a_deed_names_who_did_it,
            what_is_over_is_handed_over_again_as_a_new_notice,
            what_somebody_asks_for_waits_once,
            omissions_are_filtered,
            status_counts,
            the_next_due_time_is_the_least,
            deliveries_are_numbered,
            the_ledger_tells_each_step,
            the_ledger_is_read_in_parts,
            the_ledger_is_chained,
            rows_of_an_event_are_found,
            words_of_other_versions_stay_as_they_are,
            a_person_keeps_the_suppression_list,
            whoever_is_taken_off_the_list_is_planned_for_again,
            turns_are_given_once,
            a_pause_is_known_until_it_is_over,
            of_two_pauses_the_longer_one_counts,
            one_asks_for_all,
            a_letter_is_added_once,
            a_letter_and_an_answer_are_claimed_once,
            whoever_dies_between_two_steps_leaves_it_to_the_next,
            an_end_is_an_end,
            a_letter_goes_again_and_an_answer_does_not,
            a_letter_goes_over_another_transport,
            what_is_alone_needs_its_lease,
            letters_are_purged_with_the_history,
            contents_are_purged_and_the_rest_stays,
            history_is_purged_after_its_time,
            a_purge_is_complete_however_much_there_is,
            a_receipt_is_found_by_either_reference,
            nothing_is_received_of_what_never_left,
            a_receipt_ends_a_doubt,
            a_receipt_may_come_before_the_answer,
            a_receipt_before_a_crash_leaves_no_doubt,
            a_number_error_suppresses_that_number_alone,
            a_number_to_which_a_text_arrives_exists,
            what_did_not_arrive_is_named_until_it_is_mended,
            another_address_mends_it_too,
            a_receipt_stops_the_second_copy,
            a_receipt_stops_a_copy_that_begins_and_passes_at_once,
            a_bounce_is_remembered_of_the_mailbox_that_it_names,
            an_id_that_is_used_again_means_the_latest,
            a_reply_is_taken_once,
            what_people_wrote_waits_to_be_read,
            what_people_wrote_goes_with_the_contents,
            an_opt_out_is_confirmed_once,
            a_number_opts_in_again,
            a_kind_of_answer_rests_for_its_time,
            an_answer_during_a_walk_is_planned_by_the_next_one,
            an_answer_that_was_not_taken_is_none,
            answers_go_with_the_contents_and_replies_with_the_history,
            an_rsvp_is_kept_and_plans_the_session_again,
            what_staff_said_is_not_lifted_by_a_reply,
            open_sessions_are_those_that_a_number_was_told_of,
            reminders_of_other_sessions_are_counted_by_number,
            what_may_have_gone_and_goes_again_counts_beside_it,
            a_number_is_known_by_who_answers_and_who_else_is_told_at_it
        );
    };
    ($store:ident: $($case:ident),*) => {
        mod $store {
            $(
                #[tokio::test]
                async fn $case() {
                    use super::Store;
                    // There may be no server for it.
                    let Some(store) = Into::<Option<Store>>::into(super::$store()) else { return };
                    super::$case(store).await;
                }
            )*
        }
    };
}
conformance!(memory);
conformance!(sqlite);
conformance!(sealed_sqlite);
conformance!(on_postgres);
conformance!(sealed_postgres);
conformance!(pooled_postgres);

fn memory() -> Store {
    let outbox = MemoryOutbox::new([7; 32]);
    outbox.set_clock(fixture::minute(10_000_000));
    Store { outbox: Arc::new(outbox), _folder: None }
}

fn sqlite() -> Store {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("outbox.db").display());
    Store { outbox: Arc::new(SqliteOutbox::open(&url, Access::Daemon).unwrap()), _folder: Some(folder) }
}

fn sealed_sqlite() -> Store {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("outbox.db").display());
    Store { outbox: Arc::new(SqliteOutbox::open_with(&url, Access::Daemon, Some(&sealed::key(7))).unwrap()), _folder: Some(folder) }
}

fn on_postgres() -> Option<Store> {
    cluster::store(None)
}

fn sealed_postgres() -> Option<Store> {
    cluster::store(Some(&sealed::key(7)))
}

/// Behind PgBouncer, which gives each transaction another connection.
fn pooled_postgres() -> Option<Store> {
    pooler::pooler().map(|pooler| cluster::store_on(&pooler.server("conformance"), None))
}
