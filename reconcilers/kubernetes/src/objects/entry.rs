//! How the world reaches a workload: gateways, routes, certificates and names, as the Gateway API, cert-manager and
//! external-dns have them.
//!
//! One gateway takes in the traffic of a cluster. A host name with a certificate has a listener of its own, in a
//! ListenerSet beside the certificate: no two deployments write the same object (Gateway API: standard since 1.5).

use std::net::IpAddr;

use domain::commit::Hash;
use domain::kinds::route::Protocol;
use domain::kinds::{certificate, dns_record, route};
use domain::text::{Inputs, Unresolved};
use domain::{ResourceId, Text};
use reconcilers::{Target, canary};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Names, Object, plain};

/// The Gateway API, 1.0 and newer.
pub(crate) const GATEWAY_API: &str = "gateway.networking.k8s.io/v1";
/// cert-manager, 1.0 and newer.
pub(crate) const CERT_MANAGER: &str = "cert-manager.io/v1";
/// external-dns.
pub(crate) const EXTERNAL_DNS: &str = "externaldns.k8s.io/v1alpha1";
/// What a gateway and an issuer are called that the environment says its cluster brings along.
const BROUGHT: &str = "cairn";
/// The listener of every gateway, and that of a host name that has a certificate.
const HTTP: &str = "http";
const HTTPS: &str = "https";
/// Seconds for which others may keep a record.
const RECORD_SECONDS: u32 = 300;

/// The names of the objects of another resource of the same tenant.
fn names_of(target: &Target, id: &ResourceId) -> Names {
    Names::of(&Target { tenant: target.tenant.clone(), id: id.clone(), uid: Uuid::nil() })
}

/// The gateway that takes the traffic in.
fn gateway_of(target: &Target, gateway: Option<&ResourceId>) -> Names {
    let brought = || Names { namespace: BROUGHT.into(), name: BROUGHT.into() };
    gateway.map_or_else(brought, |gateway| names_of(target, gateway))
}

/// What a route or a listener belongs to, all of it said, so that nobody else's defaults are owned by somebody else.
fn parent(kind: &str, names: &Names) -> Value {
    json!({
        "group": "gateway.networking.k8s.io",
        "kind": kind,
        "namespace": names.namespace,
        "name": names.name,
    })
}

fn listener(parent: Value, section: &str) -> Value {
    let mut parent = parent;
    if let Some(fields) = parent.as_object_mut() {
        fields.insert("sectionName".into(), section.into());
    }
    parent
}

/// The gateway of a cluster: plain HTTP for everybody, and listeners that others add.
#[must_use]
pub fn gateway(target: &Target, class: &str, digest: Hash) -> Object {
    let all = json!({ "namespaces": { "from": "All" } });
    let body = json!({ "spec": {
        "gatewayClassName": class,
        "listeners": [{ "name": HTTP, "port": 80, "protocol": "HTTP", "allowedRoutes": all }],
        "allowedListeners": all,
    } });
    Object::new(&Names::of(target).key(GATEWAY_API, "Gateway"), target, body).marked(digest)
}

/// The objects of a route: where its host name has a certificate, plain HTTP is sent to that.
///
/// # Errors
/// [`Unresolved`] while something it refers to is not published.
pub fn route(
    target: &Target,
    spec: &route::Spec,
    inputs: &Inputs,
    digest: Hash,
) -> Result<Vec<Object>, Unresolved> {
    let names = Names::of(target);
    let (host, path) = (plain(&spec.host, inputs)?, plain(&spec.path, inputs)?);
    let (kind, matches) = match spec.protocol {
        Protocol::Http => {
            ("HTTPRoute", json!([{ "path": { "type": "PathPrefix", "value": path } }]))
        }
        Protocol::Grpc => ("GRPCRoute", methods(&path)),
    };
    let plain_http = listener(parent("Gateway", &gateway_of(target, spec.gateway.as_ref())), HTTP);
    let mut objects = Vec::new();
    let entry = match &spec.certificate {
        Some(certificate) => {
            if spec.protocol == Protocol::Http {
                objects.push(to_https(target, &names, &plain_http, &host, &matches));
            }
            listener(parent("ListenerSet", &names_of(target, certificate)), HTTPS)
        }
        None => plain_http,
    };
    let service = names_of(target, &spec.workload);
    let backends = match canary::weight(inputs, &spec.workload) {
        None => json!([{ "name": service.name, "port": spec.port }]),
        Some(weight) => json!([
            { "name": service.name, "port": spec.port, "weight": 100_u32.saturating_sub(weight) },
            { "name": service.canary().name, "port": spec.port, "weight": weight },
        ]),
    };
    let body = json!({ "spec": {
        "parentRefs": [entry],
        "hostnames": [host],
        "rules": [{ "matches": matches, "backendRefs": backends }],
    } });
    let main = Object::new(&names.key(GATEWAY_API, kind), target, body);
    objects.push(main.marked(digest));
    Ok(objects)
}

