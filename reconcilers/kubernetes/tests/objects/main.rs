//! What applications become on a cluster, the whole way: application file, plan, spec, objects. All of it stands as
//! JSON in `expected/`, which `BLESS=1` rewrites; what must be so whatever stands there is said here.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "these are tests")]

mod deployed;

use std::fs;

use deployed::{BEFORE, Deployed, SCALED, STATEFUL, deploy, root, samples};
use serde_json::{Value, json};

/// Kinds of volumes that a pod may have (Kubernetes: Pod Security Standards, restricted).
const VOLUMES: [&str; 3] = ["configMap", "persistentVolumeClaim", "secret"];

/// Compares a text with its file.
#[track_caller]
fn expect(name: &str, text: &str) {
    let path = root().join(format!("reconcilers/kubernetes/tests/objects/expected/{name}.json"));
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == text, "{name} differs; BLESS=1 rewrites it. Now it is:\n{text}");
}

#[test]
fn what_samples_become_is_what_the_files_say() {
    for (name, Deployed(objects)) in samples() {
        let text = serde_json::to_string_pretty(&objects).unwrap() + "\n";
        expect(name, &text);
    }
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

fn named<'a>(items: &'a [Value], name: &str) -> &'a Value {
    items.iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("{name}: {items:?}"))
}

