//! Objects that somebody wrote are applied, changed and removed together.

use domain::kinds::Manifests;
use domain::text::{Inputs, Unresolved};
use serde_json::Value;

use crate::converge::{Call, Seen, converge};
use crate::reconcile::{Reconcile, Step, Subject};

impl Reconcile for Manifests {
    type Observed = Option<Seen>;
    type Call = Call;

    /// Objects are taken as they are: a `$` in one of their names refers to nothing.
    fn desired(spec: &Self::Spec, _: &Inputs) -> Result<Value, Unresolved> {
        Ok(serde_json::to_value(spec).unwrap_or(Value::Null))
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
        table::check::<Manifests>(serde_json::json!({
            "cluster": "cluster/a",
            "objects": { "v1 ConfigMap web": "0".repeat(64) },
        }));
    }
}
