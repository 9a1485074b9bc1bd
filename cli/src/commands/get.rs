//! `cairn get`: lists of things, and one of them whole.

mod lists;
mod one;

use domain::KindName;

use super::Session;
use crate::args::Get;
use crate::failure::{Exit, Failure, Outcome};

/// What can be got, in every spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Resources(Option<KindName>),
    Deployments,
    Applications,
    Environments,
    Classes,
    Plan,
}

/// Lists things, or shows one.
pub(super) async fn run(args: &Get, session: &Session) -> Outcome {
    // `cairn get database/dev_shop_db` is `cairn get database dev_shop_db`.
    let (kind, name) = match (args.kind.split_once('/'), &args.name) {
        (Some((kind, name)), None) => (kind, Some(name.to_owned())),
        _ => (args.kind.as_str(), args.name.clone()),
    };
    let what = what(kind)?;
    // So is `cairn get resource database/dev_shop_db`.
    let whole = name.as_deref().and_then(|name| name.split_once('/'));
    let (what, name) = match (what, whole) {
        (What::Resources(None), Some((kind, name))) => (self::what(kind)?, Some(name.to_owned())),
        (what, _) => (what, name),
    };
    match (what, name) {
        (What::Plan, None) => {
            Err(Failure::new(Exit::Invalid, "a plan has an id").hint("cairn get plan <id>"))
        }
        (What::Resources(None), Some(name)) => {
            Err(Failure::new(Exit::Invalid, format!("`{name}` does not say of which kind it is"))
                .hint(format!("write the kind and the name, such as `cairn get database {name}`")))
        }
        (what, Some(name)) => one::show(what, &name, args, session).await,
        (what, None) => lists::show(what, args, session).await,
    }
}

fn what(text: &str) -> Outcome<What> {
    let singular = text.strip_suffix("ies").map(|stem| format!("{stem}y"));
    let singular = singular.unwrap_or_else(|| {
        // `classes`, `caches`, `databases`: whatever of the two is a kind.
        let shorter = text.strip_suffix('s').unwrap_or(text);
        shorter.to_owned()
    });
    Ok(match singular.as_str() {
        "resource" | "all" => What::Resources(None),
        "deployment" => What::Deployments,
        "application" | "app" => What::Applications,
        "environment" | "env" => What::Environments,
        "class" | "classe" | "clas" => What::Classes,
        "plan" => What::Plan,
        kind => match KindName::parse(kind).or_else(|| KindName::parse(text)) {
            Some(kind) => What::Resources(Some(kind)),
            None => {
                let kinds: Vec<_> = KindName::ALL.iter().map(|kind| kind.as_str()).collect();
                return Err(Failure::new(Exit::Invalid, format!("there is no kind `{text}`")).hint(format!(
                    "there are resources, deployments, applications, environments, classes, plan, {}",
                    kinds.join(", ")
                )));
            }
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_a_plural() {
        for (text, expected) in [
            ("resources", What::Resources(None)),
            ("classes", What::Classes),
            ("class", What::Classes),
            ("apps", What::Applications),
            ("databases", What::Resources(Some(KindName::Database))),
            ("caches", What::Resources(Some(KindName::Cache))),
            ("dns-record", What::Resources(Some(KindName::DnsRecord))),
            ("env", What::Environments),
        ] {
            assert_eq!(what(text).unwrap(), expected, "{text}");
        }
        assert_eq!(what("horses").unwrap_err().exit, Exit::Invalid);
    }
}
