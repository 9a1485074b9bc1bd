//! Every operation with every fault of an API server: what is wanted is there in the end, once, nothing of it is left
//! behind, and no more is asked than twice of what a calm day takes.

mod found;
mod scenarios;
mod trial;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::lifecycle::CONTEST_MAX;
use found::{Found, KINDS, Place};
use futures::future::join_all;
use scenarios::{Application, Scenario};
use serde_json::Value;
use servers::kubernetes::{Call, ControlPlane, Fault, Faulty, Options};
use tests::{Plane, namespace};
use tokio::sync::watch;
use world::{OPERATIONS, World};

/// What may happen to a request that is no watch.
const TO_REQUESTS: [Fault; 9] = [
    Fault::CutBefore,
    Fault::CutAfter,
    Fault::TimeoutBefore,
    Fault::TimeoutAfter,
    Fault::Conflict,
    Fault::TooMany,
    Fault::Internal,
    Fault::Unavailable,
    Fault::Slow,
];
/// What may happen to a list or a watch.
const TO_WATCHES: [Fault; 6] = [
    Fault::Stale,
    Fault::Dropped,
    Fault::Expired,
    Fault::CutBefore,
    Fault::Internal,
    Fault::TooMany,
];
/// How long lists and watches may take to be asked for again.
const PATIENCE: Duration = Duration::from_secs(60);
/// In how many ways watches misbehave during one operation on applications of every sort.
const AT_ONCE: usize = 3;
/// How long watches misbehave in one way.
const A_WHILE: Duration = Duration::from_millis(700);