#[test]
fn every_pod_is_restricted_and_says_what_it_asks_for() {
    for (name, deployed) in samples() {
        let namespace = deployed.of_kind("Namespace");
        let enforced = &namespace[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
        assert_eq!((namespace.len(), enforced), (1, &json!("restricted")), "{name}");
        let running = deployed.running();
        assert!(!running.is_empty(), "{name} runs nothing");
        for (_, template) in running {
            let pod = &template["spec"];
            let restricted =
                json!({ "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } });
            assert_eq!(pod["securityContext"], restricted, "{name}");
            for field in ["hostNetwork", "hostPID", "hostIPC"] {
                assert_eq!(pod[field], Value::Null, "{name}: {field}");
            }
            for volume in list(pod, "volumes") {
                let mut kinds = volume.as_object().unwrap().keys().filter(|key| *key != "name");
                assert!(kinds.all(|kind| VOLUMES.contains(&kind.as_str())), "{name}: {volume}");
            }
            for container in list(pod, "containers").iter().chain(list(pod, "initContainers")) {
                let restricted = json!({ "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } });
                assert_eq!(container["securityContext"], restricted, "{name}: {container}");
                let requests = &container["resources"]["requests"];
                assert!(
                    requests["cpu"].is_string() && requests["memory"].is_string(),
                    "{requests}"
                );
            }
        }
    }
}

#[test]
fn every_workload_has_an_account_and_a_policy_and_several_replicas_a_budget() {
    for (name, deployed) in samples() {
        for (main, template) in deployed.running() {
            let account = deployed.beside(main, "ServiceAccount").unwrap();
            assert_eq!(template["spec"]["serviceAccountName"], account["metadata"]["name"]);
            assert_eq!(account["automountServiceAccountToken"], json!(false), "{name}");
            let labels = &template["metadata"]["labels"];
            let selects = |selector: &Value| {
                let wanted = selector["matchLabels"].as_object().unwrap();
                !wanted.is_empty() && wanted.iter().all(|(key, value)| labels[key] == *value)
            };
            let policy = &deployed.beside(main, "NetworkPolicy").unwrap()["spec"];
            assert!(selects(&policy["podSelector"]), "{name}: {policy}");
            assert_eq!(policy["policyTypes"], json!(["Ingress"]), "{name}");
            let scaler = deployed.beside(main, "HorizontalPodAutoscaler");
            let least = scaler.map_or(&main["spec"]["replicas"], |it| &it["spec"]["minReplicas"]);
            let several = least.as_u64().is_some_and(|replicas| replicas > 1);
            let budget = deployed.beside(main, "PodDisruptionBudget");
            assert_eq!(budget.is_some(), several, "{name}: {least} replicas");
            if let Some(budget) = budget {
                assert!(selects(&budget["spec"]["selector"]), "{name}: {budget}");
                assert_eq!(budget["spec"]["maxUnavailable"], json!(1), "{name}");
            }
        }
    }
}

#[test]
fn what_scales_by_load_has_the_scaler_and_no_replicas() {
    let deployed = deploy("scaled", "app.yaml", SCALED);
    let main = deployed.one("Deployment", "scaled");
    assert_eq!(main["spec"].get("replicas"), None);
    let scaler = &deployed.one("HorizontalPodAutoscaler", "scaled")["spec"];
    assert_eq!((&scaler["minReplicas"], &scaler["maxReplicas"]), (&json!(2), &json!(5)));
    let leads_to = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled" });
    assert_eq!(scaler["scaleTargetRef"], leads_to);
    // What was said of it is said of its container.
    let main = &list(&main["spec"]["template"]["spec"], "containers")[0];
    let asked = json!({ "requests": { "cpu": "250m", "memory": "128Mi" }, "limits": { "memory": "256Mi" } });
    assert_eq!(main["resources"], asked);
    assert_eq!(main["livenessProbe"]["httpGet"]["path"], "/live");
    assert_eq!(main["readinessProbe"]["exec"]["command"], json!(["/bin/ready", "now"]));
    // Whoever does not scale by load has a number.
    let fixed = deploy("before", "app.yaml", BEFORE);
    assert_eq!(fixed.one("Deployment", "before")["spec"]["replicas"], json!(1));
}

#[test]
fn what_comes_before_is_an_init_container_or_a_sidecar() {
    let deployed = deploy("before", "app.yaml", BEFORE);
    let pod = &deployed.one("Deployment", "before")["spec"]["template"]["spec"];
    let names = |items: &[Value]| items.iter().map(|it| it["name"].clone()).collect::<Vec<_>>();
    let before = list(pod, "initContainers");
    assert_eq!(names(list(pod, "containers")), ["main"]);
    assert_eq!(names(before), ["journal", "proxy", "setup"]);
    let setup = named(before, "setup");
    assert_eq!((setup.get("restartPolicy"), setup.get("startupProbe")), (None, None));
    let (journal, proxy) = (named(before, "journal"), named(before, "proxy"));
    assert_eq!((&journal["restartPolicy"], journal.get("startupProbe")), (&json!("Always"), None));
    assert_eq!(proxy["restartPolicy"], "Always");
    assert_eq!(proxy["startupProbe"]["exec"]["command"], json!(["/bin/ready"]));
}

#[test]
fn a_stateful_workload_has_a_headless_service_and_disks_of_its_own() {
    let deployed = deploy("stateful", "app.yaml", STATEFUL);
    let set = &deployed.one("StatefulSet", "db")["spec"];
    let peers = &deployed.one("Service", set["serviceName"].as_str().unwrap())["spec"];
    assert_eq!(
        (&peers["clusterIP"], &peers["publishNotReadyAddresses"]),
        (&json!("None"), &json!(true))
    );
    assert_eq!(deployed.one("Service", "db")["spec"].get("clusterIP"), None, "one for its users");
    let template = &list(set, "volumeClaimTemplates")[0]["metadata"]["name"];
    let mount = &list(&list(&set["template"]["spec"], "containers")[0], "volumeMounts")[0];
    assert_eq!((&mount["name"], &mount["mountPath"]), (template, &json!("/data")));
    let claims = deployed.of_kind("PersistentVolumeClaim");
    let names: Vec<&Value> = claims.iter().map(|claim| &claim["metadata"]["name"]).collect();
    assert_eq!(names, ["db-data-db-0", "db-data-db-1", "db-data-db-2"]);
    assert!(claims.iter().all(|it| it["spec"]["resources"]["requests"]["storage"] == "5Gi"));
}
