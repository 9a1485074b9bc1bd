//! Whether what is waited for has come, or will not come.

use std::time::Duration;

use super::{Goal, Progress, is_running};
use crate::answers::{Deployment, Rollout};
use crate::failure::{Exit, Failure, Outcome};
use crate::terminal::duration;
use crate::tree;

/// How long a rollback that has to come may take to begin.
const BEGINS_WITHIN: Duration = Duration::from_secs(10);

pub(super) enum Verdict {
    NotYet,
    /// It failed, and the way back is gone: what to say of it.
    TakenBack(String),
    Done(String),
}

impl Progress<'_> {
    /// Judges what was looked at.
    ///
    /// # Errors
    /// What is waited for will not come.
    pub(super) fn judge(&self, last: &Deployment) -> Outcome<Verdict> {
        let ours = if self.rollout.is_some() { &last.ours } else { &last.rollout };
        if let Some(ours) = ours {
            match (ours.outcome.as_str(), &last.rollout) {
                ("failed", _) => return self.failed(ours, last),
                (_, Some(newer)) if newer.number > ours.number => {
                    return Err(self.superseded(&newer.name));
                }
                _ => {}
            }
        }
        let nodes = last.tree.as_deref().unwrap_or_default();
        let took = duration(i64::try_from(self.started.elapsed().as_secs()).unwrap_or_default());
        let ready = nodes.iter().all(|node| node.resource.ready);
        match self.goal {
            Goal::Ready if last.phase == "deleted" => {
                Err(Failure::new(Exit::Negative, format!("{} is deleted", self.deployment)))
            }
            Goal::Ready if !is_running(last) && ready => {
                let revision = last.revision.unwrap_or_default();
                let (name, count) = (&last.name, nodes.len());
                Ok(Verdict::Done(format!(
                    "{name} revision {revision} is ready: {count} resources, {took}"
                )))
            }
            Goal::Gone if last.phase == "deleted" => {
                Ok(Verdict::Done(format!("{} is gone, {took}", last.name)))
            }
            Goal::Ready | Goal::Gone => Ok(Verdict::NotYet),
        }
    }

    fn superseded(&self, by: &str) -> Failure {
        Failure::new(Exit::Negative, format!("rollout {by} took its place"))
            .hint(format!("wait for that one with: cairn wait {}", self.deployment))
    }

    /// What we wait for failed; where it is taken back, we wait for that.
    fn failed(&self, ours: &Rollout, last: &Deployment) -> Outcome<Verdict> {
        let reason = ours.reason.clone().unwrap_or_default();
        let what = format!("{} {} failed", ours.purpose, ours.number);
        let see = format!("see the graph with: cairn trace {}", self.deployment);
        let failure = Failure::new(Exit::Negative, what.clone())
            .detail(reason.clone())
            .hint(tree::resume(last).unwrap_or(see));
        let back = |revision: u64| {
            Ok(Verdict::TakenBack(format!("{what}: {reason}; going back to revision {revision}")))
        };
        let newer = last.rollout.as_ref().filter(|rollout| rollout.number > ours.number);
        let Some(newer) = newer else {
            let began_late = self.told.is_some_and(|told| told.elapsed() > BEGINS_WITHIN);
            return match last.good_revision.filter(|_| last.rollback_pending) {
                Some(good) if !began_late => back(good),
                Some(good) => {
                    Err(failure.detail(format!("going back to revision {good} did not begin")))
                }
                None => Err(failure),
            };
        };
        let (name, revision) = (&last.name, newer.revision);
        match (newer.purpose.as_str(), newer.outcome.as_str()) {
            ("rollback", "running") => back(revision),
            ("rollback", "succeeded") => {
                Err(failure.detail(format!("{name} is back at revision {revision}")))
            }
            ("rollback", "failed") => {
                let why = newer.reason.clone().unwrap_or_default();
                Err(failure.detail(format!("going back to revision {revision} failed too: {why}")))
            }
            _ => Err(failure.detail(format!("rollout {} has taken its place since", newer.name))),
        }
    }
}
