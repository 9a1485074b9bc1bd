use domain::Decider as _;
use domain::lifecycle::{ActionName, Failure};
use domain::plan::{Header, Pins, Purpose, ResourcePin};
use domain::text::OutputMap;

use super::*;

const NOW: Time = Time::from_micros(1_000);
const TIMEOUT: i64 = 100;
const PLAN: Uuid = Uuid::from_u128(7);

fn id(text: &str) -> ResourceId {
    text.parse().unwrap()
}

fn owned() -> Lifetime {
    Lifetime::Deployment("dev_shop".parse().unwrap())
}

fn bucket(region: &str, days: u32) -> Spec {
    let spec = serde_json::json!({"region": region, "expire_days": days});
    domain::KindName::Bucket.read_spec(spec).unwrap()
}

fn step(name: &str, action: StepAction, after: &[u32]) -> Step {
    Step {
        resource: id(name),
        spec: (action != StepAction::Delete).then(|| bucket("eu", 0)),
        action,
        class: None,
        lifetime: owned(),
        protected: false,
        after: after.to_vec(),
        why: Vec::new(),
        changes: Vec::new(),
    }
}

fn plan(steps: Vec<Step>) -> Plan {
    let header = Header {
        deployment: "dev_shop".parse().unwrap(),
        application: "shop".parse().unwrap(),
        environment: "dev".parse().unwrap(),
        revision: 1,
        purpose: Purpose::Deploy,
        pins: Pins::default(),
        placement: None,
        notes: Vec::new(),
    };
    Plan { header, steps }
}

fn uid(name: &str) -> Uuid {
    Uuid::new_v5(&Uuid::nil(), name.as_bytes())
}

fn given(commands: Vec<Command>) -> Resource {
    commands.into_iter().fold(Resource::Absent, |state, command| {
        Resource::fold(state.clone(), Resource::decide(&state, command).unwrap())
    })
}

fn declared(name: &str, spec: Spec) -> Vec<Command> {
    let at = Time::from_micros(950);
    let (uid, lifetime) = (uid(name), owned());
    vec![Command::Declare { uid, spec, class: None, lifetime, protected: false, at }]
}

fn then(mut history: Vec<Command>, more: Vec<Command>) -> Resource {
    history.extend(more);
    given(history)
}

fn ready(name: &str) -> Command {
    let (uid, at, outputs) = (uid(name), Time::from_micros(960), OutputMap::new());
    Command::ObserveReady { uid, generation: 1, external: None, outputs, at }
}

/// Its creation fails for good.
fn fails(message: &str) -> Vec<Command> {
    let (uid, action, generation, at) = (uid(A), ActionName::Create, 1, NOW);
    let failure = Failure { class: FailureClass::Terminal, message: message.into() };
    vec![
        Command::StartAction { uid, action, generation, at },
        Command::RecordFailure { uid, action, generation, failure, at },
    ]
}

fn delete(replacement: bool) -> Command {
    Command::RequestDeletion { uid: None, replacement, at: Time::from_micros(970) }
}

fn gone(name: &str) -> Command {
    Command::ObserveGone { uid: uid(name), at: Time::from_micros(980) }
}

fn run(plan: &Plan, states: Vec<(&str, Resource)>) -> Verdict {
    run_with(plan, states, &[])
}

fn run_with(plan: &Plan, states: Vec<(&str, Resource)>, members: &[&str]) -> Verdict {
    let members = members.iter().copied().map(id).collect();
    let states = states.into_iter().map(|(name, state)| (id(name), state)).collect();
    judge(&Run {
        plan,
        plan_id: PLAN,
        members: &members,
        states: &states,
        started_at: Time::from_micros(940),
        timeout_micros: TIMEOUT,
        now: NOW,
    })
}

