//! What a resource needs: what that has published, and what is not ready of it.

use domain::Resource;
use domain::text::Inputs;
use journal::{Executor, LoadError};

use crate::providers::spec;
use crate::reconcile::{Target, Waiting};

/// The outputs of everything it needs or needed, and the first need that is not ready.
pub(crate) async fn needs(
    executor: &Executor,
    resource: &Resource,
    target: &Target,
) -> Result<(Inputs, Option<Waiting>), LoadError> {
    let mut inputs = Inputs::default();
    let mut unmet = None;
    let Some(spec) = spec(resource) else { return Ok((inputs, unmet)) };
    for need in spec.needs() {
        if inputs.outputs.contains_key(&need.resource) {
            continue;
        }
        let stream = need.resource.stream(&target.tenant);
        let needed = executor.load_state::<Resource>(&stream).await?.state;
        let reason = match &*needed {
            Resource::Live(body) if body.is_ready() => None,
            Resource::Live(_) => Some("is not ready"),
            // It stays while this one is there: if this one waited for it in turn, neither would ever go.
            Resource::Deleting(..) if matches!(resource, Resource::Deleting(..)) => None,
            Resource::Deleting(..) => Some("is being deleted"),
            Resource::Gone(_) => Some("is gone"),
            Resource::Absent => Some("does not exist"),
        };
        if let (None, Some(reason)) = (&unmet, reason) {
            let words = format!("{} {reason}", need.resource);
            unmet = Some(Waiting::on(need.resource.clone(), words));
        }
        // What is being deleted is where it was: whoever goes before it is found through it.
        if let Some(body) = needed.body() {
            inputs.outputs.insert(need.resource, body.published());
        }
    }
    Ok((inputs, unmet))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::commit::{ActorSort, Context};
    use domain::lifecycle::{Command, Lifetime};
    use domain::{Actor, KindName, OutputValue, StreamId, Time};
    use journal::memory::MemoryJournal;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    async fn execute(executor: &Executor, stream: &StreamId, number: u128, command: Command) {
        let context = Context {
            commit_id: Uuid::from_u128(number),
            time: Time::default(),
            actor: Actor::new(ActorSort::User, "ada"),
            causation_id: None,
            correlation_id: Uuid::from_u128(number),
            traceparent: None,
        };
        executor.execute::<Resource>(stream, command, context).await.unwrap();
    }

    fn declare(kind: KindName, uid: u128, spec: Value) -> Command {
        Command::Declare {
            uid: Uuid::from_u128(uid),
            spec: kind.read_spec(spec).unwrap(),
            class: None,
            lifetime: Lifetime::Kept,
            protected: false,
            at: Time::default(),
        }
    }

    #[tokio::test]
    async fn what_goes_first_is_found_through_what_waits_for_it_to_go() {
        let executor = Executor::new(Arc::new(MemoryJournal::new()));
        let cluster: StreamId = "ev.acme.cluster.a".parse().unwrap();
        let spec = json!({"location": "eu", "version": "1.36", "nodes_min": 1, "nodes_max": 3});
        execute(&executor, &cluster, 1, declare(KindName::Cluster, 7, spec)).await;
        let (uid, at) = (Uuid::from_u128(7), Time::default());
        let outputs = [("endpoint".to_owned(), OutputValue::plain("a.test"))].into();
        let ready = Command::ObserveReady { uid, generation: 1, external: None, outputs, at };
        execute(&executor, &cluster, 2, ready).await;
        let chart: StreamId = "ev.acme.support-service.a_logs".parse().unwrap();
        let spec = json!({"capability": "logs", "version": "1", "cluster": "cluster/a"});
        execute(&executor, &chart, 3, declare(KindName::SupportService, 8, spec)).await;
        let delete = || Command::RequestDeletion { uid: None, replacement: false, at };
        execute(&executor, &cluster, 4, delete()).await;

        let target = Target {
            tenant: "acme".parse().unwrap(),
            id: chart.resource().unwrap(),
            uid: Uuid::from_u128(8),
        };
        let id = cluster.resource().unwrap();
        let seen = async || {
            let resource = executor.load_state::<Resource>(&chart).await.unwrap().state;
            let (inputs, unmet) = needs(&executor, &resource, &target).await.unwrap();
            let endpoint = inputs.outputs.get(&id).and_then(|all| all.get("endpoint").cloned());
            (endpoint, unmet.map(|unmet| unmet.reason))
        };
        let endpoint = Some(OutputValue::plain("a.test"));
        let reason = Some("cluster/a is being deleted".to_owned());
        assert_eq!(seen().await, (endpoint.clone(), reason));
        execute(&executor, &chart, 5, delete()).await;
        assert_eq!(seen().await, (endpoint, None), "they do not wait for each other");
    }
}
