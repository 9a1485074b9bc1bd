use std::sync::Arc;

use domain::commit::{ActorSort, EventRecord, Hash};
use domain::{Actor, KindName};
use journal::Position;
use serde_json::json;

use super::*;

const CLUSTER: &str = "ev.acme.cluster.a";
const GATEWAY: &str = "ev.acme.support-service.a_gateway";
const WEB: &str = "ev.acme.workload.web";

fn stream(text: &str) -> StreamId {
    text.parse().unwrap()
}

fn at(position: u64) -> Time {
    Time::from_micros(i64::try_from(position).unwrap())
}

/// A graph, and the log's next position.
#[derive(Default)]
struct Log(Graph, u64);

impl Log {
    fn happens(&mut self, text: &str, event: Event) -> Vec<String> {
        self.1 += 1;
        let id = Uuid::from_u128(u128::from(self.1));
        let commit = Commit {
            commit_id: id,
            stream: stream(text),
            first_version: self.1,
            time: at(self.1),
            actor: Actor::new(ActorSort::System, "test"),
            command: "Test".into(),
            command_hash: Hash::default(),
            causation_id: None,
            correlation_id: id,
            traceparent: None,
            prev_hash: Hash::default(),
            events: vec![EventRecord::encode(&event).unwrap()],
        };
        let sealed = Arc::new(commit.seal().unwrap());
        let recorded = Recorded { position: Position::new(self.1), sealed };
        let wakes = self.0.apply(&recorded).unwrap();
        wakes.into_iter().map(|wake| wake.stream.to_string()).collect()
    }

    fn declare(&mut self, text: &str, lifetime: Lifetime, spec: serde_json::Value) -> Vec<String> {
        let kind = KindName::parse(stream(text).kind()).unwrap();
        let spec = kind.read_spec(spec).unwrap();
        let event = Event::Declared {
            uid: Uuid::nil(),
            spec,
            class: None,
            lifetime,
            protected: false,
            at: at(self.1),
        };
        self.happens(text, event)
    }

    fn declare_all(&mut self) {
        let cluster = json!({"location": "eu", "version": "1.36", "nodes_min": 1, "nodes_max": 3});
        self.declare(CLUSTER, Lifetime::Kept, cluster);
        let gateway = json!({"capability": "gateway", "version": "1", "cluster": "cluster/a"});
        self.declare(GATEWAY, Lifetime::WhileNeeded, gateway);
        let owned = Lifetime::Deployment("dev_shop".parse().unwrap());
        self.declare(WEB, owned, web(true));
    }

    fn start(&mut self, text: &str) {
        let (uid, action, generation) = (Uuid::nil(), ActionName::Create, 1);
        self.happens(text, Event::ActionStarted { uid, action, generation, at: at(self.1) });
    }

    fn delete(&mut self, text: &str) -> Vec<String> {
        let event =
            Event::DeletionRequested { uid: Uuid::nil(), replacement: false, at: at(self.1) };
        self.happens(text, event)
    }

    fn ready(&mut self, text: &str, generation: u64) -> Vec<String> {
        let (uid, external) = (Uuid::nil(), None);
        self.happens(text, Event::BecameReady { uid, generation, external, at: at(self.1) })
    }

    fn gone(&mut self, text: &str) -> Vec<String> {
        self.happens(text, Event::Deleted { uid: Uuid::nil(), at: at(self.1) })
    }
}

/// A workload that comes after the gateway, or does not.
fn web(needs_gateway: bool) -> serde_json::Value {
    let after = if needs_gateway { json!(["support-service/a_gateway"]) } else { json!([]) };
    json!({"mode": "worker", "cluster": "cluster/a", "scale": {"fixed": 1}, "after": after,
        "containers": {"main": {"image": "web:1"}}})
}

#[test]
fn who_needs_it_is_woken_when_it_is_ready() {
    let mut log = Log::default();
    log.declare_all();
    assert_eq!(log.ready(CLUSTER, 1), [GATEWAY, WEB]);
}

#[test]
fn who_may_have_a_thing_holds_what_it_needs_and_who_only_waits_does_not() {
    let mut log = Log::default();
    log.declare_all();
    log.start(GATEWAY);
    log.delete(CLUSTER);
    assert_eq!(log.0.dependent(&stream(CLUSTER)).unwrap().to_string(), "support-service/a_gateway");
    log.start(WEB);
    log.delete(GATEWAY);
    let released = log.gone(GATEWAY);
    assert!(released.contains(&CLUSTER.to_owned()), "{released:?}");
    assert_eq!(log.0.dependent(&stream(CLUSTER)), None, "the workload came after the deletion");
}

#[test]
fn what_is_needed_no_longer_is_held_until_the_change_is_ready() {
    let mut log = Log::default();
    log.declare_all();
    log.start(WEB);
    log.ready(WEB, 1);
    let spec = KindName::Workload.read_spec(web(false)).unwrap();
    log.happens(WEB, Event::Revised { generation: 2, spec, class: None, at: at(9) });
    assert_eq!(log.0.unneeded_since(&stream(GATEWAY)), None);
    assert!(log.ready(WEB, 2).contains(&GATEWAY.to_owned()));
    assert!(log.0.unneeded_since(&stream(GATEWAY)).is_some());
    assert_eq!(log.0.unneeded_since(&stream(CLUSTER)), None, "it is kept, needed or not");
}

#[test]
fn what_a_rollout_relies_on_is_needed() {
    let mut log = Log::default();
    let gateway = json!({"capability": "gateway", "version": "1", "cluster": "cluster/a"});
    log.declare(GATEWAY, Lifetime::WhileNeeded, gateway);
    let deployment = stream("ev.acme.deployment.dev_shop");
    log.0.watch(&deployment, &[stream(GATEWAY)], at(5));
    assert_eq!(log.0.unneeded_since(&stream(GATEWAY)), None);
    assert!(log.ready(GATEWAY, 1).contains(&deployment.to_string()));
    log.0.watch(&deployment, &[], at(7));
    assert_eq!(log.0.unneeded_since(&stream(GATEWAY)), Some(at(7)));
}

#[test]
fn what_is_gone_is_forgotten() {
    let mut log = Log::default();
    log.declare_all();
    for text in [WEB, GATEWAY, CLUSTER] {
        log.delete(text);
        log.gone(text);
    }
    assert_eq!(log.0.streams().count(), 0);
    assert_eq!(log.0.by_stream.len(), 0);
    log.declare_all();
    assert_eq!((log.0.by_stream.len(), log.0.nodes.len()), (3, 3));
}
