//! The work that is measured: resources of ordinary size.

use domain::commit::Context;
use domain::kinds::{bucket, database};
use domain::lifecycle::{ActionName, Command, Lifetime};
use domain::text::OutputMap;
use domain::{Actor, Name, OutputValue, Resource, ResourceId, Spec, StreamId, Tenant, Time};
use journal::Executor;
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
        time: now(),
        actor: Actor::new(domain::commit::ActorSort::User, "bench"),
        causation_id: None,
        correlation_id: commit_id,
        traceparent: None,
    }
}

/// The wall clock.
pub(crate) fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Time::from_micros(since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX)))
}

/// The stream of the n-th database.
pub(crate) fn stream(tenant: &Tenant, number: u64) -> anyhow::Result<StreamId> {
    let name: Name = format!("dev_app-{number}_db").parse()?;
    Ok(ResourceId::new(domain::KindName::Database, name).stream(tenant))
}

/// Declares a database: some 700 bytes of commit.
pub(crate) fn declare() -> Command {
    Command::Declare {
        uid: Uuid::now_v7(),
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
        at: now(),
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

/// Leads a declared database through an action to ready: three more commits, four events.
pub(crate) async fn live(executor: &Executor, stream: &StreamId) -> anyhow::Result<()> {
    let Command::Declare { uid, .. } = declare() else { anyhow::bail!("declare declares") };
    let Command::Declare { spec, class, lifetime, protected, at, .. } = declare() else {
        anyhow::bail!("declare declares")
    };
    let action = ActionName::Create;
    let outputs = OutputMap::from([
        ("host".to_owned(), OutputValue::plain("db.internal")),
        ("port".to_owned(), OutputValue::plain(5432)),
    ]);
    let external = Some("sim:database:1".to_owned());
    for command in [
        Command::Declare { uid, spec, class, lifetime, protected, at },
        Command::StartAction { uid, action, generation: 1, at },
        Command::RecordSuccess { uid, action, generation: 1, external: external.clone(), at },
        Command::ObserveReady { uid, generation: 1, external, outputs, at },
    ] {
        executor.execute::<Resource>(stream, command, context()).await?;
    }
    Ok(())
}
