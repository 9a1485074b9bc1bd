//! A new revision that is tried beside the old one.

use async_graphql::SimpleObject;
use domain::lifecycle::Body;

use super::Timestamp;

/// A new revision of a workload that runs beside the old one.
#[derive(SimpleObject)]
pub(crate) struct Canary {
    /// Of which generation.
    generation: u64,
    /// Which step, from 1.
    step: u32,
    /// How many steps there are; none when another revision is wanted by now.
    steps: Option<u32>,
    /// The share of the traffic that it gets, in percent.
    weight: u32,
    /// Since when.
    since: Timestamp,
    /// The last measurement of each check in this step, in words.
    measured: Option<String>,
    /// Why it is no good.
    failure: Option<String>,
}

impl Canary {
    pub(crate) fn of(body: &Body) -> Option<Self> {
        use domain::kinds::{TypedSpec as _, Workload};
        let status = body.canary.as_ref()?;
        let steps = Workload::of(&body.spec).and_then(|spec| spec.canary());
        let steps = steps.filter(|_| status.generation == body.generation);
        let steps = steps.and_then(|canary| u32::try_from(canary.steps.len()).ok());
        // After the last step all replicas are replaced; that is no step more.
        let step = status.step.saturating_add(1);
        Some(Self {
            generation: status.generation,
            step: steps.map_or(step, |steps| step.min(steps)),
            steps,
            weight: status.weight,
            since: Timestamp(status.since),
            measured: status.measured(),
            failure: status.failure.clone(),
        })
    }
}
