//! Disks that pretend.

use serde_json::json;

use super::ControlPlane;

impl ControlPlane {
    /// A default class of storage, and so many disks of it.
    pub(super) fn make_storage(&self, disks: u32) {
        let class = json!({
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": "pretended",
                "annotations": { "storageclass.kubernetes.io/is-default-class": "true" },
            },
            "provisioner": "kubernetes.io/no-provisioner",
            "allowVolumeExpansion": true,
            "volumeBindingMode": "WaitForFirstConsumer",
        });
        self.make("/apis/storage.k8s.io/v1/storageclasses", &class);
        for number in 0..disks {
            let disk = json!({
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": { "name": format!("disk-{number}") },
                "spec": {
                    "storageClassName": "pretended",
                    "capacity": { "storage": "1Ti" },
                    "accessModes": ["ReadWriteOnce"],
                    "hostPath": { "path": format!("/pretended/{number}") },
                },
            });
            self.make("/api/v1/persistentvolumes", &disk);
        }
    }
}
