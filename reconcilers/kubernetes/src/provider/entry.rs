//! How the world reaches workloads of a real cluster: gateways, routes, certificates and names; and what of it the
//! cluster brings along.

use domain::kinds::route::Protocol;
use domain::kinds::support_service::{self, BRINGS, Brought, Capability};
use domain::kinds::{Certificate, DnsRecord, Route, SupportService};
use domain::lifecycle::FailureClass;
use domain::text::{Inputs, OutputRef, Unresolved};
use domain::{OutputMap, OutputValue, ResourceId};
use reconcilers::converge::Desired;
use reconcilers::{CallError, Scene};

use super::Hosted;
use crate::cluster::has_mark;
use crate::objects::{self, CERT_MANAGER, EXTERNAL_DNS, GATEWAY_API, Object};

impl Hosted for Route {
    const KINDS: &'static [(&'static str, &'static str)] =
        &[(GATEWAY_API, "HTTPRoute"), (GATEWAY_API, "GRPCRoute")];

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
        // A client of gRPC is given the host; it adds the paths of methods itself.
        let path = if scene.spec.protocol == Protocol::Grpc { "" } else { &path };
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
                Ok(vec![objects::gateway(scene.target, &class, desired.digest)])
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
                | Capability::Logs
                | Capability::Autoscaling
                | Capability::Monitoring,
                _,
            ) => Ok(Vec::new()),
        }
    }

    fn published(scene: Scene<'_, Self>, address: Option<&str>) -> OutputMap {
        let name = brought(scene).unwrap_or_default();
        let (output, value) = match scene.spec.capability {
            Capability::Gateway => ("address", address.unwrap_or_default().to_owned()),
            Capability::Certificates => ("issuer", name),
            Capability::Dns => ("zone", name),
            Capability::Secrets => ("store", name),
            Capability::Metrics
            | Capability::Logs
            | Capability::Autoscaling
            | Capability::Monitoring => ("endpoint", name),
        };
        [(output.to_owned(), OutputValue::plain(value))].into()
    }

    fn brings(scene: Scene<'_, Self>) -> Option<Result<String, CallError>> {
        let capability = scene.spec.capability;
        match (capability, brought(scene)) {
            (Capability::Gateway, Some(_)) => None,
            (_, Some(name)) => Some(Ok(name)),
            (_, None) => Some(Err(missing(scene.spec))),
        }
    }
}

/// Who writes secrets where no store does.
const OWN: &str = "cairn";

/// What the cluster brings along, as it published it; none before it did.
pub(crate) fn brought_by(inputs: &Inputs, cluster: &ResourceId) -> Option<Brought> {
    Brought::of(inputs.outputs.get(cluster)?)
}

/// By what a service is given, by name: what the cluster brings along; the release of what was installed where that
/// has no mark; and for secrets Cairn itself, which writes them where nobody else does.
fn brought(scene: Scene<'_, SupportService>) -> Option<String> {
    let capability = scene.spec.capability;
    let found = brought_by(scene.inputs, &scene.spec.cluster)?;
    let release = || {
        let chart = scene.spec.charts.first().filter(|_| !has_mark(capability))?;
        match scene.inputs.outputs.get(chart)?.get("release")? {
            OutputValue::Plain(release) => Some(release.clone()),
            OutputValue::Secret(_) => None,
        }
    };
    let own = || (capability == Capability::Secrets).then(|| OWN.to_owned());
    found.first(capability).map(str::to_owned).or_else(release).or_else(own)
}

/// What has to be there, and how it gets there.
fn missing(spec: &support_service::Spec) -> CallError {
    let (cluster, capability) = (&spec.cluster, spec.capability);
    let (what, class) = match capability {
        Capability::Gateway => {
            ("an accepted GatewayClass of the Gateway API, such as Envoy Gateway's", "envoy")
        }
        Capability::Certificates => {
            ("a ClusterIssuer of cert-manager that is ready", "cert-manager")
        }
        Capability::Dns => ("external-dns, with its definition of DNSEndpoint", "external-dns"),
        Capability::Secrets => ("a store of secrets", "external-secrets"),
        Capability::Metrics => {
            ("the API metrics.k8s.io, such as metrics-server's", "metrics-server")
        }
        Capability::Logs => ("a store of logs that Cairn knows", "loki"),
        Capability::Autoscaling => ("KEDA", "keda"),
        Capability::Monitoring => ("the operator of Prometheus", "kube-prometheus-stack"),
    };
    let message = if spec.charts.is_empty() {
        let capability = capability.as_str();
        format!(
            "{cluster} does not bring {what}. It is used once it is there: install it, or let the environment do so with `support: {{ {capability}: {{ classes: [{class}] }} }}`"
        )
    } else {
        let charts: Vec<String> = spec.charts.iter().map(ToString::to_string).collect();
        format!("{cluster} does not have {what} yet, though {} is installed", charts.join(", "))
    };
    CallError { class: FailureClass::Retry, message }
}
