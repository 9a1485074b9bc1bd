//! A route is upserted in its gateway.

use domain::kinds::Route;
use domain::text::{Inputs, Unresolved, resolve_json};
use serde_json::Value;

use crate::canary;
use crate::converge::{Call, Seen, converge};
use crate::reconcile::{Reconcile, Step, Subject};

impl Reconcile for Route {
    type Observed = Option<Seen>;
    type Call = Call;

    /// While a new revision of its workload is tried, that gets its share.
    fn desired(spec: &Self::Spec, inputs: &Inputs) -> Result<Value, Unresolved> {
        let spec_value = serde_json::to_value(spec).unwrap_or(Value::Null);
        let mut desired = resolve_json(&spec_value, inputs)?;
        if let (Some(weight), Some(fields)) =
            (canary::weight(inputs, &spec.workload), desired.as_object_mut())
        {
            fields.insert("canary".into(), weight.into());
        }
        Ok(desired)
    }

    fn next(
        subject: &Subject<'_, Self>,
        inputs: &Inputs,
        observed: &Self::Observed,
    ) -> Step<Self::Call> {
        converge(subject, inputs, observed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::table;

    #[test]
    fn each_situation_has_its_step() {
        table::check::<Route>(
            serde_json::json!({"host": "shop.test", "path": "/", "workload": "workload/web", "port": 80}),
        );
    }
}
