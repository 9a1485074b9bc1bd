//! What a holder has in hand, with a clock that the test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::super::held::{Grant, Held, Life, Monotonic};
use super::super::memory::MemoryStore;
use super::super::{Lease, Leases, Store, Timing};

fn clock() -> (Arc<AtomicU64>, Monotonic) {
    let micros = Arc::new(AtomicU64::new(1));
    let read = Arc::clone(&micros);
    (micros, Monotonic::by(move || Duration::from_micros(read.load(Ordering::SeqCst))))
}

type Freed = mpsc::UnboundedReceiver<(Lease, u64)>;

fn held(micros: u64, clock: &Monotonic) -> (Held, Arc<Life>, Freed) {
    let (freed, receiver) = mpsc::unbounded_channel();
    let life = Arc::new(Life::new(Duration::from_micros(micros), clock.clone()));
    (Held(Arc::new(Grant::new(Lease::Projector, 7, Arc::clone(&life), freed))), life, receiver)
}

#[tokio::test]
async fn who_wakes_after_its_lease_does_nothing_more() {
    let (now, clock) = clock();
    let (held, ..) = held(100, &clock);
    let (go, gone) = oneshot::channel::<()>();
    let steps = AtomicU32::new(0);
    let work = held.during(async {
        steps.fetch_add(1, Ordering::SeqCst);
        let _ = gone.await;
        steps.fetch_add(1, Ordering::SeqCst);
    });
    let wakes = async {
        // It slept longer than its lease; the first thing that happens on waking is that its work may go on.
        now.store(200, Ordering::SeqCst);
        go.send(()).unwrap();
    };
    assert_eq!(tokio::join!(work, wakes).0, None);
    assert_eq!(steps.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_revoked_right_stops_work_at_once() {
    let (_, clock) = clock();
    let (held, ..) = held(u64::MAX, &clock);
    let revoked = held.clone();
    let (done, ()) = tokio::join!(held.during(std::future::pending::<()>()), async {
        revoked.0.revoke();
    });
    assert_eq!(done, None);
    assert!(!held.is_held());
}

#[tokio::test]
async fn what_was_told_lost_is_never_held_again() {
    let (now, clock) = clock();
    let (held, life, _freed) = held(100, &clock);
    assert!(life.extend(Duration::from_micros(150)));
    assert!(held.is_held());
    now.store(150, Ordering::SeqCst);
    assert!(!held.is_held());
    now.store(100, Ordering::SeqCst);
    assert!(!life.extend(Duration::from_micros(500)), "the reply came too late");
    assert!(!held.is_held());
}

#[tokio::test]
async fn it_is_given_up_when_the_last_hand_lets_go() {
    let (_, clock) = clock();
    let (held, _, mut freed) = held(100, &clock);
    let other = held.clone();
    drop(held);
    assert!(freed.try_recv().is_err());
    drop(other);
    assert_eq!(freed.try_recv().unwrap(), (Lease::Projector, 7));
}

const QUICK: Timing = Timing {
    term: Duration::from_millis(600),
    renew: Duration::from_millis(100),
    margin: Duration::from_millis(100),
};

#[tokio::test]
async fn two_members_share_everything_and_one_that_leaves_frees_it() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let (one, two) = (Leases::join(Arc::clone(&store), QUICK), Leases::join(store, QUICK));
    one.share();
    two.share();
    let mut shares = (one.partitions(), two.partitions());
    while shares.0.borrow().len() + shares.1.borrow().len() < 64 {
        tokio::select! { _ = shares.0.changed() => {}, _ = shares.1.changed() => {} }
    }
    assert!(shares.0.borrow().len() > 10 && shares.1.borrow().len() > 10);
    let held = one.hold(Lease::Projector).await;
    let mut waiting = Box::pin(two.hold(Lease::Projector));
    assert!(futures::poll!(&mut waiting).is_pending());
    let token = held.token();
    let leaving = tokio::spawn({
        let one = one.clone();
        async move { one.leave().await }
    });
    drop(held);
    assert!(waiting.await.token() > token);
    leaving.await.unwrap();
    shares.1.wait_for(|held| held.len() == 64).await.unwrap();
    assert_eq!(one.partitions().borrow().len(), 0);
    assert_eq!(two.counters().losses.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn alone_everything_is_held_for_ever() {
    let leases = Leases::alone();
    leases.share();
    assert_eq!(leases.partitions().borrow().len(), 64);
    let stream = "ev.acme.bucket.x".parse().unwrap();
    assert!(leases.is_ours(&stream) && leases.of(&stream).unwrap().is_held());
    let held = leases.hold(Lease::Archiver).await;
    assert_eq!(held.during(async { 1 }).await, Some(1));
    assert!(futures::poll!(Box::pin(held.lost())).is_pending());
    leases.leave().await;
}
