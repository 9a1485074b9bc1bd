//! The benchmarks run: with a hundredth of the work, and nothing is said of how fast anything is.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::process::{Command, Stdio};

/// Runs one subject, which must end well and report this.
#[track_caller]
fn reports(subject: &str, figures: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    let output = command.args(["--smoke", subject]).stdin(Stdio::null()).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{subject}: {talk}");
    for figure in figures {
        let row = table.lines().find(|line| line.contains(figure));
        assert!(row.is_some(), "{subject} says nothing of {figure:?}:\n{table}{talk}");
    }
}

macro_rules! subjects {
    ($($name:ident: $subject:literal => [$($figure:literal),*];)*) => {
        $(#[test] fn $name() { reports($subject, &[$($figure),*]); })*

        #[test]
        fn every_subject_is_run_here() {
            let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
            let output = command.arg("--help").output().unwrap();
            let help = String::from_utf8(output.stdout).unwrap();
            for line in help.lines().filter_map(|line| line.trim().strip_prefix("- ")) {
                let subject = line.split(':').next().unwrap();
                assert!([$($subject),*].contains(&subject), "{subject} is not run");
            }
            assert!(help.contains("- commands:"), "{help}");
        }
    };
}

subjects! {
    commands_run: "commands" => ["commands in process", "hash chain"];
    many_run: "many" => ["commands at 10,000 resources", "memory of the log"];
    jetstream_runs: "jetstream" => ["JetStream R1, class", "JetStream R3, class", "GraphQL mutations"];
    visible_runs: "visible" => ["command visible"];
    started_runs: "started" => ["reconcile begun"];
    replay_runs: "replay" => ["replay"];
    postgres_runs: "postgres" => ["live views", "rebuild", "view by id", "GraphQL by id", "GraphQL list of 50"];
    archive_runs: "archive" => ["verify the log", "verify the archive"];
    reconciles_run: "reconciles" => ["no-op reconciles"];
    fleet_runs: "fleet" => ["empty to ready", "GraphQL by id in process"];
    stack_runs: "stack" => ["idle reconciler", "idle PostgreSQL", "idle cluster"];
    delivered_runs: "delivered" => ["every object applied", "an image change on the cluster", "a settled fleet, writes"];
    threeport_runs: "threeport" => ["creates of 0.9 kB", "gets by id", "lists of 50"];
    peers_run: "peers" => ["etcd's default puts", "kube-apiserver"];
}
