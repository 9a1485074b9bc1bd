//! From what was asked for to what it becomes: fetched, unpacked, rendered, read, kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use charts::fetch::Wanted;
use charts::render::Order;
use charts::{Error, unpack};
use domain::application::{Rendered, rendered};
use domain::commit::Hash;
use domain::kinds::Helm;
use domain::kinds::helm::hook::{Hook, Said};
use domain::kinds::helm::{Source, Spec};
use domain::lifecycle::FailureClass;
use domain::{SecretRef, Tenant};
use reconcilers::contents::Contents;
use reconcilers::converge::Desired;
use reconcilers::{CallError, Scene, Target};
use serde_json::Value;

use super::notes::Notes;
use super::rendering::{self, Rendering};
use super::{Charts, Kubernetes};
use crate::blot::Blot;
use crate::cluster::{Cluster, Reach};
use crate::manifests::sealed::{self, Sealing, is_secret};
use crate::manifests::{apply, refused};

/// The most objects of one chart. The largest public one has 135.
const OBJECTS_MAX: usize = 1_000;
/// Values that are shorter would be found in words that mean something else.
const SECRET_LENGTH_MIN: usize = 6;

fn call_error(error: Error) -> CallError {
    match error {
        Error::Passing(message) => refused(FailureClass::Retry, message),
        Error::Lasting(message) => refused(FailureClass::Terminal, message),
    }
}

fn terminal(message: impl Into<String>) -> CallError {
    refused(FailureClass::Terminal, message.into())
}

/// The rendering of what was asked for: the one that is noted, or a new one, which is kept.
pub(super) async fn rendering(
    kubernetes: &Kubernetes,
    cluster: &Cluster,
    scene: Scene<'_, Helm>,
    desired: &Desired,
    notes: &Notes,
) -> Result<(Arc<Rendering>, Hash), CallError> {
    let target = scene.target;
    if let Some(digest) = notes.rendered_of(desired.digest) {
        let rendering = kubernetes.rendering(&target.tenant, digest).await?;
        if !rendering.sealed || cluster.seen(&sealed::key(target)).is_some() {
            return Ok((rendering, digest));
        }
    }
    let (Some(charts), Some(contents)) = (&kubernetes.charts, &kubernetes.contents) else {
        return Err(refused(FailureClass::Retry, "charts cannot be rendered here".into()));
    };
    let scratch = tempfile::Builder::new().prefix("cairn-chart-").tempdir();
    let scratch = scratch.map_err(|error| {
        refused(FailureClass::Retry, format!("there is no place to render a chart: {error}"))
    })?;
    let (chart, digest) = unpacked(charts, &**contents, scene, scratch.path()).await?;
    let title = format!("{} sha256:{digest}", title(&chart).await);
    if let Some((name, version)) = unpinned(scene.spec) {
        same_as_before(name, version, &title, notes)?;
    }
    let said = desired.spec.get("values").cloned().unwrap_or_default();
    let mut secrets = Vec::new();
    let values = filled(kubernetes, &said, &mut secrets).await?;
    let beside = desired.spec.get("objects").cloned().unwrap_or_default();
    let beside = filled(kubernetes, &beside, &mut secrets).await?;
    let text = text(charts, cluster, scene, &chart, &values, notes, scratch.path()).await;
    let blot = Blot::values(secrets.clone());
    let text = text.map_err(|error| CallError { message: blot.out(&error.message), ..error })?;
    let text = with_objects(text, &beside);
    let found = rendered(&text).map_err(|wrong| {
        let first = wrong.first().map_or_else(String::new, ToString::to_string);
        terminal(format!("the chart does not become objects: {}", blot.out(&first)))
    })?;
    check(&found, &secrets)?;
    let values = Hash::of(said.to_string().as_bytes());
    keep(kubernetes, cluster, scene, found, Rendering { chart: title, values, ..empty() }).await
}

/// The name and version of a chart of which nobody said what its archive is.
fn unpinned(spec: &Spec) -> Option<(&str, &str)> {
    match spec.chart.source().ok()? {
        Source::Repository { name, version, sha256: None, .. } => Some((name, version)),
        Source::Oci { url, version, sha256: None } => Some((last_of(url), version)),
        Source::Repository { .. } | Source::Oci { .. } | Source::Archive(_) | Source::Files(_) => {
            None
        }
    }
}

/// Without a pin, the archive that was taken first is the one of that version from then on.
fn same_as_before(name: &str, version: &str, chart: &str, notes: &Notes) -> Result<(), CallError> {
    let (title, now) = chart.rsplit_once(" sha256:").unwrap_or((chart, ""));
    // Some put a `v` in front in one place and none in the other.
    let plain = |version: &str| version.trim_start_matches('v').to_owned();
    let says = title.rsplit_once(' ').map(|(name, version)| (name, plain(version)));
    if says != Some((name, plain(version))) {
        return Err(terminal(format!(
            "what was had as {name} {version} says that it is {title}. If that is right, pin it with `sha256: {now}`"
        )));
    }
    match notes.archive_of(title) {
        Some(before) if before != now => Err(terminal(format!(
            "{title} is no longer what it was when it was installed: the SHA-256 of its archive was {before} and is {now}. \
             If that is right, pin it with `sha256: {now}`; otherwise pin the one before"
        ))),
        Some(_) | None => Ok(()),
    }
}

