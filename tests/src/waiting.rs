//! Waits for what is to become so, and says what it waited for in vain.

use crate::{PATIENCE, Plane};

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

    /// Waits for something to become so; looks whenever the views change.
    pub async fn until(&self, what: &str, so: impl AsyncFn() -> bool) {
        assert!(self.becomes(so).await, "waited too long for {what}");
    }

    async fn becomes(&self, so: impl AsyncFn() -> bool) -> bool {
        let mut changes = self.views.changes();
        let waited = tokio::time::timeout(PATIENCE, async {
            while !so().await {
                // A receiver that fell behind looks again, which is all it would do anyway.
                let _ = changes.recv().await;
            }
        });
        waited.await.is_ok()
    }
}
