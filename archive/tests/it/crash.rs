//! A crash at any moment: before a thing is put, after it, or with the answer lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use archive::target::{Put, Unavailable};
use archive::{ArchiveError, Target, backup};
use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::place::{Sort, over_both};
use crate::world::World;

over_both!(nothing_is_half_and_nothing_is_twice_wherever_it_crashes,);

/// A target whose n-th put fails, before or after its effect.
#[derive(Debug)]
struct Failing {
    target: Arc<dyn Target>,
    puts_left: AtomicUsize,
    after: bool,
}

impl Target for Failing {
    fn put<'a>(&'a self, name: &'a str, bytes: Vec<u8>) -> BoxFuture<'a, Result<Put, Unavailable>> {
        async move {
            let left = self.puts_left.fetch_sub(1, Ordering::Relaxed);
            if left == 0 {
                if self.after {
                    self.target.put(name, bytes).await?;
                }
                return Err(Unavailable::new("it crashed"));
            }
            self.target.put(name, bytes).await
        }
        .boxed()
    }

    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, Unavailable>> {
        self.target.get(name)
    }

    fn list<'a>(&'a self, folder: &'a str) -> BoxFuture<'a, Result<Vec<String>, Unavailable>> {
        self.target.list(folder)
    }

    fn describe(&self) -> String {
        self.target.describe()
    }
}

async fn nothing_is_half_and_nothing_is_twice_wherever_it_crashes(sort: Sort) {
    for after in [false, true] {
        for puts in 0.. {
            let world = World::new(sort);
            world.grow(15).await;
            let target =
                Arc::new(Failing { target: world.target(), puts_left: puts.into(), after });
            let ended = backup(world.log(), target, world.settings()).await;
            if ended.is_ok() {
                assert!(puts > 5, "there were {puts} puts to crash at");
                break;
            }
            assert!(
                matches!(&ended, Err(error @ ArchiveError::Unavailable(_)) if error.is_passing())
            );
            // More came meanwhile: the next segment would have been cut elsewhere.
            world.grow(7).await;
            world.backup().await;
            let verified = world.verified().await;
            assert_eq!((verified.archived.get(), verified.commits), (22, 22));
            let segments = world.place.names("segments", ".zst").len() as u64;
            assert_eq!(segments, verified.segments, "each segment is there once");
        }
    }
}