/// Has whatever is asked for first go wrong for these applications.
fn go_wrong<'a>(faulty: &Faulty, all: impl Iterator<Item = &'a (Application, Fault)>) {
    let places: Vec<(Place, Fault)> =
        all.map(|(one, fault)| (Place::called(&one.name), *fault)).collect();
    let mut met: BTreeSet<(String, String)> = BTreeSet::new();
    faulty.rule(move |call| {
        let (_, fault) = places.iter().find(|(place, _)| place.has(call))?;
        met.insert((call.method.clone(), call.path.clone())).then_some(*fault)
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_ends_well_whatever_happens_to_its_requests() {
    let world = World::start().await;
    let calm = world.calm().await;
    let mut all = Vec::new();
    for scenario in Scenario::ALL {
        let of = |fault| (scenario.called(&format!("{fault:?}")), fault);
        all.extend(TO_REQUESTS.map(of));
    }
    for operation in OPERATIONS {
        let of = || all.iter().filter(|(one, _)| one.scenario.has(operation));
        go_wrong(&world.faulty, of());
        let _ = world.faulty.calls();
        let found = world.operate(of().map(|(one, _)| one), operation).await;
        let calls = world.faulty.calls();
        for (Application { scenario, name }, fault) in of() {
            let calm = &calm[&(*scenario, operation)];
            let place = Place::called(name);
            let asked: Vec<&Call> = place.of(&calls).collect();
            let (words, count) = (format!("{operation} of {name} with {fault:?}"), asked.len());
            assert!(count > 0, "{words}: nothing was asked");
            assert!(
                count <= 2 * calm.requests,
                "{words}: {count} requests, {} on a calm day: {asked:#?}",
                calm.requests
            );
            assert_eq!(found.objects(name), calm.objects, "{words}");
            assert_eq!(found.doubled(name), [] as [String; 0], "{words}");
            if (*scenario, operation) == (Scenario::Trial, "change") {
                // It was tried: it has not just been replaced.
                let id = format!("workload/dev_{name}_web");
                let _ = world.plane.noted(&id, "CanaryPromoted").await;
            }
        }
    }
    world.faulty.rule(|_| None);
    world.is_empty().await;
    world.plane.stop().await;
}

/// Has lists and watches misbehave in one way after the other, so often or until it is over; gives how often.
async fn disturb(
    faulty: Arc<Faulty>,
    faults: Vec<Fault>,
    rounds_max: usize,
    over: Arc<AtomicBool>,
) -> usize {
    let mut rounds = 0;
    let mut turns = tokio::time::interval(A_WHILE);
    while rounds < rounds_max && !over.load(Ordering::SeqCst) {
        let fault = faults[rounds % faults.len()];
        let is_followed = |call: &Call| call.method == "GET" && !call.path.contains("/namespaces/");
        // Half of them, so that some kinds are seen and some are not.
        let mut turn = false;
        faulty.rule(move |call| {
            turn = !turn;
            (is_followed(call) && turn).then_some(fault)
        });
        faulty.cut();
        turns.tick().await;
        // A calm moment: who is disturbed without end gets nowhere.
        faulty.rule(|_| None);
        turns.tick().await;
        rounds += 1;
    }
    rounds
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_ends_well_whatever_happens_to_lists_and_watches() {
    let cluster = ControlPlane::start(&Options { nodes: 3, entry: false, ..Options::default() });
    let faulty = Arc::new(Faulty::start(&cluster));
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &faulty.kubeconfig()).await;
    operate(&plane, directory.path(), "calm", "create").await;
    let wanted = Found::look(&cluster).objects("calm");
    let over = Arc::new(AtomicBool::new(false));
    let disturbing = tokio::spawn(disturb(
        Arc::clone(&faulty),
        TO_WATCHES.to_vec(),
        usize::MAX,
        Arc::clone(&over),
    ));
    let names = ["one", "two", "three"];
    for operation in OPERATIONS.into_iter().filter(|one| Scenario::Workloads.has(one)) {
        join_all(names.iter().map(|name| operate(&plane, directory.path(), name, operation))).await;
        let found = Found::look(&cluster);
        for name in names {
            let found = found.objects(name);
            match operation {
                "create" | "change" => assert_eq!(found, wanted, "{operation} of {name}"),
                "shrink" => assert!(!found.is_empty() && found.is_subset(&wanted), "{found:?}"),
                _ => assert!(found.is_empty(), "{found:?}"),
            }
        }
    }
    over.store(true, Ordering::SeqCst);
    assert!(disturbing.await.unwrap() > 3, "nothing was disturbed");
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sort_of_application_ends_well_whatever_happens_to_its_watches() {
    let mut world = World::start().await;
    let calm = world.calm().await;
    let of_each = |scenario: Scenario| ["one", "two"].map(|name| scenario.called(name));
    let all: Vec<Application> = Scenario::ALL.into_iter().flat_map(of_each).collect();
    // A list from before there was anything says that there is nothing: what is done then is not undone.
    let mut faults = TO_WATCHES.into_iter().filter(|fault| *fault != Fault::Stale).cycle();
    for operation in OPERATIONS {
        let of = || all.iter().filter(|one| one.scenario.has(operation));
        // Whoever was disturbed often waits longer and longer: each time it is somebody who was not, and not by all.
        world = world.begun_anew().await;
        let some: Vec<Fault> = faults.by_ref().take(AT_ONCE).collect();
        let disturbing = disturb(Arc::clone(&world.faulty), some, AT_ONCE, Arc::default());
        let disturbing = tokio::spawn(disturbing);
        let found = world.operate(of(), operation).await;
        assert_eq!(disturbing.await.unwrap(), AT_ONCE);
        for Application { scenario, name } in of() {
            let wanted = &calm[&(*scenario, operation)].objects;
            assert_eq!(found.objects(name), *wanted, "{operation} of {name}");
            assert_eq!(found.doubled(name), [] as [String; 0], "{operation} of {name}");
        }
    }
    world.is_empty().await;
    world.plane.stop().await;
}

/// Does something to an application of workloads.
async fn operate(plane: &Plane, folder: &Path, name: &str, operation: &str) {
    let application = Application { scenario: Scenario::Workloads, name: name.to_owned() };
    application.operate(plane, folder, operation).await;
}

/// Whether a fault is one of lists or of watches.
fn strikes(fault: Fault, watch: bool) -> bool {
    fault != if watch { Fault::Stale } else { Fault::Dropped }
}

/// How often each path was asked for, as a list and as a watch.
type Asked = BTreeMap<(String, bool), usize>;

/// Has the first list and the first watch of each kind meet a fault; gives the count of all.
fn meet(faulty: &Faulty, fault: Option<Fault>) -> watch::Receiver<Asked> {
    let (counting, asked) = watch::channel(Asked::new());
    faulty.rule(move |call| {
        let is_followed =
            KINDS.iter().any(|(group, plural)| call.path == format!("/{group}/{plural}"));
        if call.method != "GET" || !is_followed {
            return None;
        }
        let mut times = 0;
        counting.send_modify(|asked| {
            let so_often = asked.entry((call.path.clone(), call.watch)).or_default();
            *so_often += 1;
            times = *so_often;
        });
        fault.filter(|fault| times == 1 && strikes(*fault, call.watch))
    });
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_of_a_list_or_a_watch_is_asked_for_once_more_and_nothing_else_is() {
    let cluster = ControlPlane::start(&Options { nodes: 3, entry: false, ..Options::default() });
    let faulty = Faulty::start(&cluster);
    let directory = tempfile::tempdir().unwrap();
    let mut made = None;
    // The first time all is well, and what is listed then is what is stale later.
    let rounds = std::iter::once(None).chain(TO_WATCHES.map(Some));
    for (fault, operation) in rounds.zip(["create", "change"].into_iter().cycle()) {
        let mut asked = meet(&faulty, fault);
        let plane = Plane::start_on(directory.path(), &faulty.kubeconfig()).await;
        operate(&plane, directory.path(), "calm", operation).await;
        // What is stale is an answer: the watch that follows it catches up.
        let failed = fault.filter(|fault| *fault != Fault::Stale);
        let tries = |watch| 1 + usize::from(failed.is_some_and(|fault| strikes(fault, watch)));
        let times = |asked: &Asked, (group, plural): (&str, &str), watch| {
            asked.get(&(format!("/{group}/{plural}"), watch)).copied().unwrap_or_default()
        };
        let is_over = |asked: &Asked| {
            let of = |kind, watch| times(asked, kind, watch) >= tries(watch);
            let again = fault == Some(Fault::Expired);
            let lists = |kind| times(asked, kind, false) >= tries(false) + usize::from(again);
            KINDS.into_iter().all(|kind| lists(kind) && of(kind, true))
        };
        let waited = tokio::time::timeout(PATIENCE, asked.wait_for(is_over)).await;
        assert!(waited.is_ok(), "{fault:?}: not asked for again");
        drop(waited);
        let asked = asked.borrow().clone();
        // A watch that has expired begins anew, with a list.
        let lists = tries(false) + usize::from(fault == Some(Fault::Expired));
        for kind in KINDS {
            assert_eq!(times(&asked, kind, false), lists, "{fault:?}: lists of {kind:?}");
        }
        let now = Found::look(&cluster).uids("calm");
        assert_eq!(made.get_or_insert_with(|| now.clone()), &now, "{fault:?}");
        plane.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_the_same_field_again_and_again_is_named_and_not_fought() {
    let cluster = ControlPlane::start(&Options { nodes: 3, entry: false, ..Options::default() });
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    operate(&plane, directory.path(), "calm", "create").await;
    let (place, id) = (namespace("calm"), "workload/dev_calm_web");
    let scale = |replicas: u32| {
        let to = format!("--replicas={replicas}");
        cluster.kubectl(&["scale", "deployment/web", &format!("--namespace={place}"), &to])
    };
    let replicas = || {
        let path = format!("GET /apis/apps/v1/namespaces/{place}/deployments/web");
        cluster.ask(&path, &Value::Null).1["spec"]["replicas"].as_u64().unwrap()
    };
    let is_named = async || {
        let resource = plane.resource(id).await;
        let blocker = resource.body().and_then(|body| body.blocker.clone());
        blocker.is_some_and(|blocker| {
            blocker.reason.contains("kubectl and Cairn both write")
                && blocker.reason.contains("spec.replicas")
        })
    };
    let mut set_right = 0;
    while set_right <= 4 * CONTEST_MAX && !is_named().await {
        let _ = scale(7);
        plane
            .until("it to be set right or told", async || replicas() == 1 || is_named().await)
            .await;
        set_right += u32::from(replicas() == 1);
    }
    assert!(is_named().await && set_right >= CONTEST_MAX, "set right {set_right} times");
    assert_eq!(replicas(), 7, "nothing more is written");
    // What is decided anew is applied.
    operate(&plane, directory.path(), "calm", "change").await;
    assert_eq!(replicas(), 1);
    plane.stop().await;
}
