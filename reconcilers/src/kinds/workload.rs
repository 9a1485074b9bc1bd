//! A workload rolls when its spec or a value that it refers to changes.

use domain::kinds::Workload;
use domain::text::Inputs;

use crate::converge::{Call, Seen, converge};
use crate::reconcile::{Reconcile, Step, Subject};

impl Reconcile for Workload {
    type Observed = Option<Seen>;
    type Call = Call;

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
        table::check::<Workload>(
            serde_json::json!({"mode": "service", "cluster": "cluster/a", "containers": {"main": {"image": "web:1"}}, "scale": {"fixed": 3}}),
        );
    }
}
