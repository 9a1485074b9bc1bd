//! What simulated things publish.

use domain::commit::Hash;
use domain::{KindName, OutputMap, OutputValue, SecretRef, Spec};
use serde_json::Value;

use crate::capacity;
use crate::object::Object;

/// Everything that its kind declares, with values that look like the real ones.
pub(crate) fn of(object: &Object) -> OutputMap {
    let spec: Value = serde_json::from_str(&object.spec).unwrap_or_default();
    let kind = object.target.id.kind;
    declared(kind, &spec)
        .into_iter()
        .map(|(name, secret)| {
            let value = if secret {
                OutputValue::Secret(secret_ref(object, &name))
            } else {
                OutputValue::Plain(plain(object, &spec, &name))
            };
            (name, value)
        })
        .collect()
}

/// Name and secrecy of each output. The spec is resolved, so it may no longer read as a spec of its kind; then
/// what it declares cannot depend on references either.
fn declared(kind: KindName, spec: &Value) -> Vec<(String, bool)> {
    match kind {
        KindName::Extension => {
            let listed = spec.get("outputs").and_then(Value::as_array).into_iter().flatten();
            listed
                .filter_map(|output| {
                    let secret = output.get("secret").and_then(Value::as_bool);
                    Some((output.get("name")?.as_str()?.to_owned(), secret.unwrap_or(false)))
                })
                .collect()
        }
        KindName::Workload => {
            let is_stateful = spec.get("mode").and_then(Value::as_str) == Some("stateful");
            let names =
                ["name", "hostname", "port"].into_iter().chain(is_stateful.then_some("peers"));
            names.map(|name| (name.to_owned(), false)).collect()
        }
        KindName::Secret => vec![("value".to_owned(), true)],
        KindName::Bucket
        | KindName::Cache
        | KindName::Certificate
        | KindName::Cluster
        | KindName::Database
        | KindName::DnsRecord
        | KindName::Helm
        | KindName::Manifests
        | KindName::Queue
        | KindName::Route
        | KindName::SupportService
        | KindName::Volume => kind
            .read_spec(spec.clone())
            .as_ref()
            .map(Spec::outputs)
            .unwrap_or_default()
            .into_iter()
            .map(|output| (output.name, output.secret))
            .collect(),
    }
}

fn secret_ref(object: &Object, name: &str) -> SecretRef {
    let path = format!("{}/{}/{name}", object.target.id, object.short());
    // A password stays what it is when its database grows. What was assembled from other things is as new as they are,
    // and whoever has it must be told.
    let version = if object.target.id.kind == KindName::Secret {
        Hash::of(object.spec.as_bytes()).to_hex().chars().take(8).collect()
    } else {
        "1".to_owned()
    };
    SecretRef { store: "sim".into(), path, version }
}

fn plain(object: &Object, spec: &Value, name: &str) -> String {
    let id = &object.target.id;
    let host = format!("{}-{}.sim.internal", id.name.as_str().replace('_', "-"), object.short());
    let field = |field: &str| spec.get(field).and_then(Value::as_str).map(str::to_owned);
    match (id.kind, name) {
        (KindName::Database, "port") => match field("engine").as_deref() {
            Some("mysql") => "3306".into(),
            Some(_) | None => "5432".into(),
        },
        (KindName::Cache, "port") => "6379".into(),
        (KindName::Queue, "port") => "5672".into(),
        (KindName::Queue, "vhost") => "/".into(),
        (KindName::Workload, "port") => first_port(spec).to_string(),
        (KindName::Workload, "name") => id.name.to_string(),
        (KindName::Workload, "peers") => format!("peers.{host}"),
        (KindName::Route, "url") => {
            let tls = spec.get("certificate").is_some_and(|value| !value.is_null());
            let scheme = if tls { "https" } else { "http" };
            let part = |name: &str| field(name).unwrap_or_default();
            format!("{scheme}://{}{}", part("host"), part("path"))
        }
        (KindName::SupportService, "address") => address(object),
        // It has nothing of its own: support services are made in the simulated world.
        (KindName::Cluster, "brings") => String::new(),
        (KindName::Cluster, "capacity") => capacity::of(spec).to_string(),
        (KindName::Cluster, "endpoint") => format!("https://{host}:6443"),
        (KindName::Bucket, "endpoint") => format!("https://{host}"),
        (_, "username") => "app".into(),
        (_, "port") => "443".into(),
        (_, "bucket" | "source") => {
            format!("{}-{}", id.name.as_str().replace('_', "-"), object.short())
        }
        (_, name) => field(name).unwrap_or(host),
    }
}

fn first_port(spec: &Value) -> u64 {
    let ports = spec.get("ports").and_then(Value::as_object);
    let first = ports.and_then(|ports| ports.values().next());
    first.and_then(|port| port.get("port")).and_then(Value::as_u64).unwrap_or(0)
}

/// An address of 198.18.0.0/15, which is reserved for such worlds (RFC 2544).
fn address(object: &Object) -> String {
    let [.., a, b] = object.target.uid.into_bytes();
    format!("198.18.{a}.{b}")
}
