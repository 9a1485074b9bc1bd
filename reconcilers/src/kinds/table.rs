//! The situations every kind can be in, and the step for each; and that the steps come to an end.

use domain::commit::Hash;
use domain::kinds::KindName;
use domain::lifecycle::{ActionName, Command, Lifetime, Notice};
use domain::text::{Inputs, OutputMap};
use domain::{Decider as _, Resource, Time};
use proptest::prelude::*;
use uuid::Uuid;

use crate::converge::{Call, Changed, Desired, Seen, SeenState, converge};
use crate::reconcile::{Reconcile, Step, Subject, Waiting};

const NOW: Time = Time::from_micros(1);
const UID: Uuid = Uuid::from_u128(1);

fn given(commands: Vec<Command>) -> Resource {
    commands.into_iter().fold(Resource::Absent, |state, command| {
        let events = Resource::decide(&state, command).unwrap();
        Resource::fold(state, events)
    })
}

fn declare<K: Reconcile>(doc: &serde_json::Value) -> Command {
    let spec = KindName::parse(K::NAME).unwrap().read_spec(doc.clone()).unwrap();
    let lifetime = Lifetime::Kept;
    Command::Declare { uid: UID, spec, class: None, lifetime, protected: false, at: NOW }
}

fn start(action: ActionName) -> Command {
    Command::StartAction { uid: UID, action, generation: 1, at: NOW }
}

fn succeed(action: ActionName) -> Command {
    Command::RecordSuccess { uid: UID, action, generation: 1, external: None, at: NOW }
}

fn ready() -> Command {
    let outputs = OutputMap::new();
    Command::ObserveReady { uid: UID, generation: 1, external: None, outputs, at: NOW }
}

fn delete() -> Command {
    Command::RequestDeletion { uid: None, replacement: false, at: NOW }
}

fn step<K>(resource: &Resource, seen: Option<Seen>, unmet: Option<&Waiting>) -> Step<Call>
where
    K: Reconcile<Observed = Option<Seen>, Call = Call>,
{
    step_with::<K>(resource, seen, unmet, false)
}

fn step_with<K>(
    resource: &Resource,
    seen: Option<Seen>,
    unmet: Option<&Waiting>,
    accepts_drift: bool,
) -> Step<Call>
where
    K: Reconcile<Observed = Option<Seen>, Call = Call>,
{
    let spec = match resource {
        Resource::Live(body) | Resource::Deleting(body, _) => &body.spec,
        Resource::Gone(grave) => &grave.spec,
        Resource::Absent => panic!("nothing is declared"),
    };
    let subject: Subject<'_, K> = Subject {
        resource,
        spec: K::of(spec).unwrap(),
        unmet,
        dependent: None,
        unneeded: false,
        accepts_drift,
        at: NOW,
    };
    assert_eq!(
        K::next(&subject, &Inputs::default(), &seen),
        converge(&subject, &Inputs::default(), &seen)
    );
    K::next(&subject, &Inputs::default(), &seen)
}

fn wanted<K: Reconcile>(doc: &serde_json::Value) -> Desired {
    let spec = KindName::parse(K::NAME).unwrap().read_spec(doc.clone()).unwrap();
    Desired::new(K::desired(K::of(&spec).unwrap(), &Inputs::default()).unwrap())
}

fn seen(digest: Hash, state: SeenState) -> Option<Seen> {
    Some(Seen::new(digest, state))
}

/// A word for a step.
fn word(step: &Step<Call>) -> String {
    let call = |call: &Call| match call {
        Call::Create { .. } => "create",
        Call::Update(_) => "update",
        Call::Delete => "delete",
        Call::Canary { .. } | Call::Measure { .. } | Call::RemoveCanary => "of a canary",
    };
    let command = |command: &Command| {
        let json = serde_json::to_string(command).unwrap();
        json.split('"').nth(1).unwrap().to_owned()
    };
    match step {
        Step::Perform(c) => call(c).into(),
        Step::PerformThenRecord(c, then) => format!("{} then {}", call(c), command(then)),
        Step::Record(c) => command(c),
        Step::Wait(_) => "wait".into(),
        Step::Settled => "settled".into(),
    }
}

