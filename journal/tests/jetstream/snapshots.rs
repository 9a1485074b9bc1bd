//! Snapshots in a bucket save time and change nothing.

use std::sync::Arc;

use futures::executor::block_on;
use journal::snapshots::Snapshots;
use journal::testing::{Tally, add, context, stream};
use journal::{Executor, Settings};
use servers::until;

use crate::place::{self, runtime};

#[test]
fn a_state_is_read_from_its_snapshot_and_a_damaged_or_missing_one_changes_no_answer() {
    let place = place::alone();
    let open = || {
        let journal = place.journal();
        let snapshots = Arc::new(runtime().block_on(journal.snapshots()).unwrap());
        let settings = Settings {
            snapshots: Some(Arc::clone(&snapshots) as Arc<dyn Snapshots>),
            ..Settings::default()
        };
        (Executor::with(Arc::new(journal), settings), snapshots)
    };
    let (executor, snapshots) = open();
    for id in 1..=120 {
        block_on(executor.execute::<Tally>(&stream("a"), add(1), context(id))).unwrap();
    }
    let kept = until("the snapshot to be written", || block_on(snapshots.get(&stream("a"))));
    assert_eq!(kept.version, 100);
    let sum = || {
        let folded = block_on(open().0.load_state::<Tally>(&stream("a"))).unwrap();
        (folded.version, folded.state.sum)
    };
    assert_eq!(sum(), (120, 120));
    let bucket = runtime().block_on(async {
        let client = place.client().await;
        let context = async_nats::jetstream::new(client);
        context.get_key_value("cairn-snapshots").await.unwrap()
    });
    for damaged in ["", "not a snapshot", "{}\n{}"] {
        runtime().block_on(bucket.put("ev.acme.tally.a", damaged.into())).unwrap();
        assert_eq!(sum(), (120, 120));
    }
    runtime().block_on(bucket.delete("ev.acme.tally.a")).unwrap();
    assert_eq!(sum(), (120, 120));
    // A process that began with the snapshot goes on appending.
    let (executor, _) = open();
    let executed = block_on(executor.execute::<Tally>(&stream("a"), add(1), context(121))).unwrap();
    assert_eq!(executed.version, 121);
}
