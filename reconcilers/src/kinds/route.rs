//! A route is upserted in its gateway.

use domain::kinds::Route;
use domain::text::Inputs;

use crate::converge::{Call, Seen, converge};
use crate::reconcile::{Reconcile, Step, Subject};

impl Reconcile for Route {
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
        table::check::<Route>(
            serde_json::json!({"host": "shop.test", "path": "/", "workload": "workload/web", "port": 80}),
        );
    }
}
