//! The one write path, against a log that fails where it can.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::commit::{EventRecord, Hash};
use futures::FutureExt as _;
use futures::executor::block_on;
use futures::future::join_all;
use journal::memory::MemoryJournal;
use journal::testing::{
    Call, Crashed, Fault, Faulty, Tally, TallyCommand, TallyEvent, add, commit, context, stream,
};
use journal::{ExecuteError, Executor, Journal, Position, Settings, Token};
use serde_json::value::RawValue;

fn executor(journal: impl Journal) -> Executor {
    Executor::new(Arc::new(journal))
}

/// Fails the first `count` calls that `applies` to.
fn failing(
    inner: &MemoryJournal,
    fault: Fault,
    count: usize,
    applies: fn(&Call) -> bool,
) -> Arc<Faulty> {
    let left = AtomicUsize::new(count);
    Faulty::new(Arc::new(inner.clone()), move |call| {
        let fails = applies(call)
            && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        fails.then_some(fault)
    })
}

fn is_append(call: &Call) -> bool {
    matches!(call, Call::Append(_))
}

#[test]
fn a_command_becomes_a_commit_of_its_events() {
    let executor = executor(MemoryJournal::new());
    let a = stream("a");
    let executed = block_on(executor.execute::<Tally>(&a, add(3), context(1))).unwrap();
    assert_eq!(executed.events, [TallyEvent::Added { number: 3 }]);
    assert_eq!((executed.version, executed.state.sum, executed.repeated), (1, 3, false));
    let stored = block_on(executor.journal().find(&a, context(1).commit_id)).unwrap().unwrap();
    assert_eq!(stored.position, executed.position);
    let commit = &stored.sealed.commit;
    assert_eq!((commit.command.as_str(), &commit.stream), ("Add", &a));
    assert_eq!(commit.command_hash, Hash::of(br#"{"Add":{"number":3}}"#));
}

#[test]
fn a_repeated_command_is_answered_as_the_first_time() {
    let journal = MemoryJournal::new();
    let first_executor = executor(journal.clone());
    let a = stream("a");
    let reach = || TallyCommand::Reach { sum: 900 };
    let first = block_on(first_executor.execute::<Tally>(&a, reach(), context(1))).unwrap();
    block_on(first_executor.execute::<Tally>(&a, add(50), context(2))).unwrap();
    // A no-op by now, in this process and in another one.
    for executor in [first_executor, executor(journal)] {
        let again = block_on(executor.execute::<Tally>(&a, reach(), context(1))).unwrap();
        assert!(again.repeated);
        assert_eq!(
            (again.position, again.version, &again.events),
            (first.position, 1, &first.events)
        );
        assert_eq!(again.state.sum, 950);
    }
}

#[test]
fn a_repeated_command_that_would_be_refused_by_now_is_answered_as_the_first_time() {
    let executor = executor(MemoryJournal::new());
    let a = stream("a");
    let first = block_on(executor.execute::<Tally>(&a, add(600), context(1))).unwrap();
    let again = block_on(executor.execute::<Tally>(&a, add(600), context(1))).unwrap();
    assert!(again.repeated && again.position == first.position);
    let other = block_on(executor.execute::<Tally>(&a, add(600), context(2)));
    assert!(matches!(other, Err(ExecuteError::Rejected(_))), "{other:?}");
}

#[test]
fn a_repeated_command_that_would_have_events_adds_none() {
    let executor = executor(MemoryJournal::new());
    let a = stream("a");
    for _ in 0..3 {
        let executed = block_on(executor.execute::<Tally>(&a, add(1), context(1))).unwrap();
        assert_eq!((executed.version, executed.state.sum), (1, 1));
    }
    let next = block_on(executor.execute::<Tally>(&a, add(1), context(2))).unwrap();
    assert_eq!((next.version, next.state.sum), (2, 2));
}

#[test]
fn a_key_of_another_command_or_stream_is_refused() {
    let executor = executor(MemoryJournal::new());
    let a = stream("a");
    block_on(executor.execute::<Tally>(&a, add(1), context(1))).unwrap();
    for (stream, command) in [(&a, add(2)), (&stream("b"), add(1)), (&a, add(0)), (&a, add(1_000))]
    {
        let answer = block_on(executor.execute::<Tally>(stream, command, context(1)));
        assert!(matches!(answer, Err(ExecuteError::KeyReused { .. })), "{answer:?}");
    }
}

#[test]
fn a_request_is_known_by_its_digest_though_the_server_adds_a_new_time_to_each_try() {
    let executor = executor(MemoryJournal::new());
    let (a, request) = (stream("a"), Hash::of(b"what the client sent"));
    let first = block_on(executor.execute_keyed::<Tally>(&a, add(1), context(1), request)).unwrap();
    let again = block_on(executor.execute_keyed::<Tally>(&a, add(2), context(1), request)).unwrap();
    assert!(again.repeated && again.position == first.position);
    let other = Hash::of(b"another request");
    let answer = block_on(executor.execute_keyed::<Tally>(&a, add(1), context(1), other));
    assert!(matches!(answer, Err(ExecuteError::KeyReused { .. })));
}

#[test]
fn a_command_with_nothing_to_do_tells_the_position_that_already_says_so() {
    let executor = executor(MemoryJournal::new());
    let a = stream("a");
    let nothing = block_on(executor.execute::<Tally>(&a, add(0), context(1))).unwrap();
    assert_eq!((nothing.position, nothing.version), (Position::START, 0));
    let first = block_on(executor.execute::<Tally>(&a, add(1), context(2))).unwrap();
    block_on(executor.execute::<Tally>(&stream("b"), add(1), context(3))).unwrap();
    let nothing = block_on(executor.execute::<Tally>(&a, add(0), context(4))).unwrap();
    assert_eq!((nothing.position, nothing.version), (first.position, 1));
}

#[test]
fn two_processes_on_one_stream_both_get_their_way() {
    let journal = MemoryJournal::new();
    let executors = [executor(journal.clone()), executor(journal.clone())];
    let a = stream("a");
    for n in 0..40 {
        let executor = &executors[n % 2];
        block_on(executor.execute::<Tally>(&a, add(1), context(n as u128 + 1))).unwrap();
    }
    let folded = block_on(executors[0].load_state::<Tally>(&a)).unwrap();
    assert_eq!((folded.version, folded.state.sum), (40, 40));
}

#[test]
fn a_refusal_is_never_told_from_a_state_that_others_left_behind() {
    let journal = MemoryJournal::new();
    let (one, other) = (executor(journal.clone()), executor(journal));
    let a = stream("a");
    block_on(one.execute::<Tally>(&a, add(1), context(1))).unwrap();
    block_on(other.execute::<Tally>(&a, add(899), context(2))).unwrap();
    let reach = TallyCommand::Reach { sum: 900 };
    let nothing = block_on(one.execute::<Tally>(&a, reach, context(3))).unwrap();
    assert_eq!((nothing.version, nothing.state.sum), (2, 900));
    assert!(nothing.events.is_empty());
}

#[test]
fn many_commands_at_once_are_each_carried_out_once() {
    let executor = executor(MemoryJournal::new());
    let a = stream("a");
    let all = (1..=200).map(|id| executor.execute::<Tally>(&a, add(1), context(id)));
    let mut versions: Vec<_> =
        block_on(join_all(all)).into_iter().map(|e| e.unwrap().version).collect();
    versions.sort_unstable();
    assert!(versions.into_iter().eq(1..=200));
}

#[test]
fn a_lost_reply_is_resolved_by_reading_back() {
    for fault in [Fault::LoseReply, Fault::LoseRequest] {
        let journal = MemoryJournal::new();
        let executor = Executor::new(failing(&journal, fault, 3, is_append));
        let a = stream("a");
        let executed = block_on(executor.execute::<Tally>(&a, add(1), context(1))).unwrap();
        assert_eq!((executed.version, executed.repeated), (1, false));
        let next = block_on(executor.execute::<Tally>(&a, add(1), context(2))).unwrap();
        assert_eq!((next.version, next.state.sum), (2, 2));
    }
}

#[test]
fn an_outcome_that_stays_unknown_is_told_as_such_and_known_by_repeating() {
    let journal = MemoryJournal::new();
    let broken = Executor::new(failing(&journal, Fault::LoseReply, usize::MAX, is_append));
    let a = stream("a");
    let answer = block_on(broken.execute::<Tally>(&a, add(1), context(1)));
    assert!(matches!(answer, Err(ExecuteError::OutcomeUnknown { .. })), "{answer:?}");
    let healed = executor(journal);
    let again = block_on(healed.execute::<Tally>(&a, add(1), context(1))).unwrap();
    assert!(again.repeated && again.version == 1);
}

#[test]
fn what_was_not_stored_is_said_to_be_retriable() {
    let journal = MemoryJournal::new();
    let executor = Executor::new(failing(&journal, Fault::Unavailable, 1, is_append));
    let a = stream("a");
    let answer = block_on(executor.execute::<Tally>(&a, add(1), context(1)));
    assert!(matches!(answer, Err(ExecuteError::Unavailable { .. })), "{answer:?}");
    assert!(!block_on(executor.execute::<Tally>(&a, add(1), context(1))).unwrap().repeated);
}

#[test]
fn a_stale_replica_misleads_nobody() {
    let journal = MemoryJournal::new();
    let a = stream("a");
    block_on(executor(journal.clone()).execute::<Tally>(&a, add(500), context(1))).unwrap();
    block_on(executor(journal.clone()).execute::<Tally>(&a, add(400), context(2))).unwrap();
    let is_load = |call: &Call| matches!(call, Call::Load(_));
    for (id, number) in [(3, 50), (4, 0), (5, 500)] {
        let executor = Executor::new(failing(&journal, Fault::Stale(1), 2, is_load));
        let answer = block_on(executor.execute::<Tally>(&a, add(number), context(id)));
        match number {
            500 => assert!(matches!(answer, Err(ExecuteError::Rejected(_)))),
            _ => assert_eq!(answer.unwrap().state.sum, 950),
        }
    }
}

#[test]
fn a_stream_that_always_changes_first_is_told_as_contended() {
    let journal = MemoryJournal::new();
    let rival = executor(journal.clone());
    let (a, id) = (stream("a"), AtomicUsize::new(100));
    let rivalled = Faulty::new(Arc::new(journal), move |call| {
        if let Call::Append(stream) = call {
            let id = id.fetch_add(1, Ordering::SeqCst) as u128;
            let rivals = rival.execute::<Tally>(stream, add(1), context(id));
            rivals.now_or_never().unwrap().unwrap();
        }
        None
    });
    let answer = block_on(Executor::new(rivalled).execute::<Tally>(&a, add(1), context(1)));
    assert!(matches!(answer, Err(ExecuteError::Contended { tries: 5 })), "{answer:?}");
}

#[test]
fn a_crash_before_or_after_an_append_is_a_command_carried_out_once() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        let journal = MemoryJournal::new();
        let faulty = failing(&journal, fault, 1, is_append);
        let a = stream("a");
        let dying = Executor::new(Arc::clone(&faulty) as Arc<dyn Journal>);
        let crashed = block_on(faulty.run(dying.execute::<Tally>(&a, add(1), context(1))));
        assert!(matches!(crashed, Err(Crashed)));
        let restarted = Executor::new(faulty);
        let executed = block_on(restarted.execute::<Tally>(&a, add(1), context(1))).unwrap();
        assert_eq!((executed.version, executed.state.sum), (1, 1));
        assert_eq!(executed.repeated, fault == Fault::CrashAfter);
        // The process that was given up for dead may come back: what it keeps does not mislead it.
        let next = block_on(dying.execute::<Tally>(&a, add(1), context(2))).unwrap();
        assert_eq!((next.version, next.state.sum), (2, 2));
    }
}

