//! Which class a request means.

use std::collections::BTreeSet;

use super::build::Scene;
use super::refusal::{Refusal, RefusalCode, suggest};
use crate::application::{Model, ResourceRequest};
use crate::class::{DEFAULT_CLASS, Definition, is_support, name_of, support_class};
use crate::environment::{self, Environment};
use crate::name::Name;

/// The resource types that mean another workload of the same application. They have no class.
pub(super) const WORKLOAD_TYPES: [&str; 2] = ["service", "service-port"];

/// The class of a request.
#[derive(Clone, Debug)]
pub(super) struct Matched<'a> {
    pub(super) name: Name,
    pub(super) version: u64,
    pub(super) definition: &'a Definition,
}

/// The classes that an application asks for in an environment, offered or not, and those that the environment
/// installs for it.
#[must_use]
pub fn required_classes(model: &Model, environment: &Environment) -> BTreeSet<Name> {
    let Some(definition) = &environment.definition else { return BTreeSet::new() };
    let model = model.in_environment(&definition.name);
    let own = model.workloads.values().flat_map(|workload| workload.resources.values());
    let requests = model.resources.values().chain(own);
    let asked = requests.filter(|request| !is_workload_type(&request.resource_type)).filter_map(
        |request| name_of(&request.resource_type, meant_class(request, definition)).ok(),
    );
    let support = definition.support.iter().flat_map(|(capability, support)| {
        let names = support.classes.iter().map(|class| support_class(*capability, class));
        names.filter_map(Result::ok)
    });
    asked.chain(support).collect()
}

pub(super) fn is_workload_type(resource_type: &str) -> bool {
    WORKLOAD_TYPES.iter().any(|builtin| builtin.eq_ignore_ascii_case(resource_type))
}

/// The class within the type: the developer's word, else the environment's, else `default`.
fn meant_class<'a>(
    request: &'a ResourceRequest,
    definition: &'a environment::Definition,
) -> &'a str {
    let bound = || {
        let mut bindings = definition.classes.iter();
        bindings.find(|(key, _)| key.eq_ignore_ascii_case(&request.resource_type))
    };
    match (&request.class, bound()) {
        (Some(class), _) | (None, Some((_, class))) => class,
        (None, None) => DEFAULT_CLASS,
    }
}

/// Finds the class of a request.
pub(super) fn find<'a>(
    scene: &Scene<'a>,
    request: &ResourceRequest,
    path: &str,
) -> Result<Matched<'a>, Refusal> {
    let class = meant_class(request, scene.definition);
    let written = format!("{}/{class}", request.resource_type);
    if is_support(&request.resource_type) {
        let message = format!(
            "`{}` is shared, and installed where something needs it",
            request.resource_type
        );
        let hint = "take it out; an environment says under `support` what is installed for what";
        return Err(Refusal::new(RefusalCode::ClassNotAllowed, path, message).hint(hint));
    }
    let name = name_of(&request.resource_type, class)
        .map_err(|invalid| Refusal::new(RefusalCode::InvalidName, path, invalid.to_string()))?;
    let Some((version, definition)) = scene.context.classes.get(&name) else {
        return Err(not_found(scene, request, class, path));
    };
    let allowed = &scene.definition.guardrails.allowed_classes;
    if !allowed.is_empty() && !allowed.iter().any(|one| one.eq_ignore_ascii_case(&written)) {
        let message =
            format!("environment {} does not allow the class {written}", scene.definition.name);
        return Err(Refusal::new(RefusalCode::ClassNotAllowed, path, message)
            .hint(format!("allowed: {}", allowed.join(", "))));
    }
    Ok(Matched { name, version: *version, definition })
}

fn not_found(scene: &Scene<'_>, request: &ResourceRequest, class: &str, path: &str) -> Refusal {
    let known = scene.context.known_classes.iter().filter_map(|name| name.as_str().split_once('_'));
    let lower = request.resource_type.to_ascii_lowercase();
    let (of_type, others): (Vec<_>, Vec<_>) = known.partition(|(of, _)| *of == lower);
    if of_type.is_empty() {
        let types: BTreeSet<&str> =
            others.iter().map(|(of, _)| *of).chain(WORKLOAD_TYPES).collect();
        let message = format!("there is no resource type `{}`", request.resource_type);
        return Refusal::new(RefusalCode::ClassNotFound, format!("{path}.type"), message)
            .hint(suggest("types", &lower, types));
    }
    let message = format!("there is no class `{class}` of `{}`", request.resource_type);
    let classes = of_type.into_iter().map(|(_, class)| class);
    Refusal::new(RefusalCode::ClassNotFound, format!("{path}.class"), message)
        .hint(suggest("classes", class, classes))
}
