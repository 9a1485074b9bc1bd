//! What a deployment would do: asked, not recorded.

use std::time::Duration;

use async_graphql::SimpleObject;
use domain::plan::Purpose;
use domain::planning::Options;
use reconcilers::planner::Request;
use reconcilers::{Clock as _, WallClock};

use super::changes::{self, Sent};
use super::mutation::PlanPreviewInput;
use super::types::{Plan, Position};
use crate::fault::{Fault, UserError};
use crate::once::{Stop, suggest};
use crate::plane::Plane;

/// How long views that lag are waited for.
const LAG_MAX: Duration = Duration::from_secs(1);

/// What a deployment of some files would do, or why it would be refused.
#[derive(SimpleObject)]
pub(crate) struct PlanPreview {
    /// What would be done; none where it would be refused.
    plan: Option<Plan>,
    /// What is odd about the files but stops nothing.
    warnings: Vec<String>,
    /// Why it would be refused; empty when it would not.
    user_errors: Vec<UserError>,
}

/// Plans files without a trace: neither a revision nor a plan is recorded.
pub(crate) async fn preview(plane: &Plane, input: PlanPreviewInput) -> Result<PlanPreview, Fault> {
    match planned(plane, input).await {
        Ok(preview) => Ok(preview),
        Err(Stop::Refused(mut user_errors)) => {
            for error in &mut user_errors {
                suggest(plane, error).await;
            }
            Ok(PlanPreview { plan: None, warnings: Vec::new(), user_errors })
        }
        Err(Stop::Fault(fault)) => Err(fault),
    }
}

async fn planned(plane: &Plane, input: PlanPreviewInput) -> Result<PlanPreview, Stop> {
    let PlanPreviewInput { files, companions, application, images, .. } = input;
    let read = changes::read(Sent { files, companions, application, images })?;
    let application = changes::name("input.application", &read.model.name)?;
    let environment = changes::name("input.environment", &input.environment)?;
    let options = Options {
        purpose: Purpose::Deploy,
        allow_replace: input.allow_replace.unwrap_or_default(),
        allow_delete: input.allow_delete.unwrap_or_default(),
        allow_mass_delete: input.allow_mass_delete.unwrap_or_default(),
    };
    let head = plane.probed.executor.journal().head().await?;
    // Views that lag only cost suggestions: the plan stands on the log.
    let _ = plane.views.at_least(head, LAG_MAX).await;
    let hints = changes::hints(plane, &environment, &application).await?;
    let images = [].into();
    let cluster = changes::optional_name("input.cluster", input.cluster.as_deref())?;
    let revision = None;
    let request = Request { application, environment, revision, images, cluster, options, hints };
    let plan = plane.planner.preview(&request, &read.model).await.map_err(changes::stopped)?;
    let plan = Plan::preview(plan, WallClock.now(), Position(head));
    Ok(PlanPreview { plan: Some(plan), warnings: read.warnings, user_errors: Vec::new() })
}
