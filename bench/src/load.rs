//! The work that is measured: resources of ordinary size.

use domain::commit::Context;
use domain::kinds::{bucket, database};
use domain::lifecycle::{ActionName, Command, Lifetime};
use domain::text::OutputMap;
use domain::{Actor, Name, OutputValue, Resource, ResourceId, Spec, StreamId, Tenant};
use journal::Executor;
use reconcilers::{Clock as _, WallClock};
use uuid::Uuid;

/// The tenant of every benchmark.
pub(crate) fn tenant() -> anyhow::Result<Tenant> {
    Ok("bench".parse()?)
}

/// Who does it.
pub(crate) fn context() -> Context {
    let commit_id = Uuid::now_v7();
    Context {
        commit_id,
        time: WallClock.now(),
        actor: Actor::new(domain::commit::ActorSort::User, "bench"),
        causation_id: None,
        correlation_id: commit_id,
        traceparent: None,
    }
}

/// The stream of the n-th database.
pub(crate) fn stream(tenant: &Tenant, number: u64) -> anyhow::Result<StreamId> {
    let name: Name = format!("dev_app-{number}_db").parse()?;
    Ok(ResourceId::new(domain::KindName::Database, name).stream(tenant))
}

/// Declares a database: some 700 bytes of commit.
pub(crate) fn declare(uid: Uuid) -> Command {
    Command::Declare {
        uid,
        spec: Spec::Database(database::Spec {
            engine: database::Engine::Postgres,
            version: "16".into(),
            storage_gib: 20,
            size: "db.t4g.micro".into(),
            database: "shop".into(),
            highly_available: false,
            backup_days: 7,
            cluster: "cluster/dev-a".parse().ok(),
        }),
        class: None,
        lifetime: Lifetime::Kept,
        protected: false,
        at: WallClock.now(),
    }
}

/// A cheap spec for what needs many.
pub(crate) fn bucket() -> Spec {
    Spec::Bucket(bucket::Spec {
        region: "eu".into(),
        versioning: false,
        public_read: false,
        expire_days: 0,
    })
}

/// Leads a database from nothing to ready: four commits, five events.
pub(crate) async fn live(executor: &Executor, stream: &StreamId) -> anyhow::Result<()> {
    let (uid, at) = (Uuid::now_v7(), WallClock.now());
    let action = ActionName::Create;
    let outputs = OutputMap::from([
        ("host".to_owned(), OutputValue::plain("db.internal")),
        ("port".to_owned(), OutputValue::plain(5432)),
    ]);
    let external = Some("sim:database:1".to_owned());
    for command in [
        declare(uid),
        Command::StartAction { uid, action, generation: 1, at },
        Command::RecordSuccess { uid, action, generation: 1, external: external.clone(), at },
        Command::ObserveReady { uid, generation: 1, external, outputs, at },
    ] {
        executor.execute::<Resource>(stream, command, context()).await?;
    }
    Ok(())
}

/// Declares the n-th bucket; gives its stream and its uid.
pub(crate) async fn declare_bucket(
    executor: &Executor,
    number: u64,
) -> anyhow::Result<(StreamId, Uuid)> {
    let name = format!("b-{number}").parse()?;
    let stream = ResourceId::new(domain::KindName::Bucket, name).stream(&tenant()?);
    let uid = Uuid::now_v7();
    let command = Command::Declare {
        uid,
        spec: bucket(),
        class: None,
        lifetime: Lifetime::Kept,
        protected: false,
        at: WallClock.now(),
    };
    executor.execute::<Resource>(&stream, command, context()).await?;
    Ok((stream, uid))
}
