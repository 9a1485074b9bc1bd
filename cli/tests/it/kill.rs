//! Kill -9 at any moment of a deployment: it finishes, and nothing is doubled.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};

use serde_json::Value;

use crate::plane::Plane;

/// Fast enough for a test, slow enough to be killed in the middle.
const SPEED: u32 = 40;
/// How often the server is killed in one deployment.
const KILLS: u64 = 8;

/// Waits until the server has recorded so many commits more.
fn after_commits(plane: &Plane, count: u64) {
    let info: Value = serde_json::from_str(&plane.data_of(&["version", "-o", "json"])).unwrap();
    let head = info["server"]["position"].as_str().unwrap().to_owned();
    let mut events = plane.spawn(&["events", "--follow", "--after", &head, "-o", "json"]);
    let lines = BufReader::new(events.stdout.take().unwrap()).lines();
    let seen = lines.take(usize::try_from(count).unwrap()).count();
    assert_eq!(u64::try_from(seen).unwrap(), count);
    events.kill().unwrap();
    events.wait().unwrap();
}

/// The effects on the simulated world: kind of effect → object → how often.
fn ledger(plane: &Plane) -> BTreeMap<String, BTreeMap<String, u32>> {
    let text = std::fs::read_to_string(plane.data().join("world.jsonl")).unwrap();
    let mut effects: BTreeMap<String, BTreeMap<String, u32>> = BTreeMap::new();
    for line in text.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let (name, entry) = entry.as_object().unwrap().iter().next().unwrap();
        let uid = entry.pointer("/target/uid").or(entry.get("uid")).unwrap().as_str().unwrap();
        *effects.entry(name.to_lowercase()).or_default().entry(uid.to_owned()).or_default() += 1;
    }
    effects
}

fn resources(plane: &Plane) -> Vec<Value> {
    serde_json::from_str(&plane.data_of(&["get", "resources", "-o", "json"])).unwrap()
}

#[test]
fn a_deployment_finishes_whenever_the_server_is_killed() {
    let mut plane = Plane::up(SPEED);
    plane.data_of(&["apply", "samples/shop/app.yaml", "-e", "dev", "--detach"]);
    for kill in 0..KILLS {
        // Another moment each time, and the same ones in every run.
        after_commits(&plane, 1 + kill * 7 % 11);
        plane.kill();
        plane.start();
    }
    plane.data_of(&["wait", "dev_shop", "--timeout", "90s"]);
    let live = resources(&plane);
    assert!(live.iter().all(|resource| resource["ready"] == true), "{live:?}");
    assert!(plane.stop(), "the server did not end well");
    let effects = ledger(&plane);
    let created = &effects["created"];
    assert_eq!(
        created.len(),
        live.len(),
        "an object for every resource, and no other: {effects:?}"
    );
    assert!(created.values().all(|times| *times == 1), "something was made twice: {effects:?}");
    assert!(!effects.contains_key("deleted"), "something was deleted: {effects:?}");
    let data = plane.data();
    let whole = plane.data_of(&["admin", "verify", "--data-dir", data.to_str().unwrap()]);
    assert!(whole.starts_with("the log is whole"), "{whole}");
    plane.data_of(&["admin", "rebuild", "--data-dir", data.to_str().unwrap()]);
    plane.start();
    assert_eq!(resources(&plane).len(), live.len(), "the rebuilt views show the same");
}

#[test]
fn whoever_waits_goes_on_waiting_while_the_server_restarts() {
    let mut plane = Plane::up(SPEED);
    let apply = plane.spawn(&["apply", "samples/shop/app.yaml", "-e", "dev"]);
    after_commits(&plane, 30);
    plane.kill();
    plane.start();
    let output = apply.wait_with_output().unwrap();
    let (data, talk) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{talk}");
    assert!(data.starts_with("dev_shop revision 1 is ready"), "{data}{talk}");
}
