//! How the world reaches workloads of a real cluster: gateways, routes, certificates and names; and what of it the
//! cluster brings along.

use domain::kinds::support_service::Capability;
use domain::kinds::{Certificate, DnsRecord, Route, SupportService};
use domain::lifecycle::FailureClass;
use domain::text::{Inputs, OutputRef, Unresolved};
use domain::{OutputMap, OutputValue, ResourceId};
use reconcilers::converge::Desired;
use reconcilers::{CallError, Scene};

use super::Hosted;
use crate::cluster::first_brought;
use crate::objects::{self, CERT_MANAGER, EXTERNAL_DNS, GATEWAY_API, Object};

impl Hosted for Route {
    const KINDS: &'static [(&'static str, &'static str)] = &[(GATEWAY_API, "HTTPRoute")];

    fn cluster(spec: &Self::Spec) -> Option<&ResourceId> {
        spec.cluster.as_ref()
    }

    fn objects(scene: Scene<'_, Self>, desired: &Desired) -> Result<Vec<Object>, Unresolved> {
        objects::route(scene.target, scene.spec, scene.inputs, desired.digest)
    }

    fn published(scene: Scene<'_, Self>, _: Option<&str>) -> OutputMap {
        let text = |text: &domain::Text| text.resolve(scene.inputs).map(|it| it.to_string());
        let scheme = if scene.spec.certificate.is_some() { "https" } else { "http" };
        let (Ok(host), Ok(path)) = (text(&scene.spec.host), text(&scene.spec.path)) else {
            return OutputMap::new();
        };
        [("url".to_owned(), OutputValue::plain(format!("{scheme}://{host}{path}")))].into()
    }
}

impl Hosted for Certificate {
    const KINDS: &'static [(&'static str, &'static str)] =
        &[(CERT_MANAGER, "Certificate"), (GATEWAY_API, "ListenerSet")];

    fn cluster(spec: &Self::Spec) -> Option<&ResourceId> {
        spec.cluster.as_ref()
    }

    fn objects(scene: Scene<'_, Self>, desired: &Desired) -> Result<Vec<Object>, Unresolved> {
        objects::certificate(scene.target, scene.spec, scene.inputs, desired.digest)
    }

    fn published(scene: Scene<'_, Self>, _: Option<&str>) -> OutputMap {
        let host = scene.spec.host.resolve(scene.inputs);
        host.into_iter().map(|host| ("host".to_owned(), host)).collect()
    }
}

impl Hosted for DnsRecord {
    const KINDS: &'static [(&'static str, &'static str)] = &[(EXTERNAL_DNS, "DNSEndpoint")];

    fn cluster(spec: &Self::Spec) -> Option<&ResourceId> {
        spec.cluster.as_ref()
    }

    fn objects(scene: Scene<'_, Self>, desired: &Desired) -> Result<Vec<Object>, Unresolved> {
        objects::dns_record(scene.target, scene.spec, scene.inputs, desired.digest)
    }

    fn published(scene: Scene<'_, Self>, _: Option<&str>) -> OutputMap {
        [("host".to_owned(), OutputValue::plain(&scene.spec.host))].into()
    }
}

impl Hosted for SupportService {
    const KINDS: &'static [(&'static str, &'static str)] = &[(GATEWAY_API, "Gateway")];

    fn cluster(spec: &Self::Spec) -> Option<&ResourceId> {
        Some(&spec.cluster)
    }

    fn objects(scene: Scene<'_, Self>, desired: &Desired) -> Result<Vec<Object>, Unresolved> {
        match (scene.spec.capability, brought(scene)) {
            (Capability::Gateway, Some(class)) => {
                Ok(vec![objects::gateway(scene.target, class, desired.digest)])
            }
            (Capability::Gateway, None) => Err(Unresolved::Missing(OutputRef {
                resource: scene.spec.cluster.clone(),
                output: BRINGS.into(),
            })),
            (
                Capability::Certificates
                | Capability::Dns
                | Capability::Secrets
                | Capability::Metrics
                | Capability::Logs,
                _,
            ) => Ok(Vec::new()),
        }
    }

    fn published(scene: Scene<'_, Self>, address: Option<&str>) -> OutputMap {
        let name = brought(scene).unwrap_or_default();
        let (output, value) = match scene.spec.capability {
            Capability::Gateway => ("address", address.unwrap_or_default()),
            Capability::Certificates => ("issuer", name),
            Capability::Dns => ("zone", name),
            Capability::Secrets => ("store", name),
            Capability::Metrics | Capability::Logs => ("endpoint", name),
        };
        [(output.to_owned(), OutputValue::plain(value))].into()
    }

    fn brings(scene: Scene<'_, Self>) -> Option<Result<String, CallError>> {
        let capability = scene.spec.capability;
        match (capability, brought(scene)) {
            (Capability::Gateway, Some(_)) => None,
            (_, Some(name)) => Some(Ok(name.to_owned())),
            (_, None) => Some(Err(missing(&scene.spec.cluster, capability))),
        }
    }
}

/// Who writes secrets where no store does.
const OWN: &str = "cairn";
/// The output of a cluster that says what it brings along.
pub(super) const BRINGS: &str = "brings";

/// What the cluster brings along for a service, by name. Secrets are written by Cairn itself where nobody else does.
fn brought(scene: Scene<'_, SupportService>) -> Option<&str> {
    let capability = scene.spec.capability;
    let own = (capability == Capability::Secrets).then_some(OWN);
    first_brought(text(scene.inputs, &scene.spec.cluster)?, capability).or(own)
}

fn text<'a>(inputs: &'a Inputs, cluster: &ResourceId) -> Option<&'a str> {
    match inputs.outputs.get(cluster)?.get(BRINGS)? {
        OutputValue::Plain(text) => Some(text),
        OutputValue::Secret(_) => None,
    }
}

/// What has to be there, and how it gets there.
fn missing(cluster: &ResourceId, capability: Capability) -> CallError {
    let what = match capability {
        Capability::Gateway => {
            "an accepted GatewayClass of the Gateway API: install a gateway controller, such as Envoy Gateway"
        }
        Capability::Certificates => {
            "a ClusterIssuer of cert-manager that is ready: install cert-manager and make one"
        }
        Capability::Dns => "external-dns: install it with its definition of DNSEndpoint",
        Capability::Secrets => "a store of secrets",
        Capability::Metrics => "the API metrics.k8s.io: install metrics-server",
        Capability::Logs => "a store of logs that Cairn knows",
    };
    CallError {
        class: FailureClass::Retry,
        message: format!("{cluster} does not bring {what}. It is used once it is there"),
    }
}
