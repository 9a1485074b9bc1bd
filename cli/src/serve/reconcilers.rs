//! What acts on the world, and its numbers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ::reconcilers::planner::{WayBack, WayOut};
use ::reconcilers::run::Loop;
use ::reconcilers::{Driver, Leases, Settings, WallClock};
use futures::FutureExt as _;
use journal::Executor;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::sync::watch;
use uuid::Uuid;

use super::world::World;
use super::{Part, chain};
use crate::failure::{Exit, Failure, Outcome};

/// The loop, with its share of the work.
pub(super) fn prepare(
    settings: &super::Settings,
    executor: &Executor,
    world: &World,
    leases: Leases,
) -> Loop {
    let grace_micros = i64::from(settings.keep_unneeded) * 1_000_000;
    let settings = Settings { session: Uuid::new_v4(), grace_micros };
    let driver = Driver::new(executor.clone(), world.providers(), Arc::new(WallClock), settings);
    let back = WayBack::new(executor.clone(), Arc::new(WallClock));
    let out = WayOut::new(executor.clone(), Arc::new(WallClock));
    let driver = driver.with_roll_back(Arc::new(back)).with_fail_over(Arc::new(out));
    Loop::new(Arc::new(driver)).with_leases(leases)
}

/// Runs it until the server closes.
pub(super) fn part(acting: Loop, closing: watch::Receiver<bool>) -> Part {
    let run = acting.run(closing);
    async move { run.await.map_err(|error| chain("the reconcilers stopped", &error)) }.boxed()
}

/// The numbers that the API does not keep itself.
pub(super) fn numbers(
    acting: Option<&Loop>,
    leases: &Leases,
) -> Outcome<Arc<dyn Fn() -> String + Send + Sync>> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| {
        Failure::new(Exit::Unreachable, format!("the metrics cannot be kept: {error}"))
    })?;
    let acting = acting.map(|acting| (acting.counters(), acting.queue()));
    let held = leases.counters();
    Ok(Arc::new(move || {
        let count = |name: &'static str, value: u64| metrics::counter!(name).absolute(value);
        let gauge = |name: &'static str, value: u64| {
            metrics::gauge!(name).set(f64::from(u32::try_from(value).unwrap_or(u32::MAX)));
        };
        if let Some((counters, queue)) = &acting {
            count("cairn_reconcile_looks_total", counters.looks.load(Ordering::Relaxed));
            count("cairn_reconcile_steps_total", counters.steps.load(Ordering::Relaxed));
            count("cairn_reconcile_failures_total", counters.failures.load(Ordering::Relaxed));
            count("cairn_reconcile_stopped_total", counters.stopped.load(Ordering::Relaxed));
            count("cairn_swept_total", counters.swept.load(Ordering::Relaxed));
            gauge("cairn_queue_depth", u64::try_from(queue.depth()).unwrap_or(u64::MAX));
            gauge("cairn_partitions_held", held.partitions.load(Ordering::Relaxed));
        }
        count("cairn_lease_losses_total", held.losses.load(Ordering::Relaxed));
        count("cairn_lease_takeovers_total", held.takeovers.load(Ordering::Relaxed));
        handle.run_upkeep();
        handle.render()
    }))
}
