use uuid::Uuid;

use super::*;
use crate::decider::testing::given;

const NOW: Time = Time::from_micros(1);
const LATER: Time = Time::from_micros(2);
const UID: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);

fn spec(region: &str) -> Spec {
    Spec::Bucket(crate::kinds::bucket::Spec {
        region: region.into(),
        versioning: false,
        public_read: false,
        expire_days: 0,
    })
}

fn declare(uid: Uuid) -> Command {
    Command::Declare {
        uid,
        spec: spec("eu"),
        class: None,
        lifetime: Lifetime::Kept,
        protected: false,
        at: NOW,
    }
}

fn declared(uid: Uuid) -> Event {
    Event::Declared {
        uid,
        spec: spec("eu"),
        class: None,
        lifetime: Lifetime::Kept,
        protected: false,
        at: NOW,
    }
}

fn deletion() -> Command {
    Command::RequestDeletion { uid: None, replacement: false, at: NOW }
}

fn deleting() -> [Event; 2] {
    [declared(UID), Event::DeletionRequested { uid: UID, replacement: false, at: NOW }]
}

#[test]
fn a_declared_resource_lives() {
    given::<Resource>([]).when(declare(UID)).then([declared(UID)]);
}

#[test]
fn declaring_the_same_incarnation_twice_changes_nothing() {
    given::<Resource>([declared(UID)]).when(declare(UID)).then_nothing();
}

#[test]
fn a_taken_name_is_refused() {
    given::<Resource>([declared(UID)]).when(declare(OTHER)).then_refused("ALREADY_EXISTS");
}

#[test]
fn an_invalid_spec_is_refused() {
    let command = Command::Declare {
        uid: UID,
        spec: spec(""),
        class: None,
        lifetime: Lifetime::Kept,
        protected: false,
        at: NOW,
    };
    given::<Resource>([]).when(command).then_refused("INVALID_SPEC");
}

#[test]
fn revising_to_the_same_spec_changes_nothing() {
    given::<Resource>([declared(UID)])
        .when(Command::Revise { spec: spec("eu"), class: None, generation: None, at: NOW })
        .then_nothing();
}

#[test]
fn a_change_that_needs_a_replacement_is_refused_in_place() {
    let revise = Command::Revise { spec: spec("us"), class: None, generation: None, at: NOW };
    given::<Resource>([declared(UID)]).when(revise).then_refused("NEEDS_REPLACEMENT");
}

#[test]
fn a_protected_resource_is_not_deleted() {
    given::<Resource>([declared(UID), Event::Protected { at: NOW }])
        .when(deletion())
        .then_refused("PROTECTED");
}

#[test]
fn deleting_twice_changes_nothing() {
    given::<Resource>(deleting()).when(deletion()).then_nothing();
}

#[test]
fn a_gone_name_starts_a_new_incarnation() {
    let history = deleting().into_iter().chain([Event::Deleted { uid: UID, at: NOW }]);
    let state = given::<Resource>(history).when(declare(OTHER)).then([declared(OTHER)]);
    assert_eq!(state.uid(), Some(OTHER));
}

#[test]
fn an_incarnation_lives_once() {
    let history = deleting().into_iter().chain([Event::Deleted { uid: UID, at: NOW }]);
    given::<Resource>(history).when(declare(UID)).then_nothing();
}

#[test]
fn a_revision_of_what_was_revised_since_is_dropped() {
    let mut bigger = spec("eu");
    if let Spec::Bucket(bucket) = &mut bigger {
        bucket.versioning = true;
    }
    let revise = |generation| Command::Revise {
        spec: bigger.clone(),
        class: None,
        generation: Some(generation),
        at: NOW,
    };
    let revised = Event::Revised { generation: 2, spec: bigger.clone(), class: None, at: NOW };
    given::<Resource>([declared(UID)]).when(revise(2)).then_nothing();
    given::<Resource>([declared(UID)]).when(revise(1)).then([revised]);
}

#[test]
fn what_was_paused_can_be_resumed_while_it_is_deleted() {
    let paused = [declared(UID), Event::Paused { at: NOW }];
    let history = paused.into_iter().chain([Event::DeletionRequested {
        uid: UID,
        replacement: false,
        at: NOW,
    }]);
    given::<Resource>(history).when(Command::Resume { at: NOW }).then([Event::Resumed { at: NOW }]);
}

