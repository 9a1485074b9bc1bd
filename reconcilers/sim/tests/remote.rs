//! A world in another process is a world like any other: it does what it is asked, tells of changes, and comes back.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::kinds::{Bucket, bucket};
use domain::text::Inputs;
use futures::StreamExt as _;
use reconcilers::converge::{Call, Desired, SeenState};
use reconcilers::{Performed, Provider, Scene, Target, WallClock};
use sim::{Happening, Nature, Options, Remote, RemoteError, ServeError, Sim};
use tokio::sync::oneshot;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(120);

fn world(folder: &Path) -> Arc<Sim> {
    let nature = Nature { speed: 1_000, ..Nature::default() };
    let path = Some(folder.join("world.jsonl"));
    let options = Options { nature, path, ..Options::default() };
    Arc::new(Sim::open(Arc::new(WallClock), options).unwrap())
}

/// Serves a world until the sender is dropped.
fn serve(folder: &Path, address: SocketAddr) -> oneshot::Sender<()> {
    let (stop, stopped) = oneshot::channel::<()>();
    let world = world(folder);
    tokio::spawn(async move {
        let listener = sim::listen(address).await.unwrap();
        sim::serve(world, listener, async { _ = stopped.await }).await.unwrap();
    });
    stop
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap()
}

fn as_bucket(world: &Arc<Remote>) -> &dyn Provider<Bucket> {
    &**world
}

#[tokio::test]
async fn a_world_elsewhere_does_what_it_is_asked_and_is_the_same_after_it_was_away() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let world = Remote::connect(&format!("http://{address}")).unwrap();
    let target = Target {
        tenant: "acme".parse().unwrap(),
        id: "bucket/files".parse().unwrap(),
        uid: Uuid::new_v4(),
    };
    let spec = serde_json::json!({ "region": "eu" });
    let (spec, inputs): (bucket::Spec, _) =
        (serde_json::from_value(spec).unwrap(), Inputs::default());
    let scene = Scene { target: &target, spec: &spec, inputs: &inputs };
    let away = as_bucket(&world).observe(scene).await.unwrap_err();
    assert!(away.message.contains("does not answer"), "{away}");

    let serving = serve(folder.path(), address);
    let mut changes = as_bucket(&world).changes();
    let desired = Desired::new(serde_json::json!({ "region": "eu" }));
    let create = Call::Create { token: Uuid::new_v4(), desired };
    let made = until(async || as_bucket(&world).perform(scene, create.clone()).await.ok()).await;
    assert_eq!(made, Performed::Finished);
    let told = async {
        let mut turns = tokio::time::interval(Duration::from_millis(50));
        loop {
            // What happened before somebody listened is not told: something has to happen again.
            tokio::select! {
                told = changes.next() => return told.unwrap(),
                _ = turns.tick() => {
                    let heal = Happening::Heal;
                    world.happen(&target.tenant, &target.id, heal).await.unwrap();
                }
            }
        }
    };
    assert_eq!(tokio::time::timeout(PATIENCE, told).await.unwrap(), target.stream());
    until(async || {
        let seen = as_bucket(&world).observe(scene).await.unwrap().unwrap();
        (seen.state == SeenState::Ready).then_some(())
    })
    .await;
    let nowhere = "bucket/other".parse().unwrap();
    let nothing = world.happen(&target.tenant, &nowhere, Happening::Heal).await.unwrap_err();
    assert!(matches!(nothing, RemoteError::NotThere(_)), "{nothing}");

    drop(serving);
    until(async || as_bucket(&world).observe(scene).await.is_err().then_some(())).await;
    let _serving = serve(folder.path(), address);
    until(async || as_bucket(&world).observe(scene).await.ok()).await.unwrap();
    assert_eq!(as_bucket(&world).sweep().await.unwrap(), [target]);
}

#[tokio::test]
async fn a_world_is_served_to_its_own_machine_alone() {
    let refused = sim::listen("0.0.0.0:0".parse().unwrap()).await.unwrap_err();
    assert!(matches!(refused, ServeError::Open(_)), "{refused}");
    for wrong in ["", "127.0.0.1:7119", "https://127.0.0.1:1", "http://"] {
        assert!(matches!(Remote::connect(wrong), Err(RemoteError::Address(_))), "{wrong}");
    }
}
