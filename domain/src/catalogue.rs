//! The files of a platform team: classes and environments, and those that Cairn ships.
//!
//! A file holds any number of documents, each with `kind: class` or `kind: environment`.

use crate::application::{Document, documents};
use crate::diagnostic::Diagnostic;
use crate::kinds::KindName;
use crate::{class, environment};

/// The kinds of documents.
const KINDS: [&str; 2] = ["class", "environment"];

/// The files that every installation begins with.
const SHIPPED: [(&str, &str); 9] = [
    ("catalogue/classes/extensions.yaml", include_str!("../../catalogue/classes/extensions.yaml")),
    ("catalogue/classes/helm.yaml", include_str!("../../catalogue/classes/helm.yaml")),
    ("catalogue/classes/manifests.yaml", include_str!("../../catalogue/classes/manifests.yaml")),
    ("catalogue/classes/mysql.yaml", include_str!("../../catalogue/classes/mysql.yaml")),
    ("catalogue/classes/network.yaml", include_str!("../../catalogue/classes/network.yaml")),
    ("catalogue/classes/postgres.yaml", include_str!("../../catalogue/classes/postgres.yaml")),
    ("catalogue/classes/stores.yaml", include_str!("../../catalogue/classes/stores.yaml")),
    ("catalogue/classes/support.yaml", include_str!("../../catalogue/classes/support.yaml")),
    ("catalogue/environments/dev.yaml", include_str!("../../catalogue/environments/dev.yaml")),
];

/// What catalogue files say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalogue {
    /// Classes, in the order of the files.
    pub classes: Vec<class::Definition>,
    /// Environments, in the order of the files.
    pub environments: Vec<environment::Definition>,
}

/// Reads a file.
///
/// # Errors
/// What is wrong in it, with file, line and column: one mistake for each document at least.
pub fn parse(path: &str, text: &str) -> Result<Catalogue, Vec<Diagnostic>> {
    let mut catalogue = Catalogue::default();
    let mut errors = Vec::new();
    for document in documents(path, text)? {
        match document.text_of("kind") {
            Some("class") => match document.read::<class::Definition>() {
                Ok(definition) => {
                    errors.extend(wrong_in_class(&document, &definition));
                    catalogue.classes.push(definition);
                }
                Err(error) => errors.push(*error),
            },
            Some("environment") => match document.read::<environment::Definition>() {
                Ok(definition) => {
                    errors.extend(wrong_in_environment(&document, &definition));
                    catalogue.environments.push(definition);
                }
                Err(error) => errors.push(*error),
            },
            Some(other) => {
                let found =
                    document.error("kind", format!("there is no kind of document `{other}`"));
                let hint = format!("write one of {}", KINDS.join(", "));
                errors.push(Diagnostic { hint: Some(hint), ..found });
            }
            None => {
                let found = document.error("", "the key `kind` is missing".to_owned());
                let hint = "write `kind: class` or `kind: environment` at the top of the document";
                errors.push(Diagnostic { hint: Some(hint.to_owned()), ..found });
            }
        }
    }
    if errors.is_empty() { Ok(catalogue) } else { Err(errors) }
}

/// The catalogue that every installation begins with.
///
/// # Errors
/// Never for a released Cairn: a test reads it.
pub fn shipped() -> Result<Catalogue, Vec<Diagnostic>> {
    let mut all = Catalogue::default();
    for (path, text) in SHIPPED {
        let mut catalogue = parse(path, text)?;
        all.classes.append(&mut catalogue.classes);
        all.environments.append(&mut catalogue.environments);
    }
    Ok(all)
}

fn wrong_in_class(document: &Document<'_>, class: &class::Definition) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    if let Err(invalid) = class.name() {
        errors.push(document.error("type", invalid.to_string()));
    }
    for class::Mistake { path, message, hint } in class.mistakes() {
        errors.push(Diagnostic { hint, ..document.error(&path, message) });
    }
    for (name, param) in &class.params {
        if let Some(Err(why)) = param.default.as_ref().map(|default| param.check(default)) {
            errors.push(
                document.error(&format!("params.{name}.default"), format!("the default {why}")),
            );
        }
    }
    match class.target {
        KindName::Cluster
        | KindName::SupportService
        | KindName::Workload
        | KindName::Certificate => {
            let message = format!("a class cannot make a {}", class.target);
            errors.push(document.error("target", message));
        }
        KindName::Extension => {}
        KindName::Bucket
        | KindName::Cache
        | KindName::Database
        | KindName::DnsRecord
        | KindName::Helm
        | KindName::Manifests
        | KindName::Queue
        | KindName::Route
        | KindName::Secret
        | KindName::Volume => {
            if !class.outputs.is_empty() {
                let found =
                    document.error("outputs", format!("a {} has its own outputs", class.target));
                let hint = Some("give them other names with `aliases`".to_owned());
                errors.push(Diagnostic { hint, ..found });
            }
        }
    }
    errors.sort_by_key(|error| error.span.start);
    errors
}

