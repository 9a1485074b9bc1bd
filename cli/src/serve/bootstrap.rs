//! What every installation begins with: the shipped classes and the environment `dev`.

use domain::class::{self, Class};
use domain::commit::{ActorSort, Context};
use domain::environment::{self, Environment};
use domain::{Actor, Decider, Name, StreamId, Tenant, catalogue};
use journal::Executor;
use serde::Serialize;
use uuid::Uuid;

use crate::failure::{Exit, Failure, Outcome};
use crate::terminal::now;

/// Root of the ids of what is shipped (`cairn.catalogue`, made up once).
const NAMESPACE: Uuid = Uuid::from_u128(0x6361_6972_6e2e_4000_8000_6361_7461_6c6f);

/// Defines what is shipped and was never defined. What a platform team changed stays as they want it.
pub(super) async fn define(executor: &Executor, tenant: &Tenant) -> Outcome<()> {
    let shipped = catalogue::shipped()
        .map_err(|errors| failed(errors.first().map(ToString::to_string).unwrap_or_default()))?;
    for definition in shipped.classes {
        let name = definition.name().map_err(|error| failed(error.to_string()))?;
        let stream = stream(tenant, class::KIND, name)?;
        let state = executor
            .load_state::<Class>(&stream)
            .await
            .map_err(|error| failed(error.to_string()))?;
        if state.version == 0 {
            let command = class::Command::Define { definition, at: now() };
            execute::<Class>(executor, &stream, command).await?;
        }
    }
    for definition in shipped.environments {
        let name: Name = definition.name.parse().map_err(|_| failed(definition.name.clone()))?;
        let stream = stream(tenant, environment::KIND, name)?;
        let state = executor
            .load_state::<Environment>(&stream)
            .await
            .map_err(|error| failed(error.to_string()))?;
        if state.version == 0 {
            let command = environment::Command::Define { definition, at: now() };
            execute::<Environment>(executor, &stream, command).await?;
        }
    }
    Ok(())
}

fn stream(tenant: &Tenant, kind: &str, name: Name) -> Outcome<StreamId> {
    StreamId::new(tenant.clone(), kind, name).map_err(|error| failed(error.to_string()))
}

async fn execute<D: Decider>(
    executor: &Executor,
    stream: &StreamId,
    command: D::Command,
) -> Outcome<()>
where
    D::Command: Clone + Serialize,
{
    let id = Uuid::new_v5(&NAMESPACE, stream.to_string().as_bytes());
    let context = Context {
        commit_id: id,
        time: now(),
        actor: Actor::new(ActorSort::System, "catalogue"),
        causation_id: None,
        correlation_id: id,
        traceparent: None,
    };
    let digest = domain::commit::Hash::of(stream.to_string().as_bytes());
    let executed = executor.execute_keyed::<D>(stream, command, context, digest).await;
    executed.map(|_| ()).map_err(|error| failed(error.to_string()))
}

fn failed(reason: String) -> Failure {
    Failure::new(Exit::Unreachable, "the shipped catalogue cannot be defined").detail(reason)
}
