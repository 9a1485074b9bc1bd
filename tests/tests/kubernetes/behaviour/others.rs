//! What others do to what is delivered, and what has a place of its own.

use domain::Resource;
use domain::lifecycle::CONTEST_MAX;
use domain::plan::Purpose;

use super::{MEDDLER, World};

/// A workload whose replicas keep their names and their disks.
const STATEFUL: &str = "kind: stateful\nvolumes: {/data: {source: '${resources.data}'}}\n\
    resources: {data: {type: volume, delete: allow, params: {size_gib: 5}}}\n";

/// Who changes the same again and again is named and not fought; what is decided anew is applied.
pub(super) async fn who_meddles_again_and_again_is_named(world: &World) {
    let name = "contest";
    world.deliver(name, 1, "").await;
    let words = format!("{MEDDLER} and Cairn both write");
    let is_named = async || world.plane.blocker(&World::id(name)).await.contains(&words);
    let mut set_right = 0;
    while set_right <= 4 * CONTEST_MAX && !is_named().await {
        let before = world.drifts(name).await;
        world.change(name);
        let noted = async || world.drifts(name).await > before || is_named().await;
        world.plane.until("it to be noted or told", noted).await;
        // While it differs, the same change again changes nothing.
        let is_right = async || {
            let resource = world.plane.resource(&World::id(name)).await;
            resource.body().is_some_and(|body| body.drift.is_none())
        };
        let settled = async || is_right().await || is_named().await;
        world.plane.until("it to be set right or told", settled).await;
        set_right += 1;
    }
    assert!(is_named().await && set_right >= CONTEST_MAX, "{set_right} changes");
    world.deliver(name, 2, "").await;
    assert_eq!(world.runs(name).unwrap(), format!("registry.example/{name}:2"));
}

/// What has a place of its own publishes where each replica is reached, and its disks go with it.
pub(super) async fn what_keeps_its_place_is_delivered(world: &World) {
    let (name, volume) = ("place", "volume/dev_place_data");
    world.deliver(name, 1, STATEFUL).await;
    let Resource::Live(before) = world.plane.resource(&World::id(name)).await else { panic!() };
    assert!(before.outputs.contains_key("peers"), "{:?}", before.outputs);
    let Resource::Live(disk) = world.plane.resource(volume).await else { panic!("{volume}") };
    world.deliver(name, 2, &format!("replicas: 2\n{STATEFUL}")).await;
    let Resource::Live(after) = world.plane.resource(&World::id(name)).await else { panic!() };
    let Resource::Live(same) = world.plane.resource(volume).await else { panic!("{volume}") };
    assert_eq!((before.uid, before.outputs), (after.uid, after.outputs));
    assert_eq!(disk.uid, same.uid);
    let again = world.plane.plan(name, Purpose::Deploy, None).await.unwrap();
    assert!(again.plan.steps.is_empty(), "{:?}", again.plan.steps);
    world.plane.delete(name).await;
    for id in [&World::id(name), volume] {
        assert!(matches!(world.plane.resource(id).await, Resource::Gone(_)), "{id}");
    }
}
