//! What every storage backend must do, as tests. [`contract_tests!`](crate::contract_tests) turns each case into a test
//! of its own; a backend passes when all of them pass.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a case fails by panicking, like any test"
)]

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use majordomo_application::ports::{
    ApiKeyRepository, AuditLog, BudgetRepository, MemoryRepository, MemoryVectors, MessageWindow,
    OAuthRepository, RepositoryError, RunJournal, SelfAuditRepository, SessionRepository,
    SettingsRepository, StorageHealth, TurnRepository, UsageLedger, UserRepository,
};
use majordomo_domain::{Message, SessionId, UserId};

pub mod api_keys;
pub mod audit;
pub mod budgets;
pub mod events;
pub mod finishing;
pub mod health;
pub mod imports;
pub mod journal;
pub mod memories;
pub mod memory_vectors;
pub mod oauth;
pub mod recording;
pub mod removal;
pub mod search;
pub mod self_audit;
pub mod sessions;
pub mod settings;
pub mod snippets;
pub mod spending;
pub mod usage;
pub mod users;

/// All storage ports over one empty storage.
pub struct Stores {
    /// Sessions and their messages.
    pub sessions: Arc<dyn SessionRepository>,
    /// Runs and their events.
    pub journal: Arc<dyn RunJournal>,
    /// API keys.
    pub api_keys: Arc<dyn ApiKeyRepository>,
    /// Apps, and what users granted them.
    pub oauth: Arc<dyn OAuthRepository>,
    /// Users.
    pub users: Arc<dyn UserRepository>,
    /// Settings and preferences.
    pub settings: Arc<dyn SettingsRepository>,
    /// The ledger of model calls.
    pub usage: Arc<dyn UsageLedger>,
    /// Budgets and what was spent of them.
    pub budgets: Arc<dyn BudgetRepository>,
    /// Memories.
    pub memories: Arc<dyn MemoryRepository>,
    /// The vectors of memories.
    pub memory_vectors: Arc<dyn MemoryVectors>,
    /// Messages as memory reads them.
    pub turns: Arc<dyn TurnRepository>,
    /// Whether storage answers.
    pub health: Arc<dyn StorageHealth>,
    /// Whether it compares vectors.
    pub compares_vectors: bool,
    /// The audit log.
    pub audit: Arc<dyn AuditLog>,
    /// Reports of the server's examination of itself.
    pub self_audit: Arc<dyn SelfAuditRepository>,
    /// What is kept alive until the test ends and dropped after the ports.
    pub guard: Option<Box<dyn Any + Send + Sync>>,
}

impl Stores {
    /// The ports of a store that implements all of them itself.
    pub fn of<S>(store: Arc<S>) -> Self
    where
        S: SessionRepository
            + RunJournal
            + ApiKeyRepository
            + OAuthRepository
            + UserRepository
            + AuditLog
            + SelfAuditRepository
            + SettingsRepository
            + UsageLedger
            + BudgetRepository
            + MemoryRepository
            + MemoryVectors
            + TurnRepository
            + StorageHealth
            + 'static,
    {
        Self {
            sessions: store.clone(),
            journal: store.clone(),
            api_keys: store.clone(),
            oauth: store.clone(),
            users: store.clone(),
            settings: store.clone(),
            usage: store.clone(),
            budgets: store.clone(),
            memories: store.clone(),
            memory_vectors: store.clone(),
            compares_vectors: false,
            turns: store.clone(),
            audit: store.clone(),
            self_audit: store.clone(),
            health: store,
            guard: None,
        }
    }

    /// The same of a store that compares vectors.
    #[must_use]
    pub const fn comparing_vectors(mut self) -> Self {
        self.compares_vectors = true;
        self
    }

    /// Keeps something alive until the test ends and drops it after the ports: a temporary directory, a database.
    #[must_use]
    pub fn keeping(mut self, guard: impl Any + Send + Sync) -> Self {
        self.guard = Some(Box::new(guard));
        self
    }