/// The last part of an address.
fn last_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

fn empty() -> Rendering {
    Rendering {
        chart: String::new(),
        values: Hash::of(b""),
        objects: BTreeMap::new(),
        hooks: Vec::new(),
        sealed: false,
    }
}

/// The chart's folder, and the digest of what it was.
async fn unpacked(
    charts: &Charts,
    contents: &dyn Contents,
    scene: Scene<'_, Helm>,
    scratch: &Path,
) -> Result<(PathBuf, Hash), CallError> {
    let tenant = &scene.target.tenant;
    let source = scene.spec.chart.source().map_err(|wrong| terminal(wrong.to_string()))?;
    let wanted = match source {
        Source::Files(files) => return written(contents, tenant, files, scratch).await,
        Source::Archive(digest) => {
            let bytes = contents.read(tenant, digest).await?;
            return Ok((opened(bytes, scratch).await?, digest));
        }
        Source::Repository { url, name, version, sha256 } => Wanted { url, name, version, sha256 },
        Source::Oci { url, version, sha256 } => Wanted { url, name: last_of(url), version, sha256 },
    };
    let bytes =
        charts.fetcher.fetch(wanted, mirrored_for(scene.target)).await.map_err(call_error)?;
    let digest = Hash::of(&bytes);
    Ok((opened(bytes, scratch).await?, digest))
}

/// Whose mirror is asked: names are `<environment>_<application>_<rest>`, and `<cluster>_<rest>` of what is shared.
fn mirrored_for(target: &Target) -> &str {
    target.id.name.as_str().split('_').next().unwrap_or_default()
}

async fn opened(bytes: Vec<u8>, scratch: &Path) -> Result<PathBuf, CallError> {
    let folder = scratch.join("chart");
    let opened = tokio::task::spawn_blocking(move || unpack::unpack(&bytes, &folder)).await;
    opened
        .map_err(|error| refused(FailureClass::Retry, format!("unpacking was stopped: {error}")))?
        .map_err(call_error)
}

/// Writes the files of a folder that was sent along. The digest is that of their paths and digests.
async fn written(
    contents: &dyn Contents,
    tenant: &Tenant,
    files: &BTreeMap<String, String>,
    scratch: &Path,
) -> Result<(PathBuf, Hash), CallError> {
    let folder = scratch.join("chart");
    let mut all = String::new();
    for (path, digest) in files {
        let named = Hash::from_hex(digest);
        let named = named.ok_or_else(|| terminal(format!("`{path}` has no digest")))?;
        let bytes = contents.read(tenant, named).await?;
        unpack::check_within(path, &bytes).map_err(call_error)?;
        unpack::write(&folder, path, &bytes).map_err(call_error)?;
        all += &format!("{path} {digest}\n");
    }
    Ok((folder, Hash::of(all.as_bytes())))
}

