//! What a cluster says of Deployments, by a watch of its own: when each appeared, when each was available, and which
//! image it has.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher;
use kube::{Api, Client, Config};
use serde_json::Value;
use servers::kubernetes::ControlPlane;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(900);

/// One Deployment, as it was told of last.
#[derive(Clone, Debug)]
struct One {
    tag: String,
    /// When it had this tag first.
    since: Instant,
    available: bool,
}

#[derive(Default)]
struct Told {
    /// By the image that each runs, of which each has one of its own.
    deployments: HashMap<String, One>,
    available: usize,
}

/// All Deployments of a cluster.
pub(super) struct Seen {
    told: Arc<watch::Sender<Told>>,
    following: AbortHandle,
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.following.abort();
    }
}

/// Speaks to a control plane as its administrator.
pub(super) async fn client(plane: &ControlPlane) -> anyhow::Result<Client> {
    // Whoever comes second finds it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Kubeconfig::from_yaml(&plane.kubeconfig())?;
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// How Deployments are addressed.
pub(super) fn deployments() -> ApiResource {
    ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("apps", "v1", "Deployment"),
        "deployments",
    )
}

impl Seen {
    /// Begins to look.
    pub(super) fn follow(client: Client) -> Self {
        let told: Arc<watch::Sender<Told>> = Arc::default();
        let telling = Arc::clone(&told);
        let following = tokio::spawn(async move {
            let api: Api<DynamicObject> = Api::all_with(client, &deployments());
            let mut events = watcher::watcher(api, watcher::Config::default()).boxed();
            while let Some(event) = events.next().await {
                if let Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) = event
                {
                    telling.send_modify(|told| told.take(&object));
                }
            }
        });
        Self { told, following: following.abort_handle() }
    }

    /// Waits until so many are there.
    pub(super) async fn there(&self, count: usize) -> anyhow::Result<()> {
        self.until(|told| told.deployments.len() >= count).await
    }

    /// Waits until so many are available.
    pub(super) async fn available(&self, count: usize) -> anyhow::Result<()> {
        self.until(|told| told.available >= count).await
    }

    /// Waits until an image has a tag; gives when that was told of.
    pub(super) async fn has(&self, image: &str, tag: &str) -> anyhow::Result<Instant> {
        let has = |told: &Told| told.deployments.get(image).is_some_and(|one| one.tag == tag);
        self.until(has).await?;
        let told = self.told.borrow();
        let one = told.deployments.get(image).ok_or_else(|| anyhow::anyhow!("{image}"))?;
        Ok(one.since)
    }

    async fn until(&self, is_so: impl Fn(&Told) -> bool) -> anyhow::Result<()> {
        let mut told = self.told.subscribe();
        tokio::time::timeout(PATIENCE, told.wait_for(is_so)).await??;
        Ok(())
    }
}

impl Told {
    fn take(&mut self, object: &DynamicObject) {
        let number =
            |pointer: &str| object.data.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
        let image = object.data.pointer("/spec/template/spec/containers/0/image");
        let image = image.and_then(Value::as_str).unwrap_or_default();
        let (image, tag) = image.rsplit_once(':').unwrap_or((image, ""));
        let observed =
            number("/status/observedGeneration") >= object.metadata.generation.unwrap_or(0);
        let replicas = object.data.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
        let available = observed
            && number("/status/updatedReplicas") >= replicas
            && number("/status/availableReplicas") >= replicas;
        let before = self.deployments.get(image);
        let was = before.is_some_and(|before| before.available);
        let same = before.filter(|before| before.tag == tag).map(|before| before.since);
        let since = same.unwrap_or_else(Instant::now);
        self.deployments.insert(image.to_owned(), One { tag: tag.to_owned(), since, available });
        match (was, available) {
            (false, true) => self.available += 1,
            (true, false) => self.available -= 1,
            (true, true) | (false, false) => {}
        }
    }
}
