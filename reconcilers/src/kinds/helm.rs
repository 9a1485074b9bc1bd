//! A chart is rendered, applied, changed and removed as one.

use domain::kinds::Helm;
use domain::text::{Inputs, Unresolved, resolve_json};
use serde_json::Value;

use crate::converge::{Call, Seen, converge};
use crate::reconcile::{Reconcile, Step, Subject};

impl Reconcile for Helm {
    type Observed = Option<Seen>;
    type Call = Call;

    /// Its values and its own objects are filled in. The rest is taken as it is: a `$` in the name of a file refers to nothing.
    fn desired(spec: &Self::Spec, inputs: &Inputs) -> Result<Value, Unresolved> {
        let values = resolve_json(&Value::Object(spec.values.clone()), inputs)?;
        let objects = resolve_json(&Value::Array(spec.objects.clone()), inputs)?;
        let mut desired = serde_json::to_value(spec).unwrap_or(Value::Null);
        if let Some(fields) = desired.as_object_mut() {
            fields.insert("values".into(), values);
            if !spec.objects.is_empty() {
                fields.insert("objects".into(), objects);
            }
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
        table::check::<Helm>(serde_json::json!({
            "cluster": "cluster/a",
            "chart": { "archive": "0".repeat(64) },
            "values": { "replicas": 2, "host": "a.test" },
        }));
    }
}