#[test]
fn absence_is_recorded_only_while_deleting() {
    given::<Resource>([declared(UID)])
        .when(Command::ObserveGone { uid: UID, at: NOW })
        .then_nothing();
    given::<Resource>(deleting())
        .when(Command::ObserveGone { uid: UID, at: NOW })
        .then([Event::Deleted { uid: UID, at: NOW }]);
}

#[test]
fn a_late_word_about_another_incarnation_is_dropped() {
    let ready = Command::ObserveReady {
        uid: OTHER,
        generation: 1,
        external: None,
        outputs: OutputMap::new(),
        at: NOW,
    };
    given::<Resource>([declared(UID)]).when(ready).then_nothing();
    given::<Resource>(deleting()).when(Command::ObserveGone { uid: OTHER, at: NOW }).then_nothing();
}

#[test]
fn the_same_failure_is_recorded_once() {
    let failure = Failure { class: FailureClass::Retry, message: "timeout".into() };
    let started =
        Event::ActionStarted { uid: UID, action: ActionName::Create, generation: 1, at: NOW };
    let failed = Event::ActionFailed {
        uid: UID,
        action: ActionName::Create,
        generation: 1,
        failure: failure.clone(),
        at: NOW,
    };
    let again = Command::RecordFailure {
        uid: UID,
        action: ActionName::Create,
        generation: 1,
        failure,
        at: LATER,
    };
    given::<Resource>([declared(UID), started, failed]).when(again).then_nothing();
}

#[test]
fn a_blocker_keeps_its_since_while_its_words_change() {
    let blocked = |reason: &str, since| Event::Blocked {
        uid: UID,
        blocker: Blocker { on: None, reason: reason.into(), since },
    };
    let state = Resource::fold(
        Resource::Absent,
        [declared(UID), blocked("1 of 3", NOW), blocked("2 of 3", LATER)],
    );
    assert_eq!(state.body().unwrap().blocker.as_ref().unwrap().since, NOW);
}

#[test]
fn every_event_survives_the_trip_through_its_record() {
    for event in deleting() {
        let record = crate::EventRecord::encode(&event).unwrap();
        assert_eq!(record.decode::<Event>().unwrap(), event);
    }
}

#[test]
fn a_difference_is_accepted_as_it_was_found_until_the_spec_changes() {
    let drift = |found: Option<&str>| {
        let found = found.map(str::to_owned);
        let drift = Drift { detail: "bigger".into(), by: None, found, since: NOW };
        Event::DriftDetected { uid: UID, drift }
    };
    let accept = || Command::AcceptDrift { at: LATER };
    let accepted = Event::DriftAccepted { found: "ab".into(), at: LATER };
    given::<Resource>([declared(UID), drift(Some("ab"))]).when(accept()).then([accepted.clone()]);
    given::<Resource>([declared(UID)]).when(accept()).then_nothing();
    given::<Resource>([declared(UID), drift(None)])
        .when(accept())
        .then_refused("NOTHING_TO_ACCEPT");
    let state = Resource::fold(Resource::Absent, vec![declared(UID), drift(Some("ab")), accepted]);
    assert_eq!(state.body().unwrap().accepted.as_deref(), Some("ab"));
    let revised = Event::Revised { generation: 2, spec: spec("us"), class: None, at: LATER };
    assert_eq!(Resource::fold(state, vec![revised]).body().unwrap().accepted, None);
}

#[test]
fn the_same_difference_by_the_same_hand_again_and_again_is_a_fight() {
    let seen = |by: Option<&str>, minutes: i64| Event::DriftDetected {
        uid: UID,
        drift: Drift {
            detail: "replicas".into(),
            by: by.map(str::to_owned),
            found: Some("ab".into()),
            since: Time::from_micros(minutes * 60 * 1_000_000),
        },
    };
    let fights = |history: Vec<Event>| {
        let state = Resource::fold(Resource::Absent, [vec![declared(UID)], history].concat());
        state.body().unwrap().contest.as_ref().is_some_and(Contest::is_fight)
    };
    let by_one = |count: i64, apart: i64| {
        (0..count).map(|n| seen(Some("hpa"), n * apart)).collect::<Vec<_>>()
    };
    assert!(!fights(by_one(3, 1)));
    assert!(fights(by_one(4, 1)));
    assert!(!fights(by_one(4, 11)), "each a new one");
    assert!(!fights(vec![
        seen(Some("hpa"), 1),
        seen(Some("kubectl"), 2),
        seen(Some("hpa"), 3),
        seen(Some("kubectl"), 4)
    ]));
    assert!(!fights((0..9).map(|n| seen(None, n)).collect()), "nobody to name");
    let resumed = vec![Event::Paused { at: LATER }, Event::Resumed { at: LATER }];
    assert!(!fights([by_one(4, 1), resumed].concat()), "somebody has decided");
}

