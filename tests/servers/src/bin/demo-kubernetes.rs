//! `make demo-kubernetes`: the demo on a real Kubernetes, whose nodes and pods pretend.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "it speaks to whoever started it")]

use std::process::{Command, ExitCode};

use servers::built_beside;
use servers::kubernetes::{ControlPlane, Options};

fn main() -> ExitCode {
    println!(
        "etcd, kube-apiserver, kube-controller-manager, kube-scheduler, and three nodes of KWOK ..."
    );
    let cluster = ControlPlane::start(&Options::default());
    let kubeconfig = cluster.kubeconfig_file();
    println!("\nKubernetes is up. In another terminal, at any time:");
    println!("  export KUBECONFIG={}", kubeconfig.display());
    println!(
        "  {} get all -A -l app.kubernetes.io/managed-by=cairn",
        cluster.kubectl_program().display()
    );
    println!(
        "  {} scale deployment/worker -n dev-shop --replicas=7   # and see it set right",
        cluster.kubectl_program().display()
    );
    let mut demo = Command::new(built_beside("cairn"));
    demo.arg("demo").arg("--kubeconfig").arg(&kubeconfig).args(std::env::args_os().skip(1));
    let ended = demo.status().expect("cairn runs");
    if ended.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