/// Sends plain HTTP to where the certificate is shown.
fn to_https(target: &Target, names: &Names, entry: &Value, host: &str, matches: &Value) -> Object {
    let redirect = json!({ "scheme": "https", "statusCode": 301 });
    let filter = json!({ "type": "RequestRedirect", "requestRedirect": redirect });
    let body = json!({ "spec": {
        "parentRefs": [entry],
        "hostnames": [host],
        "rules": [{ "matches": matches, "filters": [filter] }],
    } });
    let name = crate::labels::fitting(&format!("{}-to-https", names.name));
    Object::new(&names.called(GATEWAY_API, "HTTPRoute", name), target, body)
}

/// Which calls of gRPC: all, those of a service, or one method.
fn methods(path: &str) -> Value {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    match (parts.next(), parts.next()) {
        (None, _) => json!([{}]),
        (Some(service), None) => json!([{ "method": { "type": "Exact", "service": service } }]),
        (Some(service), Some(method)) => {
            json!([{ "method": { "type": "Exact", "service": service, "method": method } }])
        }
    }
}

/// The objects of a certificate: it is asked for, and shown by a listener of its own where routes are to be served.
///
/// # Errors
/// [`Unresolved`] while something it refers to is not published.
pub fn certificate(
    target: &Target,
    spec: &certificate::Spec,
    inputs: &Inputs,
    digest: Hash,
) -> Result<Vec<Object>, Unresolved> {
    let names = Names::of(target);
    let host = plain(&spec.host, inputs)?;
    let issuer = match &spec.issuer {
        Some(service) => plain(&Text::output(service.clone(), "issuer"), inputs)?,
        None => BROUGHT.to_owned(),
    };
    let secret = crate::labels::fitting(&format!("{}-tls", names.name));
    let body = json!({ "spec": {
        "secretName": secret,
        "dnsNames": [host],
        "issuerRef": { "group": "cert-manager.io", "kind": "ClusterIssuer", "name": issuer },
        "privateKey": { "rotationPolicy": "Always" },
    } });
    let asked = Object::new(&names.key(CERT_MANAGER, "Certificate"), target, body);
    if spec.gateway.is_none() && !spec.shown {
        return Ok(vec![asked.marked(digest)]);
    }
    let gateway = gateway_of(target, spec.gateway.as_ref());
    let of = json!({ "group": "", "kind": "Secret", "name": secret });
    let body = json!({ "spec": {
        "parentRef": parent("Gateway", &gateway),
        "listeners": [{
            "name": HTTPS,
            "hostname": host,
            "port": 443,
            "protocol": "HTTPS",
            "tls": { "mode": "Terminate", "certificateRefs": [of] },
            "allowedRoutes": { "namespaces": { "from": "Same" } },
        }],
    } });
    let shown = Object::new(&names.key(GATEWAY_API, "ListenerSet"), target, body);
    Ok(vec![asked, shown.marked(digest)])
}

/// The objects of a name: external-dns writes it where its zone is.
///
/// # Errors
/// [`Unresolved`] while something it refers to is not published.
pub fn dns_record(
    target: &Target,
    spec: &dns_record::Spec,
    inputs: &Inputs,
    digest: Hash,
) -> Result<Vec<Object>, Unresolved> {
    let leads_to = plain(&spec.target, inputs)?;
    let record = match leads_to.parse() {
        Ok(IpAddr::V4(_)) => "A",
        Ok(IpAddr::V6(_)) => "AAAA",
        Err(_) => "CNAME",
    };
    let body = json!({ "spec": { "endpoints": [{
        "dnsName": spec.host,
        "recordType": record,
        "recordTTL": RECORD_SECONDS,
        "targets": [leads_to],
    }] } });
    let key = Names::of(target).key(EXTERNAL_DNS, "DNSEndpoint");
    Ok(vec![Object::new(&key, target, body).marked(digest)])
}
