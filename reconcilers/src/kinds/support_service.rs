//! A support service is installed once for all who need it, and goes when nobody does.

use domain::kinds::SupportService;
use domain::text::Inputs;

use crate::converge::{Call, Seen, converge};
use crate::reconcile::{Reconcile, Step, Subject};

impl Reconcile for SupportService {
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
        table::check::<SupportService>(
            serde_json::json!({"capability": "gateway", "version": "1", "cluster": "cluster/a"}),
        );
    }
}
