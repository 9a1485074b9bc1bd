//! Real clusters beside another world, such as the simulated one: each resource is where its cluster is.

use std::sync::Arc;

use domain::kinds::{
    Certificate, Cluster, DnsRecord, Helm, Manifests, Route, SupportService, Volume, Workload,
};
use domain::text::Inputs;
use domain::{ResourceId, StreamId};
use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use reconcilers::providers::{Provided, World};
use reconcilers::secrets::{FILES, IN_CLUSTER};
use reconcilers::{
    CallError, LogLines, LogQuery, Performed, Provider, Providers, Reconcile, Scene, Target,
};

use crate::Kubernetes;
use crate::provider::{Hosted, credentials};

/// Real clusters beside the world `W`.
pub struct Beside<W> {
    /// The other world.
    pub world: Arc<W>,
    /// Real clusters.
    pub kubernetes: Arc<Kubernetes>,
}

impl<W: World> Beside<W> {
    /// Who acts on each kind: what has to do with clusters is where its cluster is, everything else in the world.
    #[must_use]
    pub fn providers(world: &Arc<W>, kubernetes: &Arc<Kubernetes>) -> Providers {
        let beside =
            Arc::new(Self { world: Arc::clone(world), kubernetes: Arc::clone(kubernetes) });
        Providers {
            certificate: Provided::from(Arc::clone(&beside)),
            cluster: Provided::from(Arc::clone(&beside)),
            dns_record: Provided::from(Arc::clone(&beside)),
            helm: Provided::from(Arc::clone(&beside)),
            manifests: Provided::from(Arc::clone(&beside)),
            route: Provided::from(Arc::clone(&beside)),
            support_service: Provided::from(Arc::clone(&beside)),
            volume: Provided::from(Arc::clone(&beside)),
            workload: Provided::from(beside),
            ..Providers::all(world)
        }
    }
}

/// What may be in a real cluster or elsewhere.
pub trait Placed: Reconcile {
    /// Whether it is in a real cluster, or is one.
    fn is_real(scene: Scene<'_, Self>) -> bool;
}

impl Placed for Cluster {
    fn is_real(scene: Scene<'_, Self>) -> bool {
        scene.spec.existing.is_some()
    }
}

/// Whether the credentials of its cluster are those of a real one.
fn is_hosted<K: Hosted>(scene: Scene<'_, K>) -> bool {
    K::cluster(scene.spec).is_some_and(|cluster| is_kept_here(scene.inputs, cluster))
}

fn is_kept_here(inputs: &Inputs, cluster: &ResourceId) -> bool {
    let real = [FILES, IN_CLUSTER];
    credentials(inputs, cluster).is_some_and(|it| real.contains(&it.store.as_str()))
}

impl Placed for Helm {
    fn is_real(scene: Scene<'_, Self>) -> bool {
        is_kept_here(scene.inputs, &scene.spec.cluster)
    }
}

impl Placed for Manifests {
    fn is_real(scene: Scene<'_, Self>) -> bool {
        is_kept_here(scene.inputs, &scene.spec.cluster)
    }
}

macro_rules! hosted {
    ($($kind:ident),*) => {
        $(impl Placed for $kind {
            fn is_real(scene: Scene<'_, Self>) -> bool {
                is_hosted(scene)
            }
        })*
    };
}
hosted!(Certificate, DnsRecord, Route, SupportService, Volume, Workload);

impl<K: Placed, W: Provider<K>> Provider<K> for Beside<W>
where
    Kubernetes: Provider<K>,
{
    fn observe<'a>(&'a self, scene: Scene<'a, K>) -> BoxFuture<'a, Result<K::Observed, CallError>> {
        if K::is_real(scene) { self.kubernetes.observe(scene) } else { self.world.observe(scene) }
    }

    fn perform<'a>(
        &'a self,
        scene: Scene<'a, K>,
        call: K::Call,
    ) -> BoxFuture<'a, Result<Performed, CallError>> {
        if K::is_real(scene) {
            self.kubernetes.perform(scene, call)
        } else {
            self.world.perform(scene, call)
        }
    }

    fn sweep(&self) -> BoxFuture<'_, Result<Vec<Target>, CallError>> {
        async move {
            let mut found = Provider::<K>::sweep(&*self.kubernetes).await?;
            found.extend(Provider::<K>::sweep(&*self.world).await?);
            Ok(found)
        }
        .boxed()
    }

    /// It is in one of the two; removing what is not there is nothing.
    fn remove<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Performed, CallError>> {
        async move {
            let here = Provider::<K>::remove(&*self.kubernetes, target).await?;
            let there = Provider::<K>::remove(&*self.world, target).await?;
            Ok(if here == Performed::Finished { there } else { here })
        }
        .boxed()
    }

    fn logs(&self, scene: Scene<'_, K>, query: &LogQuery) -> Option<LogLines> {
        if K::is_real(scene) {
            self.kubernetes.logs(scene, query)
        } else {
            self.world.logs(scene, query)
        }
    }

    fn changes(&self) -> BoxStream<'static, StreamId> {
        let here = Provider::<K>::changes(&*self.kubernetes);
        futures::stream::select(here, Provider::<K>::changes(&*self.world)).boxed()
    }
}
