//! Waits for what is to become so, and says what it waited for in vain.

use std::time::Duration;

use crate::{PATIENCE, Plane};

/// How long nothing may be told before it is looked all the same.
const LOOK: Duration = Duration::from_secs(1);

impl Plane {
    /// Waits until a deployment's rollout has succeeded and everything in its tree is ready.
    pub async fn ready(&self, application: &str) {
        let is_ready = async || {
            let tree = self.tree(application).await;
            tree.deployment.is_some_and(|row| row.phase == "succeeded")
                && tree.nodes.iter().all(|node| node.ready)
        };
        if self.becomes(is_ready).await {
            return;
        }
        let tree = self.tree(application).await;
        let phase = tree.deployment.map(|row| row.phase);
        let mut waits = Vec::new();
        for node in tree.nodes.iter().filter(|node| !node.ready) {
            let id = node.stream.resource().unwrap().to_string();
            waits.push(format!("{id}: {}", self.blocker(&id).await));
        }
        panic!("waited too long for {application} to be ready: it is {phase:?}, {waits:?}");
    }

    /// Waits for something to become so; looks whenever the views change, and now and then: what becomes so in the
    /// world without a trace in the log changes no view.
    pub async fn until(&self, what: &str, so: impl AsyncFn() -> bool) {
        assert!(self.becomes(so).await, "waited too long for {what}");
    }

    async fn becomes(&self, so: impl AsyncFn() -> bool) -> bool {
        let mut changes = self.views.changes();
        let mut now_and_then = tokio::time::interval(LOOK);
        let waited = tokio::time::timeout(PATIENCE, async {
            while !so().await {
                // A receiver that fell behind looks again, which is all it would do anyway.
                tokio::select! {
                    _ = changes.recv() => {}
                    _ = now_and_then.tick() => {}
                }
            }
        });
        waited.await.is_ok()
    }
}
