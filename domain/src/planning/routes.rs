//! What a class leaves to the plan: host names, gateways, certificates, the store of a secret.

use serde_json::{Map, Value};

use super::Wanted;
use super::build::Builder;
use super::names;
use super::refusal::{Refusal, RefusalCode, suggest};
use super::requests::Target;
use super::resources::Draft;
use super::services::find_port;
use crate::kinds::certificate::Spec as CertificateSpec;
use crate::kinds::support_service::Capability;
use crate::kinds::{KindName, Spec};
use crate::name::ResourceId;
use crate::text::Text;

type Fields = Map<String, Value>;

impl Builder<'_> {
    /// Fills in what the class left open. None when something was refused.
    pub(super) fn complete(
        &mut self,
        draft: &Draft<'_>,
        kind: KindName,
        fields: &mut Fields,
    ) -> Option<()> {
        match kind {
            KindName::DnsRecord => self.complete_dns_record(draft, fields),
            KindName::Route => self.complete_route(draft, fields),
            KindName::Secret => {
                let store = self.support(Capability::Secrets, &draft.words);
                set(fields, "store", store);
                Some(())
            }
            KindName::Certificate => {
                let issuer = self.support(Capability::Certificates, &draft.words);
                set(fields, "issuer", issuer);
                set(fields, "cluster", Some(self.site.id.clone()));
                Some(())
            }
            KindName::Bucket
            | KindName::Cache
            | KindName::Cluster
            | KindName::Database
            | KindName::Extension
            | KindName::Helm
            | KindName::Manifests
            | KindName::Queue
            | KindName::SupportService
            | KindName::Volume
            | KindName::Workload => Some(()),
        }
    }

    fn complete_dns_record(&mut self, draft: &Draft<'_>, fields: &mut Fields) -> Option<()> {
        if is_open(fields, "host") {
            fields.insert("host".into(), Value::String(self.host(draft)));
        }
        let gateway = self.support(Capability::Gateway, &draft.words);
        if is_open(fields, "target") {
            let target = self.entry(gateway, draft)?;
            fields.insert("target".into(), Value::String(target.to_string()));
        }
        let dns = self.support(Capability::Dns, &draft.words);
        set(fields, "dns", dns);
        set(fields, "cluster", Some(self.site.id.clone()));
        Some(())
    }

    /// Where requests from outside arrive.
    fn entry(&mut self, gateway: Option<ResourceId>, draft: &Draft<'_>) -> Option<Text> {
        if let Some(gateway) = gateway {
            return Some(Text::output(gateway, "address"));
        }
        if self.site.spec.existing.is_none() {
            return Some(Text::output(self.site.id.clone(), "endpoint"));
        }
        // Its endpoint is that of its API server, and where its own gateway answers is not said.
        let message =
            format!("{} brings its own gateway, and its address is not known", self.site.id);
        let hint = "give the class `dns` a `target` with that address, or take `gateway` out of the cluster's \
                    `capabilities`: then its gateway is found";
        self.refuse(Refusal::new(RefusalCode::InvalidSpec, &draft.path, message).hint(hint));
        None
    }

    /// `<workload>-<application>.<domain>`, with the environment in it unless the domain begins with it. A resource
    /// that is not called `dns` puts its own name in front, so that a workload may have several.
    fn host(&self, draft: &Draft<'_>) -> String {
        let definition = self.scene.definition;
        let application = self.scene.context.application.as_str();
        let request = &draft.definer;
        let owner = match (&request.request.id, request.scope) {
            (Some(id), _) => Some(id.as_str()),
            (None, Some(workload)) if workload != application => Some(workload),
            (None, _) => None,
        };
        let own_name =
            (request.request.id.is_none() && request.name != "dns").then_some(request.name);
        let named = definition.domain.split('.').next() == Some(definition.name.as_str());
        let environment = (!named).then_some(definition.name.as_str());
        let words = [own_name, owner, Some(application), environment];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        format!("{}.{}", names::label(&words), definition.domain)
    }

    fn complete_route(&mut self, draft: &Draft<'_>, fields: &mut Fields) -> Option<()> {
        let workload = self.route_workload(draft, fields);
        let host = self.route_host(draft, fields);
        let (workload, host) = (workload?, host?);
        let Some(body) = self.scene.model.workloads.get(&workload) else {
            let known = self.scene.model.workloads.keys().map(String::as_str);
            let hint = suggest("workloads", &workload, known);
            let message = format!("the application has no workload `{workload}`");
            let path = format!("{}.params.workload", draft.path);
            self.refuse(Refusal::new(RefusalCode::UnknownWorkload, path, message).hint(hint));
            return None;
        };
        let port = match find_port(&workload, body, fields.get("port"), &draft.path) {
            Ok(port) => port,
            Err(refusal) => {
                self.refuse(refusal);
                return None;
            }
        };
        let id = match names::workload(self.scene.deployment, &workload) {
            Ok(id) => id,
            Err(_) => return None, // refused where the workload itself is built
        };
        fields.insert("workload".into(), Value::String(id.to_string()));
        fields.insert("port".into(), port.into());
        if is_open(fields, "path") {
            fields.insert("path".into(), "/".into());
        }
        let gateway = self.support(Capability::Gateway, &draft.words);
        set(fields, "gateway", gateway);
        set(fields, "cluster", Some(self.site.id.clone()));
        if self.scene.definition.tls {
            let certificate = self.certificate(draft, host);
            set(fields, "certificate", Some(certificate));
        }
        Some(())
    }

    /// The workload that answers: the one said, else the one that asks.
    fn route_workload(&mut self, draft: &Draft<'_>, fields: &Fields) -> Option<String> {
        match (fields.get("workload").and_then(Value::as_str), draft.definer.scope) {
            (Some(name), _) if !name.is_empty() => Some(name.to_owned()),
            (_, Some(workload)) => Some(workload.to_owned()),
            (_, None) => {
                let path = format!("{}.params.workload", draft.path);
                let message = "a route of the application must say which workload answers";
                let hint = "add `params: {workload: …}`, or move the route into the workload";
                self.refuse(Refusal::new(RefusalCode::InvalidParam, path, message).hint(hint));
                None
            }
        }
    }

    /// The host name: the one said, else that of the only `dns` in sight.
    fn route_host(&mut self, draft: &Draft<'_>, fields: &mut Fields) -> Option<Text> {
        if !is_open(fields, "host") {
            return fields.get("host").and_then(Value::as_str)?.parse().ok();
        }
        if let Some(only) = self.only_dns_record(draft) {
            let host = Text::output(only, "host");
            fields.insert("host".into(), Value::String(host.to_string()));
            return Some(host);
        }
        let path = format!("{}.params.host", draft.path);
        let message = "the route needs a host name";
        let hint =
            "add a resource `dns` of type `dns`, and `host: ${resources.dns.host}` to the route";
        self.refuse(Refusal::new(RefusalCode::InvalidParam, path, message).hint(hint));
        None
    }

    fn only_dns_record(&self, draft: &Draft<'_>) -> Option<ResourceId> {
        let visible = self.requests.visible(draft.definer.scope);
        let mut records = visible.filter_map(|(_, target)| match target {
            Target::Resource(id) if id.kind == KindName::DnsRecord => Some(id),
            Target::Resource(_) | Target::Workload(_) | Target::Broken => None,
        });
        let only = records.next()?;
        records.next().is_none().then(|| only.clone())
    }

    /// The certificate of a host; routes of the same host share it.
    fn certificate(&mut self, draft: &Draft<'_>, host: Text) -> ResourceId {
        let key = host.to_string();
        if let Some(id) = self.certificates.get(&key) {
            return id.clone();
        }
        let id = ResourceId::new(KindName::Certificate, draft.id.name.clone());
        let why = vec![format!("certificate for {}", draft.words)];
        let issuer = self.support(Capability::Certificates, &draft.words);
        let gateway = self.support(Capability::Gateway, &draft.words);
        let spec = Spec::Certificate(CertificateSpec {
            host,
            issuer,
            shown: gateway.is_none(),
            gateway,
            cluster: Some(self.site.id.clone()),
        });
        let lifetime = self.own();
        let place = draft.path.clone();
        let wanted =
            Wanted { spec, class: None, lifetime, protected: false, why, place, as_found: false };
        self.add(id.clone(), wanted);
        self.certificates.insert(key, id.clone());
        id
    }
}

/// Not said, or said to be empty.
fn is_open(fields: &Fields, name: &str) -> bool {
    match fields.get(name) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => false,
    }
}

/// Sets a reference to another resource, unless the class set it.
fn set(fields: &mut Fields, name: &str, id: Option<ResourceId>) {
    if is_open(fields, name) {
        match id {
            Some(id) => fields.insert(name.into(), Value::String(id.to_string())),
            None => fields.remove(name),
        };
    }
}