fn abandon(reason: &str) -> Command {
    Command::Abandon { reason: reason.into(), at: LATER }
}

#[test]
fn what_is_being_deleted_can_be_abandoned_and_is_gone_by_that() {
    let abandoned = Event::Abandoned { uid: UID, reason: "burnt down".into(), at: LATER };
    given::<Resource>(deleting())
        .when(abandon("burnt down"))
        .then([abandoned, Event::Deleted { uid: UID, at: LATER }]);
    let [declared, requested] = deleting();
    given::<Resource>([declared, requested, Event::Deleted { uid: UID, at: LATER }])
        .when(abandon("again"))
        .then_nothing();
}

#[test]
fn nothing_is_abandoned_that_is_wanted_or_without_a_reason() {
    given::<Resource>([declared(UID)]).when(abandon("tired")).then_refused("NOT_BEING_DELETED");
    given::<Resource>([]).when(abandon("tired")).then_refused("NOT_FOUND");
    given::<Resource>(deleting()).when(abandon("  ")).then_refused("NO_REASON");
    let long = "x".repeat(REASON_MAX + 1);
    given::<Resource>(deleting()).when(abandon(&long)).then_refused("NO_REASON");
}

#[test]
fn what_cannot_be_reached_is_given_up_wanted_or_not_and_protected_or_not() {
    let leave = || Command::LeaveBehind { uid: UID, reason: "lost".into(), at: LATER };
    let abandoned = Event::Abandoned { uid: UID, reason: "lost".into(), at: LATER };
    let gone = Event::Deleted { uid: UID, at: LATER };
    let protected = Event::Protected { at: NOW };
    given::<Resource>([declared(UID), protected])
        .when(leave())
        .then([abandoned.clone(), gone.clone()]);
    given::<Resource>(deleting()).when(leave()).then([abandoned, gone.clone()]);
    given::<Resource>([declared(UID), gone, declared(OTHER)]).when(leave()).then_nothing();
}

fn notice(reason: &str, about: &str) -> Notice {
    Notice { reason: reason.into(), about: about.into(), message: "m".into(), at: NOW }
}

fn notices(notices: &[Notice]) -> Command {
    Command::ObserveNotices { uid: UID, notices: notices.to_vec() }
}

#[test]
fn each_warning_is_noted_once_whoever_of_the_replicas_it_is_about() {
    let (first, second) = (notice("BackOff", "Pod web-1"), notice("BackOff", "Pod web-2"));
    let other = notice("FailedCreate", "ReplicaSet web");
    let noticed = |notices: &[Notice]| Event::Noticed { uid: UID, notices: notices.to_vec() };
    given::<Resource>([declared(UID)])
        .when(notices(&[first.clone(), second.clone()]))
        .then([noticed(std::slice::from_ref(&first))]);
    given::<Resource>([declared(UID), noticed(std::slice::from_ref(&first))])
        .when(notices(&[second.clone(), other.clone()]))
        .then([noticed(&[other])]);
    given::<Resource>([declared(UID), noticed(&[first])]).when(notices(&[second])).then_nothing();
}

#[test]
fn what_is_ready_is_not_warned_of_and_no_more_is_noted_than_there_is_room_for() {
    let many: Vec<Notice> =
        (0..2 * NOTICES_MAX).map(|number| notice(&format!("R{number}"), "Pod web")).collect();
    let noticed = Event::Noticed { uid: UID, notices: many[..NOTICES_MAX].to_vec() };
    given::<Resource>([declared(UID)]).when(notices(&many)).then([noticed.clone()]);
    given::<Resource>([declared(UID), noticed.clone()]).when(notices(&many)).then_nothing();
    let ready = Event::BecameReady { uid: UID, generation: 1, external: None, at: LATER };
    given::<Resource>([declared(UID), noticed, ready.clone()]).when(notices(&many)).then_nothing();
    // What was warned of before it was ready may be warned of again.
    let unready = Event::BecameUnready { uid: UID, reason: "r".into(), at: LATER };
    given::<Resource>([declared(UID), ready, unready])
        .when(notices(&many[..1]))
        .then([Event::Noticed { uid: UID, notices: many[..1].to_vec() }]);
}