fn wrong_in_environment(
    document: &Document<'_>,
    environment: &environment::Definition,
) -> Option<Diagnostic> {
    let why = environment.check().err()?;
    let (path, message) = why.split_once(": ").unwrap_or(("", &why));
    Some(document.error(path, message.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decider::Decider;

    fn errors(text: &str) -> Vec<String> {
        parse("c.yaml", text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_shipped_is_accepted_by_the_aggregates() {
        let catalogue = shipped().unwrap_or_else(|errors| panic!("{errors:#?}"));
        let mut names: Vec<_> =
            catalogue.classes.iter().map(|class| class.name().unwrap()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), catalogue.classes.len(), "two classes of one name");
        let at = crate::Time::from_micros(1);
        for definition in catalogue.classes {
            class::Class::decide(&Default::default(), class::Command::Define { definition, at })
                .unwrap();
        }
        let environments: Vec<_> =
            catalogue.environments.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(environments, ["dev"]);
    }

    #[test]
    fn the_sample_of_a_production_environment_is_valid() {
        let text = include_str!("../../catalogue/environments/prod.yaml");
        let catalogue = parse("prod.yaml", text).unwrap_or_else(|errors| panic!("{errors:#?}"));
        assert!(catalogue.environments.iter().all(|it| it.approval && it.tls));
    }

    #[test]
    fn a_mistake_is_shown_where_it_is() {
        assert_eq!(
            errors("type: x\n"),
            [
                "c.yaml:1:1: the key `kind` is missing (write `kind: class` or `kind: environment` at the top of the document)"
            ]
        );
        assert_eq!(
            errors("kind: clas\n"),
            ["c.yaml:1:1: there is no kind of document `clas` (write one of class, environment)"]
        );
        assert_eq!(
            errors("kind: class\ntype: pg\ntarget: databse\n"),
            ["c.yaml:3:9: there is no kind `databse`"]
        );
        assert_eq!(
            errors("kind: class\ntype: pg\ntarget: database\nparms: {}\n"),
            ["c.yaml:4:1: unknown key `parms` (did you mean `params`?)"]
        );
        let class = "kind: class\ntype: key\ntarget: secret\nparams:\n  size:\n    type: integer\n    default: big\nspec: {length: '${params.size}'}\n";
        assert_eq!(errors(class), ["c.yaml:7:5: the default must be of type integer, not \"big\""]);
        let environment = "kind: environment\nname: dev\ndomain: not a host\nclusters:\n  a: {spec: {location: eu, version: '1.36', nodes_min: 1, nodes_max: 1}}\n";
        assert_eq!(errors(environment), ["c.yaml:3:1: `not a host` is not a host name"]);
        let environment = "kind: environment\nname: dev\ndomain: d.test\nclusters:\n  a:\n    spec: {location: eu, version: '1.36', nodes_min: x, nodes_max: 1}\n";
        assert_eq!(errors(environment), ["c.yaml:6:54: must be a whole number, not \"x\""]);
        assert_eq!(
            errors("kind: environment\nname: dev\ndomain: d.test\n"),
            ["c.yaml:1:1: the key `clusters` is missing"]
        );
    }

    #[test]
    fn what_would_be_kept_silently_is_a_mistake() {
        let class = "kind: class\ntype: pg\ntarget: secret\nparams:\n  size: {type: integer}\nspec:\n  lenght: 20\n  length: ${params.sise}\n";
        assert_eq!(
            errors(class),
            [
                "c.yaml:5:3: the param `size` has no effect (use it under `spec`, as ${params.size}, or take it out)",
                "c.yaml:7:3: a secret has no `lenght` (did you mean `length`?)",
                "c.yaml:8:3: there is no param `sise` (did you mean `size`?)",
            ]
        );
    }

    #[test]
    fn a_number_in_the_place_of_text_is_to_be_quoted() {
        let environment = "kind: environment\nname: dev\ndomain: d.test\nclusters:\n  a:\n    spec: {location: eu, version: 1.30, nodes_min: 1, nodes_max: 1}\n";
        assert_eq!(
            errors(environment),
            ["c.yaml:6:35: must be text, not the number 1.30 (quote it: \"1.30\")"]
        );
    }

    #[test]
    fn every_document_is_judged() {
        assert_eq!(errors("kind: class\n---\nkind: environment\n").len(), 2);
    }
}