    /// All messages of a session.
    pub(crate) async fn all_messages(&self, owner: &UserId, id: &SessionId) -> Vec<Message> {
        let window = MessageWindow::newest(1_000);
        self.sessions.messages(owner, id, window).await.unwrap()
    }
}

/// Fails unless storage answered `Conflict`.
pub(crate) fn assert_conflict<T: Debug>(result: Result<T, RepositoryError>) {
    assert!(
        matches!(result, Err(RepositoryError::Conflict)),
        "expected a conflict, got {result:?}"
    );
}

/// Makes one `#[tokio::test]` of each case of every suite, in a module for each (`sessions`, `imports`, `removal`, `journal`,
/// `events`, `finishing`, `recording`, `search`, `snippets`, `api_keys`, `oauth`, `settings`, `usage`, `budgets`, `spending`,
/// `audit`, `self_audit`, `memories`, `memory_vectors`, `health`). Takes a future that makes
/// [`Stores`](crate::contract::Stores) over an empty storage; it runs once for each case. The calling crate needs `tokio` with `macros` and `rt-multi-thread`.
///
/// ```ignore
/// majordomo_testkit::contract_tests!(async { Stores::of(Arc::new(InMemoryStore::new())) });
/// ```
#[macro_export]
macro_rules! contract_tests {
    ($make:expr) => {
        async fn contract_stores() -> $crate::contract::Stores {
            $make.await
        }
        $crate::contract_suite! { sessions:
            an_unknown_session_is_none
            a_session_reads_back_as_accepted
            every_channel_reads_back
            a_session_keeps_the_model_it_began_with
            ids_that_differ_in_case_are_different
            two_owners_may_use_the_same_session_id
            another_owners_session_does_not_exist
            the_title_comes_from_the_first_user_message
            a_long_unicode_title_is_cut_on_a_character
            a_message_without_text_gives_no_title
            a_title_chosen_at_the_beginning_stays
            a_chosen_title_is_never_replaced
            renaming_changes_nothing_else
            the_sessions_model_can_be_set_and_cleared
            lists_put_the_last_active_session_first
            a_message_moves_its_session_to_the_front
            lists_have_a_limit_an_offset_and_a_total
            pages_of_equally_old_sessions_do_not_overlap
            messages_come_oldest_first
            a_window_holds_the_newest_below_its_end
            messages_of_an_unknown_session_are_none
            text_reads_back_byte_for_byte
            images_read_back_in_order
            times_read_back_to_the_microsecond
        }
        $crate::contract_suite! { imports:
            an_imported_conversation_reads_back
            importing_again_adds_only_what_is_new
            importing_nothing_begins_a_session
            an_import_goes_behind_what_was_said_here
            imports_of_two_owners_do_not_meet
            what_is_imported_is_found
            what_is_imported_counts_as_changed
            concurrent_imports_store_each_message_once
        }
        $crate::contract_suite! { removal:
            deleting_removes_everything_of_the_session
            deleting_leaves_other_sessions_alone
            a_deleted_session_can_begin_again
            clearing_keeps_the_session_only
            a_cleared_session_goes_on_above_its_old_positions
        }
        $crate::contract_suite! { journal:
            accepting_stores_the_whole_turn
            accepting_counts_into_an_existing_session
            a_taken_run_id_is_a_conflict_and_stores_nothing
            a_taken_message_id_is_a_conflict_and_stores_nothing
            a_conflict_does_not_begin_a_session
            positions_have_no_gaps
            concurrent_turns_of_one_session_get_their_own_positions
            concurrent_turns_may_begin_the_same_session
            concurrent_turns_of_many_sessions_are_all_stored
            a_queued_run_starts
            every_status_reads_back
            the_options_of_a_run_read_back
            another_owners_run_does_not_exist
            the_run_of_a_message_is_found_on_both_sides
            the_latest_run_of_a_session_is_found
            runs_are_found_in_their_own_session_only
            unfinished_runs_come_oldest_first_over_all_owners
            nothing_is_unfinished_in_an_empty_store
        }
        $crate::contract_suite! { events:
            an_unknown_run_has_no_events
            every_kind_of_event_reads_back
            boundaries_survive_at_every_position
            pieces_are_never_merged_or_normalised
            a_taken_seq_is_a_conflict
            a_batch_with_a_taken_seq_stores_nothing
            one_of_two_writers_of_the_same_seq_wins
            appending_nothing_is_no_error
            journals_do_not_mix
            a_large_event_reads_back
            appending_to_a_deleted_run_stores_nothing
        }
        $crate::contract_suite! { finishing:
            finishing_stores_status_events_and_answer
            finishing_without_a_message_counts_none
            every_final_status_reads_back
            a_partial_answer_keeps_its_mark
            an_answer_without_usage_reads_back
            a_queued_run_can_end_without_starting
            ending_an_ended_run_changes_nothing
            concurrent_ends_store_one_answer
            concurrent_ends_and_turns_share_the_positions
            a_taken_seq_at_the_end_stores_nothing
            ending_after_the_session_was_deleted_stores_nothing
            ending_after_the_session_was_cleared_stores_nothing
            ending_does_not_touch_a_session_begun_again
            ending_an_unknown_run_is_no_error
        }
        $crate::contract_suite! { recording:
            a_recorded_turn_is_as_one_accepted_and_finished
            recording_without_a_message_counts_none
            a_recorded_session_goes_on
            recording_what_is_there_is_a_conflict
            a_recorded_journal_has_no_gap
        }
        $crate::contract_suite! { search:
            a_hit_tells_the_message_and_its_session
            answers_are_found_too
            every_word_must_match
            the_last_word_matches_as_a_prefix
            only_the_last_word_matches_as_a_prefix
            case_and_diacritics_do_not_matter
            other_scripts_are_found
            common_words_are_words_too
            query_syntax_is_plain_text
            operators_are_plain_words
            a_query_without_words_finds_nothing
            words_joined_by_punctuation_are_words
            hostile_and_huge_queries_are_harmless
            other_owners_are_never_seen
            owners_that_look_alike_are_kept_apart
            the_owners_name_is_not_searched
            the_limit_is_respected
            the_better_match_comes_first
            a_renamed_session_shows_its_new_title
            deleted_and_cleared_messages_are_not_found
        }
        $crate::contract_suite! { snippets:
            a_snippet_is_short_and_holds_the_match
            a_snippet_of_wide_characters_is_cut_between_them
            highlights_point_at_the_words
        }
        $crate::contract_suite! { users:
            a_user_reads_back
            names_are_found_whatever_their_case
            a_taken_name_is_a_conflict
            one_of_many_registrations_makes_the_owner
            lists_are_oldest_first_up_to_the_limit
            changes_end_the_users_tokens
            changing_nobody_changes_nothing
            a_login_is_noted
        }
        $crate::contract_suite! { api_keys:
            a_key_is_found_by_its_digest
            every_field_reads_back
            a_wrong_digest_finds_nothing
            a_taken_id_is_a_conflict
            a_taken_digest_is_a_conflict
            revoked_and_expired_keys_are_found
            lists_are_newest_first_with_revoked_ones
            lists_hold_the_owners_keys_up_to_the_limit
            revoking_happens_once
            another_owners_key_cannot_be_revoked
            rotating_replaces_the_key
            rotating_needs_an_active_key_of_the_owner
            a_failed_rotation_changes_nothing
            a_rotated_key_may_go_on_for_a_while
            a_successor_goes_on_with_its_budget
            keys_are_switched_off_and_on
            changes_of_keys_are_in_the_audit_log
            concurrent_rotations_make_one_successor
            touching_notes_the_last_use
            touching_an_unknown_key_is_no_error
        }
        $crate::contract_suite! { settings:
            every_kind_of_value_reads_back
            a_setting_is_replaced_and_forgotten
            another_owners_settings_are_kept_apart
            settings_are_listed_by_owner_and_by_name
            sealed_settings_are_found
            resealing_is_all_or_nothing
            a_change_of_two_owners_is_one_record
            one_of_many_insertions_wins
        }
        $crate::contract_suite! { usage:
            a_call_reads_back
            a_call_without_key_session_and_run_reads_back
            names_of_models_read_back
            calls_are_added_up_by_model
            sums_can_begin_later
            recent_calls_come_newest_first
            other_owners_calls_are_never_seen
            clearing_forgets_the_owners_calls
            the_calls_of_a_turn_are_stored_with_its_end
            the_calls_of_an_ended_turn_are_not_stored_again
            the_calls_of_a_deleted_session_are_kept
        }
        $crate::contract_suite! { budgets:
            a_budget_reads_back
            setting_again_replaces
            a_budget_is_removed_once
            an_unused_window_is_empty
            calls_count_in_their_windows
            calls_count_side_by_side
            old_windows_are_forgotten
        }
        $crate::contract_suite! { spending:
            overspend_is_at_most_one_calls_error_of_estimate
            a_process_that_died_holds_nothing
        }
        $crate::contract_suite! { audit:
            an_empty_log_has_both_ends_at_zero
            a_record_reads_back
            entries_are_linked_without_gaps
            concurrent_records_make_one_chain
            lists_are_filtered_and_newest_first
            pages_are_oldest_first
            archived_entries_go_and_the_chain_goes_on
            archiving_needs_the_right_hash
        }
        $crate::contract_suite! { self_audit:
            a_report_reads_back
            a_day_has_one_report_and_old_ones_go
            keys_in_use_are_told
        }
        $crate::contract_suite! { oauth:
            a_code_reads_back_with_its_grant
            a_taken_code_is_a_conflict
            a_code_is_redeemed_once
            a_code_used_twice_ends_its_grant
            racing_redemptions_give_no_working_tokens
            rotating_replaces_both_tokens
            a_refresh_token_used_twice_ends_its_grant
            only_refresh_tokens_are_rotated
            revoking_a_grant_ends_its_tokens
            grants_are_listed_by_owner
            ended_and_surplus_grants_are_removed
            a_client_reads_back
            clients_are_bounded
        }
        $crate::memory_contract_suites! {}
        $crate::contract_suite! { health:
            a_working_store_says_so
        }
    };
}

