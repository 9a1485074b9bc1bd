//! What the application asks for, by where it asks: which requests are the same resource, which mean another workload.

use std::collections::BTreeMap;

use super::build::{Built, Scene};
use super::class_match::{Matched, find, is_workload_type};
use super::names;
use super::refusal::{Refusal, RefusalCode};
use crate::application::{OnDelete, ResourceRequest};
use crate::name::ResourceId;

/// Who asks: a workload, or the application itself.
pub(super) type Scope<'a> = Option<&'a str>;

/// One request.
#[derive(Clone)]
pub(super) struct Request<'a> {
    pub(super) scope: Scope<'a>,
    pub(super) name: &'a str,
    pub(super) request: &'a ResourceRequest,
}

/// What a request means.
#[derive(Clone)]
pub(super) enum Target<'a> {
    /// A resource made from a class.
    Resource(ResourceId),
    /// Another workload of the application.
    Workload(Request<'a>),
    /// Refused already: whatever refers to it is not refused once more.
    Broken,
}

/// A resource to be made from a class, and who asks for it.
pub(super) struct Claim<'a> {
    /// Who defines it: the first to ask for it with parameters, else the first.
    pub(super) definer: Request<'a>,
    pub(super) matched: Matched<'a>,
    pub(super) why: Vec<String>,
    pub(super) protected: bool,
}

/// Every request of an application.
pub(super) struct Requests<'a> {
    targets: BTreeMap<(Scope<'a>, &'a str), Target<'a>>,
    pub(super) claims: BTreeMap<ResourceId, Claim<'a>>,
}

impl<'a> Request<'a> {
    /// Where it is written.
    pub(super) fn path(&self) -> String {
        match self.scope {
            Some(workload) => format!("workloads.{workload}.resources.{}", self.name),
            None => format!("resources.{}", self.name),
        }
    }

    /// What it is, in words.
    pub(super) fn words(&self) -> String {
        match self.scope {
            Some(workload) => format!("resource {} of workload {workload}", self.name),
            None => format!("resource {} of the application", self.name),
        }
    }
}

impl<'a> Requests<'a> {
    /// Reads every request and matches it to a class.
    pub(super) fn collect(scene: &Scene<'a>, built: &mut Built) -> Self {
        let mut requests = Self { targets: BTreeMap::new(), claims: BTreeMap::new() };
        let shared = scene.model.resources.iter().map(|(name, request)| (None, name, request));
        let own = scene.model.workloads.iter().flat_map(|(workload, body)| {
            body.resources
                .iter()
                .map(move |(name, request)| (Some(workload.as_str()), name, request))
        });
        for (scope, name, request) in shared.chain(own) {
            let request = Request { scope, name, request };
            let target = if is_workload_type(&request.request.resource_type) {
                Target::Workload(request.clone())
            } else {
                requests.claim(scene, built, &request)
            };
            requests.targets.insert((scope, name.as_str()), target);
        }
        requests
    }

    /// What a name means to a workload: its own resource, else the application's.
    pub(super) fn target(&self, scope: Scope<'a>, name: &'a str) -> Option<&Target<'a>> {
        self.targets.get(&(scope, name)).or_else(|| self.targets.get(&(None, name)))
    }

    /// Every name that means something to a workload, with what it means: its own, then the application's.
    pub(super) fn visible(&self, scope: Scope<'a>) -> impl Iterator<Item = (&'a str, &Target<'a>)> {
        let of_application = scope.is_some().then(|| self.of(None)).into_iter().flatten();
        self.of(scope).chain(of_application)
    }

    fn of(&self, scope: Scope<'a>) -> impl Iterator<Item = (&'a str, &Target<'a>)> {
        let from = self.targets.range((scope, "")..);
        from.take_while(move |((of, _), _)| *of == scope).map(|((_, name), target)| (*name, target))
    }

    /// The requests that mean another workload.
    pub(super) fn workload_requests(&self) -> Vec<Request<'a>> {
        let requests = self.targets.values().filter_map(|target| match target {
            Target::Workload(request) => Some(request.clone()),
            Target::Resource(_) | Target::Broken => None,
        });
        requests.collect()
    }

    /// The resources that a workload asks for itself.
    pub(super) fn own_resources(&self, workload: &'a str) -> impl Iterator<Item = &ResourceId> {
        self.of(Some(workload)).filter_map(|(_, target)| match target {
            Target::Resource(id) => Some(id),
            Target::Workload(_) | Target::Broken => None,
        })
    }

    fn claim(&mut self, scene: &Scene<'a>, built: &mut Built, request: &Request<'a>) -> Target<'a> {
        let path = request.path();
        let id = request.request.id.as_deref();
        let named = names::resource(scene.deployment, request.scope, request.name, id)
            .map_err(|invalid| Refusal::new(RefusalCode::InvalidName, &path, invalid.to_string()));
        let (matched, name) = match (find(scene, request.request, &path), named) {
            (Ok(matched), Ok(name)) => (matched, name),
            (matched, named) => {
                built.refusals.extend([matched.err(), named.err()].into_iter().flatten());
                return Target::Broken;
            }
        };
        built.classes.insert(matched.name.clone(), matched.version);
        let id = ResourceId::new(matched.definition.target, name);
        let protected = protects(scene, request, &matched, built);
        match self.claims.get_mut(&id) {
            None => {
                let why = vec![request.words()];
                let claim = Claim { definer: request.clone(), matched, why, protected };
                self.claims.insert(id.clone(), claim);
            }
            Some(claim) if claim.same_as(request, &matched) => {
                claim.join(request, protected, &id, built);
            }
            Some(claim) => {
                let message = format!(
                    "{} and {} are both called {id}",
                    claim.definer.words(),
                    request.words()
                );
                built.refusals.push(
                    Refusal::new(RefusalCode::NameCollision, path, message)
                        .hint("rename one of them"),
                );
                return Target::Broken;
            }
        }
        Target::Resource(id)
    }
}

impl<'a> Claim<'a> {
    /// Score: equal type, class and id are the same resource.
    fn same_as(&self, request: &Request<'a>, matched: &Matched<'a>) -> bool {
        self.definer.request.id.is_some()
            && self.definer.request.id == request.request.id
            && self.matched.name == matched.name
    }

    fn join(&mut self, request: &Request<'a>, protected: bool, id: &ResourceId, built: &mut Built) {
        self.protected |= protected;
        self.why.push(request.words());
        if request.request.params.is_empty()
            || request.request.params == self.definer.request.params
        {
            return;
        }
        if self.definer.request.params.is_empty() {
            self.definer = request.clone();
        } else {
            built.notes.push(format!(
                "{id} is shared: the params of {} count, those of {} do not",
                self.definer.words(),
                request.words()
            ));
        }
    }
}

/// Whether its deletion is to be refused. Only what holds data takes the application's default.
fn protects(
    scene: &Scene<'_>,
    request: &Request<'_>,
    matched: &Matched<'_>,
    built: &mut Built,
) -> bool {
    let definition = matched.definition;
    let stateful = definition.target.is_stateful()
        || definition.spec.get("stateful").and_then(serde_json::Value::as_bool) == Some(true);
    let default = scene.model.delete.filter(|_| stateful);
    match request.request.delete.or(default) {
        Some(OnDelete::Protect) => true,
        Some(OnDelete::Snapshot) => {
            built.notes.push(format!(
                "{}: a last snapshot cannot be kept yet, so its deletion is refused instead",
                request.path()
            ));
            true
        }
        Some(OnDelete::Allow) | None => false,
    }
}