/// The verdict in a word, and on what.
fn word(verdict: &Verdict) -> String {
    let command = |(id, command): &(ResourceId, Command)| {
        let json = serde_json::to_string(command).unwrap();
        format!("{} {id}", json.split('"').nth(1).unwrap())
    };
    match verdict {
        Verdict::Done => "done".into(),
        Verdict::Failed(reason) => format!("failed: {reason}"),
        Verdict::Intend(intents) => intents.iter().map(command).collect::<Vec<_>>().join(", "),
        Verdict::Wait { waiting, .. } => format!("wait {}: {}", waiting.resource, waiting.reason),
    }
}

const A: &str = "bucket/dev_shop_a";
const B: &str = "bucket/dev_shop_b";

#[test]
fn creations_are_declared_at_once_and_each_waits_for_itself() {
    let plan = plan(vec![step(A, StepAction::Create, &[]), step(B, StepAction::Create, &[0])]);
    assert_eq!(word(&run(&plan, vec![])), format!("Declare {A}, Declare {B}"));
    let live =
        || vec![(A, given(declared(A, bucket("eu", 0)))), (B, given(declared(B, bucket("eu", 0))))];
    assert_eq!(word(&run(&plan, live())), format!("wait {A}: it is not ready yet"));
    let done = |name| then(declared(name, bucket("eu", 0)), vec![ready(name)]);
    assert_eq!(run(&plan, vec![(A, done(A)), (B, done(B))]), Verdict::Done);
}

#[test]
fn a_change_waits_until_what_comes_before_it_is_ready() {
    let plan = plan(vec![step(A, StepAction::Change, &[]), step(B, StepAction::Change, &[0])]);
    let old = |name| then(declared(name, bucket("eu", 9)), vec![ready(name)]);
    assert_eq!(word(&run(&plan, vec![(A, old(A)), (B, old(B))])), format!("Revise {A}"));
    let revise =
        Command::Revise { spec: bucket("eu", 0), class: None, generation: Some(1), at: NOW };
    let revised = then(declared(A, bucket("eu", 9)), vec![ready(A), revise]);
    let waits = run(&plan, vec![(A, revised), (B, old(B))]);
    assert_eq!(word(&waits), format!("wait {A}: it is not ready yet"));
    let done = then(declared(A, bucket("eu", 0)), vec![ready(A)]);
    assert_eq!(word(&run(&plan, vec![(A, done), (B, old(B))])), format!("Revise {B}"));
}

#[test]
fn a_replacement_deletes_the_pinned_incarnation_and_declares_another() {
    let mut plan = plan(vec![step(A, StepAction::Replace { why: "region".into() }, &[])]);
    let pin = ResourcePin { uid: Some(uid(A)), generation: 1 };
    plan.header.pins.resources.insert(id(A), pin);
    let old = then(declared(A, bucket("us", 0)), vec![ready(A)]);
    let Verdict::Intend(intents) = run(&plan, vec![(A, old)]) else { panic!("no intent") };
    assert!(matches!(intents[0].1, Command::RequestDeletion { replacement: true, .. }));
    let deleting = then(declared(A, bucket("us", 0)), vec![delete(true)]);
    assert_eq!(word(&run(&plan, vec![(A, deleting)])), format!("wait {A}: it is being deleted"));
    let buried = then(declared(A, bucket("us", 0)), vec![delete(true), gone(A)]);
    let Verdict::Intend(intents) = run(&plan, vec![(A, buried)]) else { panic!("no intent") };
    assert!(matches!(intents[0].1, Command::Declare { uid: new, .. } if new != uid(A)));
}

#[test]
fn deletions_are_asked_for_at_once() {
    let plan = plan(vec![step(A, StepAction::Delete, &[]), step(B, StepAction::Delete, &[0])]);
    let live = |name| given(declared(name, bucket("eu", 0)));
    let verdict = run(&plan, vec![(A, live(A)), (B, live(B))]);
    assert_eq!(word(&verdict), format!("RequestDeletion {A}, RequestDeletion {B}"));
    let buried = |name| then(declared(name, bucket("eu", 0)), vec![delete(false), gone(name)]);
    assert_eq!(run(&plan, vec![(A, buried(A)), (B, buried(B))]), Verdict::Done);
    assert_eq!(removals(&plan, &Outcome::Succeeded), [id(A), id(B)]);
    assert_eq!(removals(&plan, &Outcome::Superseded), []);
}

