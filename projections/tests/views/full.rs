//! A full disk under the views: what could not be written is not believed, and work goes on where there is room.

use projections::{SqliteViews, ViewStore as _};
use servers::disk::SmallDisk;

use crate::world::block_on;

const DISK_BYTES: u64 = 4 << 20;

#[test]
#[allow(clippy::print_stdout, reason = "it says what it could not test")]
fn a_claim_that_does_not_fit_on_the_disk_is_no_claim() {
    let Some(disk) = SmallDisk::mount(DISK_BYTES) else {
        println!("NOT TESTED: a full disk. It takes the right to mount one");
        return;
    };
    block_on(async {
        let views = SqliteViews::open(&disk.path().join("views")).unwrap();
        let mut last = views.claim().await.unwrap().epoch;
        disk.fill();
        // The files have some room left in them: claims go on for a while.
        let refused = loop {
            match views.claim().await {
                Ok(claimed) => {
                    assert_eq!(claimed.epoch, last + 1, "an epoch was given that was not kept");
                    last = claimed.epoch;
                }
                Err(error) => break error,
            }
        };
        assert!(refused.to_string().contains("cannot be used"), "{refused}");
        disk.free();
        assert_eq!(views.claim().await.unwrap().epoch, last + 1);
    });
}