/// Checks a kind's steps by one of its specs that refers to nothing.
pub(super) fn check<K>(doc: serde_json::Value)
where
    K: Reconcile<Observed = Option<Seen>, Call = Call>,
{
    use ActionName::{Create, Delete, Update};
    let ours = wanted::<K>(&doc).digest;
    let other = Hash::of(b"other");
    let declared = || declare::<K>(&doc);
    let made = || vec![declared(), start(Create), succeed(Create)];
    let live = || made().into_iter().chain([ready()]).collect::<Vec<_>>();
    let with = |more: Vec<Command>| live().into_iter().chain(more).collect::<Vec<_>>();
    let pending = || SeenState::Pending("soon".into());
    let rows = [
        ("nothing there", vec![declared()], None, "StartAction"),
        ("announced", vec![declared(), start(Create)], None, "create then RecordSuccess"),
        (
            "found after a crash",
            vec![declared(), start(Create)],
            seen(ours, pending()),
            "RecordSuccess",
        ),
        ("on its way", made(), seen(ours, pending()), "wait"),
        ("ready", made(), seen(ours, SeenState::Ready), "ObserveReady"),
        ("settled", live(), seen(ours, SeenState::Ready), "settled"),
        ("unwell", live(), seen(ours, pending()), "ObserveUnready"),
        ("failed for good", made(), seen(ours, SeenState::Failed("no".into())), "RecordFailure"),
        ("otherwise than wanted", live(), seen(other, SeenState::Ready), "StartAction"),
        (
            "announced change",
            with(vec![start(Update)]),
            seen(other, SeenState::Ready),
            "update then RecordSuccess",
        ),
        ("vanished", live(), None, "ObserveDrift"),
        (
            "paused",
            with(vec![Command::Pause { at: NOW }]),
            seen(other, SeenState::Ready),
            "settled",
        ),
        ("unwanted", with(vec![delete()]), seen(ours, SeenState::Ready), "StartAction"),
        (
            "unwanted, announced",
            with(vec![delete(), start(Delete)]),
            seen(ours, SeenState::Ready),
            "delete then ObserveGone",
        ),
        ("unwanted, unseen", with(vec![delete(), start(Delete)]), None, "delete then ObserveGone"),
        ("paused, unwanted", with(vec![Command::Pause { at: NOW }, delete()]), None, "wait"),
        (
            "gone, yet there",
            with(vec![delete(), Command::ObserveGone { uid: UID, at: NOW }]),
            seen(ours, SeenState::Ready),
            "delete",
        ),
        ("gone", with(vec![delete(), Command::ObserveGone { uid: UID, at: NOW }]), None, "settled"),
    ];
    expect::<K, _>(rows);
    expect::<K, _>(drifted::<K>(&doc));
    expect::<K, _>(warned::<K>(&doc));
    let gone = given(vec![declared(), delete(), Command::ObserveGone { uid: UID, at: NOW }]);
    accepts_drift::<K>(&doc);
    let borrowed = Some(Seen { borrowed: true, ..seen(ours, SeenState::Ready).unwrap() });
    assert_eq!(step::<K>(&gone, borrowed, None), Step::Settled, "another's stays");
    let need = Waiting::because("a need");
    assert_eq!(step::<K>(&given(vec![declared()]), None, Some(&need)), Step::Wait(need));
    settles::<K>(&doc);
}

/// A situation, what led to it, what is seen, and the step that is due.
type Row = (&'static str, Vec<Command>, Option<Seen>, &'static str);

fn expect<K, const N: usize>(rows: [Row; N])
where
    K: Reconcile<Observed = Option<Seen>, Call = Call>,
{
    for (situation, history, seen, expected) in rows {
        let step = step::<K>(&given(history), seen, None);
        assert_eq!(word(&step), expected, "{situation}");
    }
}

/// What was ready, and was changed by somebody else.
fn drifted<K>(doc: &serde_json::Value) -> [Row; 4]
where
    K: Reconcile<Observed = Option<Seen>, Call = Call>,
{
    let (ours, other) = (wanted::<K>(doc).digest, Hash::of(b"other"));
    let thing = || Some(Seen { actual: other, ..seen(ours, SeenState::Ready).unwrap() });
    let with = |more: Vec<Command>| {
        let made = [declare::<K>(doc), start(ActionName::Create), succeed(ActionName::Create)];
        made.into_iter().chain([ready()]).chain(more).collect::<Vec<_>>()
    };
    let accepted = |found: Hash| {
        let (detail, found) = ("bigger".into(), Some(found.to_hex()));
        let differs = Command::ObserveDrift { uid: UID, detail, by: None, found, at: NOW };
        with(vec![differs, Command::AcceptDrift { at: NOW }])
    };
    let paused = with(vec![Command::Pause { at: NOW }]);
    [
        ("changed by somebody", with(Vec::new()), thing(), "ObserveDrift"),
        ("paused, changed by somebody", paused, thing(), "ObserveDrift"),
        ("changed, accepted", accepted(other), thing(), "settled"),
        ("accepted, changed again", accepted(ours), thing(), "ObserveDrift"),
    ]
}