#[test]
fn taking_everything_down_takes_what_the_plan_did_not_know() {
    let mut plan = plan(vec![]);
    plan.header.purpose = Purpose::Delete;
    let live = given(declared(A, bucket("eu", 0)));
    assert_eq!(word(&run_with(&plan, vec![(A, live)], &[A])), format!("RequestDeletion {A}"));
    assert_eq!(run_with(&plan, vec![], &[A]), Verdict::Done);
}

#[test]
fn what_an_earlier_rollout_left_unfinished_is_finished_by_this_one() {
    let plan = plan(vec![]);
    let begun = || given(declared(A, bucket("eu", 0)));
    let verdict = run_with(&plan, vec![(A, begun())], &[A]);
    assert_eq!(word(&verdict), format!("wait {A}: it is not ready yet"));
    let Verdict::Wait { deadline, .. } = verdict else { panic!("it does not wait") };
    assert_eq!(deadline, Some(Time::from_micros(950 + TIMEOUT)));

    let failed = then(declared(A, bucket("eu", 0)), fails("no room"));
    let verdict = run_with(&plan, vec![(A, failed)], &[A]);
    assert_eq!(word(&verdict), format!("failed: {A}: no room"));
}

#[test]
fn what_was_ready_and_broke_since_holds_up_no_rollout() {
    let plan = plan(vec![]);
    let reason = "it was deleted".to_owned();
    let broken = Command::ObserveUnready { uid: uid(A), reason, at: NOW };
    let state = then(declared(A, bucket("eu", 0)), vec![ready(A), broken]);
    assert!(matches!(&state, Resource::Live(body) if !body.is_ready()));
    assert_eq!(run_with(&plan, vec![(A, state)], &[A]), Verdict::Done);
}

#[test]
fn a_step_fails_for_good_or_after_its_time() {
    let plan = plan(vec![step(A, StepAction::Create, &[])]);
    let failed = then(declared(A, bucket("eu", 0)), fails("no room"));
    assert_eq!(word(&run(&plan, vec![(A, failed)])), format!("failed: {A}: no room"));

    let live = given(declared(A, bucket("eu", 0)));
    let Verdict::Wait { deadline, .. } = run(&plan, vec![(A, live.clone())]) else {
        panic!("it does not wait")
    };
    assert_eq!(deadline, Some(Time::from_micros(950 + TIMEOUT)));
    let states = [(id(A), live)].into();
    let late = judge(&Run {
        plan: &plan,
        plan_id: PLAN,
        members: &BTreeSet::new(),
        states: &states,
        started_at: Time::default(),
        timeout_micros: 10,
        now: NOW,
    });
    assert!(word(&late).contains("took longer than"), "{late:?}");
}

#[test]
fn what_is_protected_or_anothers_is_not_touched() {
    let plan_delete = plan(vec![step(A, StepAction::Delete, &[])]);
    let protect = Command::Protect { on: true, at: NOW };
    let kept = then(declared(A, bucket("eu", 0)), vec![protect]);
    let verdict = run(&plan_delete, vec![(A, kept)]);
    assert_eq!(word(&verdict), format!("failed: {A}: it is protected against deletion"));

    let plan_create = plan(vec![step(A, StepAction::Create, &[])]);
    let mut others = declared(A, bucket("eu", 0));
    if let Some(Command::Declare { lifetime, .. }) = others.first_mut() {
        *lifetime = Lifetime::Deployment("dev_blog".parse().unwrap());
    }
    let verdict = run(&plan_create, vec![(A, given(others))]);
    assert_eq!(word(&verdict), format!("failed: {A}: the name is taken by dev_blog"));
}

