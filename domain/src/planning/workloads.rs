//! From a workload of the file to a workload's spec.

use std::collections::BTreeMap;

use super::Wanted;
use super::build::Builder;
use super::names;
use super::refusal::{Refusal, RefusalCode, nearest};
use super::texts::Place;
use crate::application::{self as app, Content, Migrate};
use crate::kinds::support_service::Capability;
use crate::kinds::workload::{
    Container, File, FileContent, Mode, Mount, Scale, Spec as WorkloadSpec, Strategy,
};
use crate::kinds::{KindName, Spec};
use crate::name::{Name, ResourceId};
use crate::text::Text;

/// How many replicas run where nobody says.
const REPLICAS_DEFAULT: u32 = 1;

impl<'a> Builder<'a> {
    /// Builds every workload, after the resources whose outputs they use.
    pub(super) fn build_workloads(&mut self) {
        for (name, workload) in &self.scene.model.workloads {
            let path = format!("workloads.{name}");
            match names::workload(self.scene.deployment, name) {
                Ok(id) => self.build_workload(name, workload, &id, &path),
                Err(invalid) => {
                    self.refuse(Refusal::new(RefusalCode::InvalidName, path, invalid.to_string()));
                }
            }
        }
    }

    fn build_workload(
        &mut self,
        name: &'a str,
        workload: &'a app::Workload,
        id: &ResourceId,
        path: &str,
    ) {
        let mut containers = BTreeMap::new();
        for (container, body) in &workload.containers {
            let path = format!("{path}.containers.{container}");
            let own =
                ContainerPlace { workload: name, name: container, path: &path, owner: &id.name };
            containers.insert(container.clone(), self.container(body, &own));
        }
        let mut after = self.after(name, workload, path);
        if let Some(migrate) = &workload.migrate {
            after.extend(self.migration(name, workload, migrate, &containers, id));
        }
        let scale = workload.scale.clone().unwrap_or(Scale::Fixed(REPLICAS_DEFAULT));
        if matches!(scale, Scale::Auto { .. }) {
            after.extend(
                self.support(Capability::Metrics, &format!("the scale of workload {name}")),
            );
        }
        after.sort();
        after.dedup();
        let spec = WorkloadSpec {
            mode: workload.mode.clone(),
            cluster: self.site.id.clone(),
            grants: self.grants(name, &containers),
            containers,
            ports: workload.ports.clone(),
            scale,
            strategy: workload.strategy.clone(),
            after,
            delegated: workload.delegated.clone(),
            annotations: workload.annotations.clone(),
        };
        self.add_workload(id.clone(), spec, format!("workload {name}"), path);
    }

    fn add_workload(&mut self, id: ResourceId, spec: WorkloadSpec, why: String, path: &str) {
        let spec = Spec::Workload(spec);
        for violation in spec.validate() {
            // The field of the spec and the place in the file have the same name, up to here.
            let place = format!("{path}.{}", violation.path);
            self.refuse(match violation.path.ends_with(".image") {
                true => {
                    let container = violation.path.split('.').nth(1).unwrap_or_default();
                    Refusal::new(RefusalCode::ImageMissing, place, violation.message)
                        .hint(format!("deploy with --image {container}=registry/name@sha256:…"))
                }
                false => {
                    Refusal::new(RefusalCode::InvalidSpec, place, format!("workload.{violation}"))
                }
            });
        }
        let place = path.to_owned();
        let why = vec![why];
        let lifetime = self.own();
        self.add(
            id,
            Wanted { spec, class: None, lifetime, protected: false, why, place, as_found: false },
        );
    }

    /// The workloads that must be ready first.
    fn after(&mut self, name: &str, workload: &app::Workload, path: &str) -> Vec<ResourceId> {
        let mut after = Vec::new();
        for other in &workload.after {
            let known = self.scene.model.workloads.keys().map(String::as_str);
            if self.scene.model.workloads.contains_key(other) {
                after.extend(names::workload(self.scene.deployment, other));
                continue;
            }
            let message = format!(
                "workload {name} comes after `{other}`, which the application does not have"
            );
            let refusal =
                Refusal::new(RefusalCode::UnknownWorkload, format!("{path}.after"), message);
            let near = nearest(other, known).map(|near| format!("did you mean `{near}`?"));
            self.refuse(match near {
                Some(near) => refusal.hint(near),
                None => refusal,
            });
        }
        after
    }

