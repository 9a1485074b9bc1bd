//! A secret is put together by its store: references to secret values are handed on as references.

use domain::kinds::Secret;
use domain::text::{Inputs, OutputValue, Part, Text, Unresolved};
use serde_json::{Value, json};

use crate::converge::{Call, Seen, converge};
use crate::reconcile::{Reconcile, Step, Subject};

impl Reconcile for Secret {
    type Observed = Option<Seen>;
    type Call = Call;

    fn desired(spec: &Self::Spec, inputs: &Inputs) -> Result<Value, Unresolved> {
        let template = spec.template.as_ref().map(|text| parts(text, inputs)).transpose()?;
        Ok(json!({ "template": template, "length": spec.length, "store": spec.store }))
    }

    fn next(
        subject: &Subject<'_, Self>,
        inputs: &Inputs,
        observed: &Self::Observed,
    ) -> Step<Self::Call> {
        converge(subject, inputs, observed)
    }
}

/// The template, piece by piece: text in clear, and references for the store to fill in.
fn parts(text: &Text, inputs: &Inputs) -> Result<Vec<Value>, Unresolved> {
    text.parts()
        .iter()
        .map(|part| match part {
            Part::Literal(literal) => Ok(json!(literal)),
            Part::Output(reference) => {
                let alone = Text::output(reference.resource.clone(), reference.output.clone());
                Ok(match alone.resolve(inputs)? {
                    OutputValue::Plain(value) => json!(value),
                    OutputValue::Secret(secret) => json!({ "secretRef": secret }),
                })
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::table;

    #[test]
    fn each_situation_has_its_step() {
        table::check::<Secret>(serde_json::json!({"length": 32}));
    }
}
