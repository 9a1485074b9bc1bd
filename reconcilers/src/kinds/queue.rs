//! A broker is made, changed and removed by one call each.

use domain::kinds::Queue;
use domain::text::Inputs;

use crate::converge::{Call, Seen, converge};
use crate::reconcile::{Reconcile, Step, Subject};

impl Reconcile for Queue {
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
        table::check::<Queue>(
            serde_json::json!({"engine": "amqp", "version": "4", "memory_mib": 64}),
        );
    }
}
