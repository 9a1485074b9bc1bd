//! A certificate is asked for once and renewed by its issuer.

use domain::kinds::Certificate;
use domain::text::Inputs;

use crate::converge::{Call, Seen, converge};
use crate::reconcile::{Reconcile, Step, Subject};

impl Reconcile for Certificate {
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
        table::check::<Certificate>(serde_json::json!({"host": "shop.test"}));
    }
}
