//! The contract once more, on a real server where `EVENTSTORE_URL` names one. It is an addition: the contract on the
//! server in this process always runs, and the documents say which of the two has been run.

use journal::conformance as contract;

use crate::place::Real;

type Test = fn(&Real);

#[test]
fn the_contract_also_holds_on_a_real_server_where_one_is_named() {
    let tests: [(&str, Test); 14] = [
        ("all or nothing", contract::appends_are_all_or_nothing),
        ("conflicts", contract::an_append_conflicts_if_and_only_if_the_token_moved),
        ("same id", contract::the_same_id_gives_the_same_position_for_ever),
        ("id before conflict", contract::an_id_known_already_outranks_a_conflict),
        ("id elsewhere", contract::an_id_of_another_stream_is_not_stored_again),
        ("continuity", contract::a_commit_that_does_not_continue_its_stream_is_refused),
        ("writers", contract::concurrent_writers_on_one_stream_leave_no_gap),
        ("following", contract::a_follower_sees_history_and_then_what_comes),
        ("resuming", contract::a_follower_resumes_anywhere),
        ("ahead", contract::a_follower_ahead_of_the_log_is_told_so),
        ("loading", contract::load_is_contiguous),
        ("head", contract::the_head_never_moves_back),
        ("reopening", contract::everything_is_there_after_reopening),
        ("streams", contract::streams_do_not_disturb_each_other),
    ];
    for (what, test) in tests {
        let Some(place) = Real::named() else { return };
        eprintln!("on the real server: {what}");
        test(&place);
    }
}