#[test]
fn a_creation_leaves_what_is_shared_as_it_is() {
    let mut create = step(A, StepAction::Create, &[]);
    create.lifetime = Lifetime::WhileNeeded;
    let plan = plan(vec![create]);
    let mut others = declared(A, bucket("us", 3));
    if let Some(Command::Declare { lifetime, .. }) = others.first_mut() {
        *lifetime = Lifetime::WhileNeeded;
    }
    assert_eq!(run(&plan, vec![(A, then(others, vec![ready(A)]))]), Verdict::Done);
}

#[test]
fn a_shared_thing_that_went_since_the_plan_is_made_again() {
    const GATEWAY: &str = "support-service/a_gateway";
    let mut create = step("route/dev_shop_web", StepAction::Create, &[]);
    let route = serde_json::json!({"host": "shop.test", "path": "/", "port": 80,
        "workload": "workload/dev_shop_web", "gateway": GATEWAY});
    create.spec = Some(domain::KindName::Route.read_spec(route).unwrap());
    let plan = plan(vec![create]);
    let spec = serde_json::json!({"capability": "gateway", "version": "1", "cluster": "cluster/a"});
    let spec = domain::KindName::SupportService.read_spec(spec).unwrap();
    let mut history = declared(GATEWAY, spec);
    if let Some(Command::Declare { lifetime, .. }) = history.first_mut() {
        *lifetime = Lifetime::WhileNeeded;
    }
    let buried = then(history, vec![delete(false), gone(GATEWAY)]);
    let verdict = run(&plan, vec![(GATEWAY, buried)]);
    assert_eq!(word(&verdict), format!("Declare route/dev_shop_web, Declare {GATEWAY}"));
}

#[test]
fn what_cannot_be_reached_is_given_up_and_made_anew_without_waiting() {
    let from = id("cluster/a");
    let away = |name| StepAction::Relocate { from: id("cluster/a"), uid: uid(name) };
    let plan = plan(vec![
        step(A, StepAction::CleanUp { cluster: from.clone(), uid: uid("earlier") }, &[]),
        step(A, away(A), &[]),
        step(B, away(B), &[1]),
    ]);
    let old = |name| then(declared(name, bucket("us", 0)), vec![ready(name)]);
    let verdict = run(&plan, vec![(A, old(A)), (B, old(B))]);
    assert_eq!(word(&verdict), format!("LeaveBehind {A}, LeaveBehind {B}"));
    let leave = |name| {
        let reason = "it is lost".into();
        Command::LeaveBehind { uid: uid(name), reason, at: NOW }
    };
    let left = |name| then(declared(name, bucket("us", 0)), vec![ready(name), leave(name)]);
    let going =
        |name| then(declared(name, bucket("us", 0)), vec![ready(name), delete(true), leave(name)]);
    let Verdict::Intend(intents) = run(&plan, vec![(A, left(A)), (B, going(B))]) else {
        panic!("no intent")
    };
    assert_eq!(intents.len(), 2);
    for (_, intent) in intents {
        assert!(
            matches!(intent, Command::Declare { uid: new, .. } if new != uid(A) && new != uid(B))
        );
    }
    let done = || then(declared("another", bucket("eu", 0)), vec![ready("another")]);
    assert_eq!(run(&plan, vec![(A, done()), (B, done())]), Verdict::Done);
}

#[test]
fn what_is_left_is_no_member_any_more() {
    let leave = StepAction::Leave { from: id("cluster/a"), uid: uid(A) };
    let plan = plan(vec![step(A, leave, &[])]);
    let live = given(declared(A, bucket("eu", 0)));
    assert_eq!(word(&run(&plan, vec![(A, live)])), format!("LeaveBehind {A}"));
    assert_eq!(run(&plan, vec![]), Verdict::Done);
    assert_eq!(removals(&plan, &Outcome::Succeeded), [id(A)]);
}
