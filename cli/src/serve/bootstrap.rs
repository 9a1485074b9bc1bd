//! What every installation begins with: the shipped classes and the environment `dev`.

use domain::class::{self, Class};
use domain::commit::{ActorSort, Context, Hash};
use domain::environment::{self, Environment};
use domain::{Actor, Decider, Name, StreamId, Tenant, catalogue};
use journal::{Executor, Recorded};
use serde::Serialize;
use uuid::Uuid;

use crate::failure::{Exit, Failure, Outcome};
use crate::terminal::now;

/// Root of the ids of what is shipped (`cairn.catalogue`, made up once).
const NAMESPACE: Uuid = Uuid::from_u128(0x6361_6972_6e2e_4000_8000_6361_7461_6c6f);

/// Defines what is shipped, and its newer versions. What a platform team has changed stays as they want it.
pub(super) async fn define(executor: &Executor, tenant: &Tenant) -> Outcome<()> {
    let shipped = catalogue::shipped()
        .map_err(|errors| failed(errors.first().map(ToString::to_string).unwrap_or_default()))?;
    let at = now();
    for definition in shipped.classes {
        let stream = stream(tenant, class::KIND, definition.name().map_err(failed)?)?;
        let digest = digest(&definition)?;
        ship::<Class>(executor, &stream, class::Command::Define { definition, at }, digest).await?;
    }
    for definition in shipped.environments {
        let stream = stream(tenant, environment::KIND, definition.name.parse().map_err(failed)?)?;
        let digest = digest(&definition)?;
        let command = environment::Command::Define { definition, at };
        ship::<Environment>(executor, &stream, command, digest).await?;
    }
    Ok(())
}

/// Carries out a definition, unless the last word about it was somebody else's.
async fn ship<D: Decider>(
    executor: &Executor,
    stream: &StreamId,
    command: D::Command,
    digest: Hash,
) -> Outcome<()> {
    let loaded = executor.journal().load(stream, 0).await.map_err(failed)?;
    let last = loaded.commits.last();
    if last.is_some_and(|last| last.sealed.commit.actor != actor()) {
        return Ok(());
    }
    // Replicas that start together say the same thing, once.
    let version = last.map_or(0, Recorded::last_version);
    let id = Uuid::new_v5(&NAMESPACE, format!("{stream} {version} {digest}").as_bytes());
    let context = Context {
        commit_id: id,
        time: now(),
        actor: actor(),
        causation_id: None,
        correlation_id: id,
        traceparent: None,
    };
    executor.execute_keyed::<D>(stream, command, context, digest).await.map(drop).map_err(failed)
}

fn actor() -> Actor {
    Actor::new(ActorSort::System, "catalogue")
}

fn digest(definition: &impl Serialize) -> Outcome<Hash> {
    Ok(Hash::of(&serde_json::to_vec(definition).map_err(failed)?))
}

fn stream(tenant: &Tenant, kind: &str, name: Name) -> Outcome<StreamId> {
    StreamId::new(tenant.clone(), kind, name).map_err(failed)
}

fn failed(reason: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Unreachable, "the shipped catalogue cannot be defined")
        .detail(reason.to_string())
}
