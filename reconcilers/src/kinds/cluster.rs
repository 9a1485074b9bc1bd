//! A cluster is the slowest of all: minutes, not seconds.

use domain::kinds::Cluster;
use domain::text::Inputs;

use crate::converge::{Call, Seen, converge};
use crate::reconcile::{Reconcile, Step, Subject};

impl Reconcile for Cluster {
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
        table::check::<Cluster>(
            serde_json::json!({"location": "eu", "version": "1.36", "nodes_min": 1, "nodes_max": 3}),
        );
    }
}