#[test]
fn an_old_state_is_folded_from_event_one() {
    let executor = executor(MemoryJournal::new());
    let a = stream("a");
    for id in 1..=10 {
        block_on(executor.execute::<Tally>(&a, add(10), context(id))).unwrap();
    }
    let at = |version| block_on(executor.load_state_at_version::<Tally>(&a, version)).unwrap();
    assert_eq!(at(4).unwrap().state.sum, 40);
    assert!(at(11).is_none());
    let half = block_on(executor.fold_until::<Tally>(&a, |tally, _| tally.sum >= 50)).unwrap();
    assert_eq!(half.unwrap().version, 5);
}

#[test]
fn an_event_of_an_old_schema_is_lifted_before_it_is_decoded() {
    fn upcast(kind: &str, record: EventRecord) -> EventRecord {
        match (kind, record.event_type.as_str(), record.schema) {
            ("tally", "Added", 0) => EventRecord {
                schema: 1,
                data: RawValue::from_string(record.data.get().replace("n\":", "number\":"))
                    .unwrap(),
                ..record
            },
            _ => record,
        }
    }
    let journal = MemoryJournal::new();
    let a = stream("a");
    let mut old = commit(&a, 1, None, &[1]).commit.clone();
    let data = RawValue::from_string(r#"{"n":41}"#.into()).unwrap();
    old.events = vec![EventRecord { event_type: "Added".into(), schema: 0, data }];
    let old = Arc::new(old.seal().unwrap());
    block_on(journal.append(Token::EMPTY, old)).unwrap();

    let settings = Settings { upcast, ..Settings::default() };
    let newer = Executor::with(Arc::new(journal.clone()), settings);
    let executed = block_on(newer.execute::<Tally>(&a, add(1), context(2))).unwrap();
    assert_eq!(executed.state.sum, 42);
    let without = block_on(executor(journal).execute::<Tally>(&a, add(1), context(3)));
    assert!(matches!(without, Err(ExecuteError::Log(_))), "{without:?}");
}

#[test]
fn more_streams_than_are_kept_at_hand_are_read_again() {
    let settings = Settings { states_max: 4, ..Settings::default() };
    let executor = Executor::with(Arc::new(MemoryJournal::new()), settings);
    for round in 1..=3 {
        for n in 0..20_u128 {
            let stream = stream(&format!("s{n}"));
            let id = context(round * 100 + n);
            let executed = block_on(executor.execute::<Tally>(&stream, add(1), id)).unwrap();
            assert_eq!(u128::from(executed.version), round);
        }
    }
}
