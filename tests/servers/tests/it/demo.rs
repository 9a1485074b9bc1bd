//! `make demo-kubernetes`, as a person runs it.

use std::path::Path;

use servers::{Place, Process, until};

/// Runs it, told where its configuration is: a person's own is not touched. What is simulated beside the cluster is made
/// two hundred times faster than in life.
const RUN: &str = r#"CAIRN_CONFIG="$1" "$0" --once --speed 200; echo "it ended with $?""#;

#[test]
fn the_demo_on_a_real_kubernetes_runs_to_its_end_and_says_how_to_look_by_kubectl() {
    let place = Place::new();
    let configuration = place.join("config.json").display().to_string();
    // It runs the `cairn` that was built beside it; where there is none it says so, and fails.
    let program = env!("CARGO_BIN_EXE_demo-kubernetes");
    let arguments = ["-c", RUN, program, &configuration];
    let demo = Process::new(Path::new("/bin/sh"), &arguments, None, &place.join("demo.log"));
    demo.start();
    until("the demo to end", || (!demo.runs()).then_some(()));

    let said = demo.log();
    for words in [
        "export KUBECONFIG=",
        "/kubectl get all -A -l app.kubernetes.io/managed-by=cairn",
        "/kubectl scale deployment/worker -n dev-shop --replicas=7",
        // What is said after the last of its commands.
        "That was a plan, a deployment, a change of one image",
        "it ended with 0",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}