/// What somebody changes is noted and stays, where the class says so; what somebody deletes is made again.
fn accepts_drift<K>(doc: &serde_json::Value)
where
    K: Reconcile<Observed = Option<Seen>, Call = Call>,
{
    let (ours, other) = (wanted::<K>(doc).digest, Hash::of(b"other"));
    let thing = || Some(Seen { actual: other, ..seen(ours, SeenState::Ready).unwrap() });
    let made = [declare::<K>(doc), start(ActionName::Create), succeed(ActionName::Create), ready()];
    let mut resource = given(made.into());
    let mut steps = Vec::new();
    for _ in 0..3 {
        let step = step_with::<K>(&resource, thing(), None, true);
        steps.push(word(&step));
        if let Step::Record(command) = step {
            let events = Resource::decide(&resource, command).unwrap();
            resource = Resource::fold(resource, events);
        }
    }
    assert_eq!(steps, ["ObserveDrift", "AcceptDrift", "settled"]);
    assert_eq!(word(&step_with::<K>(&resource, None, None, true)), "ObserveDrift", "it is gone");
}

/// What its world warns of: noted once while it is not ready, and not at all when it is.
fn warned<K>(doc: &serde_json::Value) -> [Row; 3]
where
    K: Reconcile<Observed = Option<Seen>, Call = Call>,
{
    let notice = Notice {
        reason: "FailedScheduling".into(),
        about: "Pod web-1".into(),
        message: "0/3 nodes".into(),
        at: NOW,
    };
    let notices = vec![notice];
    let thing = |state| {
        let seen = seen(wanted::<K>(doc).digest, state).unwrap();
        Some(Seen { notices: notices.clone(), ..seen })
    };
    let pending = || SeenState::Pending("soon".into());
    let made = || vec![declare::<K>(doc), start(ActionName::Create), succeed(ActionName::Create)];
    let noted = Command::ObserveNotices { uid: UID, notices: notices.clone() };
    let noted: Vec<_> = made().into_iter().chain([noted]).collect();
    let live = made().into_iter().chain([ready()]).collect();
    [
        ("warned of while on its way", made(), thing(pending()), "ObserveNotices"),
        ("warned of already", noted, thing(pending()), "wait"),
        ("warned of though ready", live, thing(SeenState::Ready), "settled"),
    ]
}

/// A world of one thing that does as it is told at once.
struct Toy {
    thing: Option<Seen>,
}

impl Toy {
    fn perform(&mut self, call: &Call) {
        match call {
            Call::Create { .. } if self.thing.is_some() => {}
            Call::Create { desired, .. } | Call::Update(desired) => {
                self.thing = seen(desired.digest, SeenState::Ready);
            }
            Call::Delete => self.thing = None,
            Call::Canary { .. } | Call::Measure { .. } | Call::RemoveCanary => {
                panic!("without a strategy of its own nothing is tried")
            }
        }
    }
}

/// From any situation, following the steps comes to an end, and stays there (invariant 14).
fn settles<K>(doc: &serde_json::Value)
where
    K: Reconcile<Observed = Option<Seen>, Call = Call>,
{
    let commands = prop::collection::vec(0_usize..8, 0..12);
    let things = (0_u8..3, 0_u8..3, 0_u8..4);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(64));
    runner
        .run(&(commands, things), |(commands, (applied, actual, state))| {
            let ours = wanted::<K>(doc).digest;
            let mut resource = given(vec![declare::<K>(doc)]);
            for index in commands {
                let all = [
                    start(ActionName::Create),
                    succeed(ActionName::Create),
                    start(ActionName::Update),
                    ready(),
                    Command::ObserveUnready { uid: UID, reason: "x".into(), at: NOW },
                    Command::ObserveDrift {
                        uid: UID,
                        detail: "x".into(),
                        by: None,
                        found: None,
                        at: NOW,
                    },
                    delete(),
                    start(ActionName::Delete),
                ];
                let events = Resource::decide(&resource, all[index].clone()).unwrap_or_default();
                resource = Resource::fold(resource, events);
            }
            let digest = |n| if n == 0 { ours } else { Hash::of(&[n]) };
            let changed = Changed { detail: "x".into(), by: Some("somebody".into()) };
            let thing = (state != 3).then(|| Seen {
                actual: digest(actual),
                changed: (actual != applied).then_some(changed),
                ..seen(digest(applied), SeenState::Ready).unwrap()
            });
            let mut toy = Toy { thing };
            for _ in 0..16 {
                match step::<K>(&resource, toy.thing.clone(), None) {
                    Step::Settled => return Ok(()),
                    Step::Perform(call) => toy.perform(&call),
                    Step::PerformThenRecord(call, command) => {
                        toy.perform(&call);
                        let events = Resource::decide(&resource, command).unwrap();
                        resource = Resource::fold(resource, events);
                    }
                    Step::Record(command) => {
                        let events = Resource::decide(&resource, command).unwrap();
                        prop_assert!(!events.is_empty(), "a step that changes nothing");
                        resource = Resource::fold(resource, events);
                    }
                    Step::Wait(waiting) => prop_assert!(false, "waits: {waiting:?}"),
                }
            }
            prop_assert!(false, "it does not settle: {resource:?}");
            Ok(())
        })
        .unwrap();
}