    /// The buckets that the workload asks for itself or refers to.
    fn grants(&self, name: &'a str, containers: &BTreeMap<String, Container>) -> Vec<ResourceId> {
        let texts = containers.values().flat_map(Container::texts).flat_map(Text::references);
        let referred = texts.map(|reference| &reference.resource);
        let mut grants: Vec<ResourceId> = self
            .requests
            .own_resources(name)
            .chain(referred)
            .filter(|id| id.kind == KindName::Bucket && self.built.wanted.contains_key(*id))
            .cloned()
            .collect();
        grants.sort();
        grants.dedup();
        grants
    }

    /// The job that runs to the end before the workload: a container of it with another command.
    fn migration(
        &mut self,
        name: &'a str,
        workload: &'a app::Workload,
        migrate: &Migrate,
        containers: &BTreeMap<String, Container>,
        id: &ResourceId,
    ) -> Option<ResourceId> {
        let path = format!("workloads.{name}.migrate");
        let Some(container) = containers.get(&migrate.container) else {
            let message = format!("there is no container `{}`", migrate.container);
            self.refuse(Refusal::new(RefusalCode::InvalidSpec, path, message));
            return None;
        };
        let mut container = container.clone();
        container.image = migrate.image.clone().unwrap_or(container.image);
        container.command.clone_from(&migrate.command);
        container.args.clone_from(&migrate.args);
        (container.liveness, container.readiness) = (None, None);
        container.before.clear();
        if workload.mode == Mode::Stateful {
            // They are the replicas'.
            container.volumes.clear();
        }
        let job = match names::migration(id) {
            Ok(job) => job,
            Err(invalid) => {
                self.refuse(Refusal::new(RefusalCode::InvalidName, path, invalid.to_string()));
                return None;
            }
        };
        let containers = BTreeMap::from([(migrate.container.clone(), container)]);
        let spec = WorkloadSpec {
            mode: Mode::Job,
            cluster: self.site.id.clone(),
            grants: self.grants(name, &containers),
            containers,
            ports: BTreeMap::new(),
            scale: Scale::Fixed(1),
            strategy: Strategy::Recreate,
            after: Vec::new(),
            delegated: Vec::new(),
            annotations: workload.annotations.clone(),
        };
        self.add_workload(job.clone(), spec, format!("migration of workload {name}"), &path);
        Some(job)
    }

    fn container(&mut self, container: &app::Container, own: &ContainerPlace<'_>) -> Container {
        let mut variables = BTreeMap::new();
        for (name, raw) in &container.variables {
            let place = own.place(&format!("variables.{name}"), None);
            let text = self.text(raw, &place, own.owner, &[own.name, name]);
            variables.insert(name.clone(), text.unwrap_or_default());
        }
        let mut files = BTreeMap::new();
        for (path, file) in &container.files {
            files.insert(path.clone(), self.file(path, file, own));
        }
        let mut volumes = BTreeMap::new();
        for (path, mount) in &container.volumes {
            let place = own.place(&format!("volumes.{path}"), Some("source"));
            let source = self.text(&mount.source, &place, own.owner, &[own.name, path]);
            let mount = Mount {
                source: source.unwrap_or_default(),
                path: mount.path.clone(),
                read_only: mount.read_only,
            };
            volumes.insert(path.clone(), mount);
        }
        Container {
            image: container.image.clone(),
            command: container.command.clone(),
            args: container.args.clone(),
            variables,
            files,
            volumes,
            limits: container.limits.clone(),
            requests: container.requests.clone(),
            liveness: container.liveness.clone(),
            readiness: container.readiness.clone(),
            before: container.before.clone(),
        }
    }

    fn file(&mut self, path: &str, file: &app::File, own: &ContainerPlace<'_>) -> File {
        let content = match &file.content {
            Content::Text(raw) => {
                let place = own.place(&format!("files.{path}"), None);
                let text = self.text(raw, &place, own.owner, &[own.name, path]);
                FileContent::Text(text.unwrap_or_default())
            }
            Content::Literal(text) => FileContent::Text(Text::literal(text.as_str())),
            Content::Base64(bytes) => FileContent::Base64(bytes.clone()),
        };
        File { content, mode: file.mode.clone() }
    }
}

/// A container and where it stands.
struct ContainerPlace<'p> {
    workload: &'p str,
    name: &'p str,
    path: &'p str,
    /// The workload's name, after which secrets are named.
    owner: &'p Name,
}

impl<'p> ContainerPlace<'p> {
    fn place(&self, field: &str, bare_output: Option<&'p str>) -> Place<'p> {
        Place { scope: Some(self.workload), path: format!("{}.{field}", self.path), bare_output }
    }
}
