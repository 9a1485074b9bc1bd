//! A workload rolls when its spec or a value that it refers to changes, after a canary where it says so.

use domain::kinds::Workload;
use domain::text::{Inputs, Unresolved, resolve_json};
use serde_json::Value;

use crate::canary;
use crate::converge::{Call, Seen, converge};
use crate::reconcile::{Reconcile, Step, Subject};

impl Reconcile for Workload {
    type Observed = Option<Seen>;
    type Call = Call;

    /// How a revision comes is no part of what it is.
    fn desired(spec: &Self::Spec, inputs: &Inputs) -> Result<Value, Unresolved> {
        let mut desired = serde_json::to_value(spec).unwrap_or(Value::Null);
        if let (Some(_), Some(fields)) = (spec.canary(), desired.as_object_mut()) {
            fields.insert("strategy".into(), "rolling".into());
        }
        resolve_json(&desired, inputs)
    }

    fn next(
        subject: &Subject<'_, Self>,
        inputs: &Inputs,
        observed: &Self::Observed,
    ) -> Step<Self::Call> {
        canary::next(subject, inputs, observed.as_ref())
            .unwrap_or_else(|| converge(subject, inputs, observed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::table;

    #[test]
    fn each_situation_has_its_step() {
        table::check::<Workload>(
            serde_json::json!({"mode": "service", "cluster": "cluster/a", "containers": {"main": {"image": "web:1"}}, "scale": {"fixed": 3}}),
        );
    }
}