/// Values with the secrets in them, which are noted.
async fn filled(
    kubernetes: &Kubernetes,
    value: &Value,
    secrets: &mut Vec<String>,
) -> Result<Value, CallError> {
    let filled = match value {
        Value::Array(items) => {
            let mut all = Vec::with_capacity(items.len());
            for item in items {
                all.push(Box::pin(filled(kubernetes, item, secrets)).await?);
            }
            Value::Array(all)
        }
        Value::Object(fields) => match reference(fields) {
            Some(reference) => {
                let text = kubernetes.clusters.secret(&reference).await?;
                secrets.push(text.clone());
                Value::String(text)
            }
            None => {
                let mut all = serde_json::Map::new();
                for (name, field) in fields {
                    let field = Box::pin(filled(kubernetes, field, secrets)).await?;
                    all.insert(name.clone(), field);
                }
                Value::Object(all)
            }
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    };
    Ok(filled)
}

/// What a reference to a secret became when the values were resolved.
fn reference(fields: &serde_json::Map<String, Value>) -> Option<SecretRef> {
    let reference = fields.get("secretRef").filter(|_| fields.len() == 1)?;
    serde_json::from_value(reference.clone()).ok()
}

async fn text(
    charts: &Charts,
    cluster: &Cluster,
    scene: Scene<'_, Helm>,
    chart: &Path,
    values: &Value,
    notes: &Notes,
    scratch: &Path,
) -> Result<String, CallError> {
    let Reach::Reached { version, .. } = cluster.reached() else {
        return Err(refused(FailureClass::Retry, "the cluster is not connected to".into()));
    };
    let order = Order {
        chart,
        release: &rendering::release(scene.spec, scene.target),
        namespace: &rendering::namespace(scene.spec, scene.target),
        values,
        kube_version: &version,
        api_versions: &cluster.api_versions().await?,
        is_upgrade: notes.is_installed(),
    };
    charts.program.render(&order, scratch).await.map_err(call_error)
}

/// What the chart became, and the objects beside it: JSON is YAML.
fn with_objects(mut text: String, beside: &Value) -> String {
    for object in beside.as_array().into_iter().flatten() {
        text += &format!("\n---\n{object}\n");
    }
    text
}

/// Refuses what is too much, and a secret that was given and stands where everybody can read it.
fn check(found: &[Rendered], secrets: &[String]) -> Result<(), CallError> {
    if found.len() > OBJECTS_MAX {
        return Err(terminal(format!(
            "the chart becomes {} objects; at most {OBJECTS_MAX} are applied",
            found.len()
        )));
    }
    if found.iter().all(|one| one.hook != Said::NoHook) {
        return Err(terminal("the chart becomes no object with these values"));
    }
    for Rendered { key, body, .. } in found.iter().filter(|one| !is_secret(&one.key.to_string())) {
        if secrets.iter().any(|secret| secret.len() >= SECRET_LENGTH_MIN && holds(body, secret)) {
            return Err(terminal(format!(
                "the chart puts a secret value into {key} in clear; give the chart the name of an existing Secret instead, if it takes one"
            )));
        }
    }
    Ok(())
}

fn holds(value: &Value, secret: &str) -> bool {
    match value {
        Value::String(text) => text.contains(secret),
        Value::Array(items) => items.iter().any(|item| holds(item, secret)),
        Value::Object(fields) => fields.values().any(|field| holds(field, secret)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The chart's name and version, by its own word.
async fn title(chart: &Path) -> String {
    #[derive(serde::Deserialize)]
    struct Chart {
        name: Option<String>,
        version: Option<String>,
    }
    let text = tokio::fs::read_to_string(chart.join("Chart.yaml")).await.unwrap_or_default();
    let read: Option<Chart> = serde_saphyr::from_str(&text).ok();
    let word = |word: Option<String>| -> String {
        word.unwrap_or_default().chars().filter(|c| c.is_ascii_graphic()).take(100).collect()
    };
    read.map_or_else(String::new, |it| format!("{} {}", word(it.name), word(it.version)))
}

/// Keeps what the chart became: values of secrets in the cluster, everything else in the log.
async fn keep(
    kubernetes: &Kubernetes,
    cluster: &Cluster,
    scene: Scene<'_, Helm>,
    found: Vec<Rendered>,
    mut rendering: Rendering,
) -> Result<(Arc<Rendering>, Hash), CallError> {
    let Some(contents) = &kubernetes.contents else {
        return Err(refused(FailureClass::Retry, "charts cannot be kept here".into()));
    };
    let target = scene.target;
    let mut sealing = Sealing::begin(cluster, target).await?;
    for Rendered { key, mut body, hook } in found {
        let said = key.to_string();
        if is_secret(&said) {
            sealing.take(&said, &mut body);
        }
        let digest = contents.keep(&target.tenant, body.to_string().as_bytes()).await?;
        match hook {
            Said::Hook(moments, weight, policies) => {
                let object = said;
                rendering.hooks.push(Hook { object, digest, moments, weight, policies });
            }
            Said::NoHook | Said::Other => {
                rendering.objects.insert(said, digest.to_hex());
            }
        }
    }
    rendering.sealed = !sealing.is_empty();
    if rendering.sealed {
        let spec = rendering.set(scene.spec);
        apply::make_namespaces(cluster, target, &spec, &[]).await?;
        let object = sealing.object(target);
        cluster.apply(&object.key(), &object.body, true).await?;
    }
    let bytes = serde_json::to_vec(&rendering)
        .map_err(|error| refused(FailureClass::Retry, error.to_string()))?;
    let digest = contents.keep(&target.tenant, &bytes).await?;
    Ok((Arc::new(rendering), digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_archive_that_it_was_at_first() {
        let mut notes = Notes::default();
        notes.keep_archive("web 1.0.0 sha256:aa");
        notes.keep_archive("web 1.1.0 sha256:bb");
        let says = |version: &str, chart: &str| {
            same_as_before("web", version, chart, &notes).map_err(|error| error.message)
        };
        assert_eq!(says("1.0.0", "web 1.0.0 sha256:aa"), Ok(()));
        assert_eq!(says("v1.2.0", "web 1.2.0 sha256:cc"), Ok(()), "one that is new");
        let other = says("1.0.0", "web 1.0.0 sha256:bb").unwrap_err();
        assert!(other.contains("was aa and is bb") && other.contains("`sha256: bb`"), "{other}");
        let another = says("1.0.0", "web 1.0.0+x sha256:bb").unwrap_err();
        assert!(another.contains("says that it is web 1.0.0+x"), "{another}");
    }
}