/// The suites of memory alone, as [`contract_tests!`](crate::contract_tests).
#[macro_export]
macro_rules! memory_contract_tests {
    ($make:expr) => {
        async fn contract_stores() -> $crate::contract::Stores {
            $make.await
        }
        $crate::memory_contract_suites! {}
    };
}

/// The suites of memory; used by [`contract_tests!`](crate::contract_tests).
#[doc(hidden)]
#[macro_export]
macro_rules! memory_contract_suites {
    () => {
        $crate::contract_suite! { memories:
            a_memory_reads_back
            a_taken_memory_id_is_a_conflict
            a_full_memory_stores_nothing
            another_owners_memory_does_not_exist
            memories_are_listed_in_order
            a_memory_is_replaced_once
            changes_of_memories_are_recorded_with_them
            revisions_are_never_shared
            a_forgotten_memory_is_gone
            a_memory_that_was_changed_is_not_forgotten
            concurrent_imports_store_each_memory_once
            concurrent_changes_of_one_memory_are_all_made
            messages_are_turns
        }
        $crate::contract_suite! { memory_vectors:
            vectors_of_two_spaces_are_never_mixed
            vectors_are_told_in_the_order_they_were_stored
            turns_have_vectors_as_long_as_their_session
            a_rewritten_memory_loses_its_vector
            the_nearest_come_first_and_only_the_owners
        }
    };
}

/// One module of tests; used by [`contract_tests!`](crate::contract_tests).
#[doc(hidden)]
#[macro_export]
macro_rules! contract_suite {
    ($suite:ident: $($case:ident)+) => {
        mod $suite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::contract::$suite::$case(super::contract_stores().await).await;
                }
            )+
        }
    };
}
