//! What pretending containers write: lines of two files, one for every container that runs, one for every run before.

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::json;

use super::ControlPlane;
use crate::Place;

/// What containers write now.
const NOW: &str = "containers.log";
/// What they wrote before they were begun again.
const BEFORE: &str = "containers-before.log";

/// Tells KWOK where the lines are. The files are there from then on: it waits for no file.
pub(super) fn config(place: &Place) -> PathBuf {
    let (now, before) = (place.join(NOW), place.join(BEFORE));
    for file in [&now, &before] {
        std::fs::write(file, "").expect("a log");
    }
    let config = json!({
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterLogs",
        "metadata": { "name": "all" },
        "spec": { "logs": [{ "logsFile": now, "previousLogsFile": before, "follow": true }] },
    });
    let file = place.join("logs.yaml");
    // JSON is YAML.
    std::fs::write(&file, config.to_string()).expect("a configuration");
    file
}

impl ControlPlane {
    /// Lets every container that runs write a line now.
    pub fn write_log(&self, line: &str) {
        append(self.place.join(NOW), line);
    }

    /// The same for every run that is over.
    pub fn write_log_before(&self, line: &str) {
        append(self.place.join(BEFORE), line);
    }
}

/// As the kubelet keeps them: the moment, which output, that the line is full, the line (Kubernetes: CRI logging).
fn append(file: PathBuf, line: &str) {
    let moment = jiff::Timestamp::now();
    let mut file = std::fs::OpenOptions::new().append(true).open(file).expect("a log");
    writeln!(file, "{moment:.9} stdout F {line}").expect("a line");
}
