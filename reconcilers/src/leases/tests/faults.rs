//! One seed's life: faults for a while, then none, then the question whether everything has its one holder.

use std::time::Duration;

use super::super::member::Bug;
use super::world::{Rng, World};

/// How many things go wrong.
const FAULTS: u64 = 40;
/// Longer than the longest pause, and after it a takeover.
const CALM: Duration = Duration::from_secs(25);

pub(super) fn live(seed: u64, bug: Option<Bug>) -> World {
    let mut rng = Rng::new(seed);
    let members = 2 + rng.below(3);
    let mut world = World::new(rng.next(), bug);
    for _ in 0..members {
        world.start();
    }
    world.run_for(Duration::from_secs(6));
    world.rough = true;
    for _ in 0..FAULTS {
        go_wrong(&mut world, &mut rng);
        world.run_for(Duration::from_millis(rng.below(2_500)));
        if !world.failures.is_empty() {
            return world;
        }
    }
    world.rough = false;
    if world.is_deserted() {
        world.start();
    }
    world.run_for(CALM);
    let unsettled = world.check_settled();
    world.failures.extend(unsettled);
    world
}

fn go_wrong(world: &mut World, rng: &mut Rng) {
    let nodes = world.nodes();
    let node = usize::try_from(rng.below(nodes.max(1) as u64)).unwrap_or_default();
    let long = Duration::from_millis(200 + rng.below(9_000));
    match rng.below(100) {
        _ if nodes == 0 => world.start(),
        0..30 => world.pause(node, long),
        30..60 => world.cut(node, long),
        60..68 => world.crash(node),
        68..80 if nodes < 5 => world.start(),
        80..84 => world.leave(node),
        84..94 => world.watch_again(node),
        94..97 => world.wipe(),
        _ => {}
    }
}
