//! `cairn logs`: lines of the simulated world, as a person or a program reads them.

use std::io::{BufRead as _, BufReader};
use std::process::Command;

use serde_json::Value;

use crate::plane::Plane;

const SPEED: u32 = 200;

#[test]
fn logs_are_read_by_workload_followed_until_interrupted_and_missed_with_a_hint() {
    let plane = Plane::up(SPEED);
    plane.data_of(&["apply", "samples/minimal.yaml", "-e", "dev"]);

    let lines = plane.data_of(&["logs", "dev_web", "web", "--tail", "1", "-o", "json"]);
    let line: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(line["workload"], "web");
    assert_eq!(line["note"], false);
    assert!(line["pod"].as_str().unwrap().starts_with("web-"), "{line}");
    assert!(line["time"].is_string() && line["text"].is_string(), "{line}");

    let mut followed = plane.spawn(&["logs", "dev_web", "-f", "--tail", "0"]);
    let mut lines = BufReader::new(followed.stdout.take().unwrap()).lines().map(Result::unwrap);
    let (first, second) = (lines.next().unwrap(), lines.next().unwrap());
    assert!(first.starts_with("web-") && second.starts_with("web-"), "{first}\n{second}");
    let sent = Command::new("kill").args(["-INT", &followed.id().to_string()]).status().unwrap();
    assert!(sent.success());
    assert_eq!(followed.wait().unwrap().code(), Some(130));

    let failed = |arguments: &[&str], code: i32, words: &str| {
        let output = plane.cairn(arguments);
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{talk}");
        assert!(talk.contains(words), "{talk}");
        assert!(output.stdout.is_empty(), "{output:?}");
    };
    failed(&["logs", "dev_wev"], 4, "did you mean `dev_web`?");
    failed(&["logs", "dev_web", "api"], 4, "dev_web has no workload `api`: it has web");
    failed(&["logs", "dev_web", "-c", "side"], 1, "it has no container `side`: it has ");
    failed(&["logs", "dev_web", "--previous"], 1, "there was no run before this one");
    failed(&["logs", "dev_web", "--since", "soon"], 2, "30s, 10m, 2h or 1d");
}

#[test]
fn only_what_is_being_deleted_can_be_abandoned_and_the_reason_is_kept() {
    let plane = Plane::up(SPEED);
    plane.data_of(&["apply", "samples/minimal.yaml", "-e", "dev"]);
    let refused = plane.cairn(&["delete", "workload/dev_web_web", "--abandon", "--because", "x"]);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let unsaid = plane.cairn(&["delete", "dev_web", "--abandon"]);
    assert_eq!(unsaid.status.code(), Some(2), "{unsaid:?}");

    // A deletion that does not come to its end.
    plane.data_of(&["pause", "workload/dev_web_web"]);
    plane.data_of(&["delete", "dev_web"]);
    servers::until("the deletion to begin", || {
        plane.data_of(&["trace", "dev_web"]).contains("it is paused").then_some(())
    });
    let because = "its cluster was sold";
    let done = plane.data_of(&["delete", "dev_web", "--abandon", "--because", because]);
    assert!(done.contains("workload/dev_web_web is abandoned"), "{done}");
    let events = plane.data_of(&["events", "--subject", "workload/dev_web_web", "-o", "json"]);
    assert!(events.contains(because), "{events}");
    let last = events.lines().last().unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!(
        last["actor"].as_str().map(|actor| actor.starts_with("user:")),
        Some(true),
        "{last}"
    );
}
