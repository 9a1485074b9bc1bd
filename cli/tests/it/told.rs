//! What people are told when it does not go as they wished.

use std::io::{BufRead as _, BufReader};
use std::process::Output;

use crate::plane::Plane;
use serde_json::Value;
use servers::until;

const SPEED: u32 = 200;

fn talk(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The outcome of a deployment's rollout.
fn outcome(plane: &Plane, deployment: &str) -> String {
    let json: Value =
        serde_json::from_str(&plane.data_of(&["trace", deployment, "-o", "json"])).unwrap();
    json["rollout"]["outcome"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn whoever_waits_for_a_rollout_that_is_taken_back_is_told_why_and_to_where() {
    let plane = Plane::up(SPEED);
    plane.data_of(&["env", "apply", "cli/tests/files/careful.yaml"]);
    plane.data_of(&["apply", "samples/minimal.yaml", "-e", "careful"]);
    plane.data_of(&["sim", "break", "workload/careful_web_web", "--message", "no such image"]);
    let image = "web=registry.example/web:broken";
    let mut apply =
        plane.spawn(&["apply", "samples/minimal.yaml", "-e", "careful", "--image", image]);
    let mut lines = BufReader::new(apply.stderr.take().unwrap()).lines().map(Result::unwrap);
    let back = lines.find(|line| line.contains("going back to revision 1")).unwrap();
    assert!(back.starts_with("deploy 2 failed: ") && back.contains("no such image"), "{back}");
    plane.data_of(&["sim", "heal", "workload/careful_web_web"]);
    let talk = lines.collect::<Vec<_>>().join("\n");
    assert_eq!(apply.wait().unwrap().code(), Some(1), "{talk}");
    assert!(talk.contains("error: deploy 2 failed\n"), "{talk}");
    assert!(talk.contains("careful_web is back at revision 1\n"), "{talk}");
    assert_eq!(outcome(&plane, "careful_web"), "succeeded");
}

#[test]
fn what_holds_a_deletion_up_is_named_and_the_past_does_not_age() {
    let plane = Plane::up(SPEED);
    plane.data_of(&["apply", "samples/minimal.yaml", "-e", "dev"]);
    let position = |plane: &Plane| -> Value {
        let version: Value =
            serde_json::from_str(&plane.data_of(&["version", "-o", "json"])).unwrap();
        version["server"]["position"].clone()
    };
    let then = position(&plane).as_str().unwrap().to_owned();
    let past = ["trace", "dev_web", "--as-of", &then];
    let seen = plane.data_of(&past);
    plane.data_of(&["pause", "workload/dev_web_web"]);

    let delete = plane.cairn(&["delete", "dev_web", "--wait", "--timeout", "2s"]);
    assert_eq!(delete.status.code(), Some(6), "{}", talk(&delete));
    assert!(talk(&delete).contains("dev_web is not gone after 2s"), "{}", talk(&delete));
    assert!(talk(&delete).contains("workload/dev_web_web: it is paused"), "{}", talk(&delete));
    let trace = plane.data_of(&["trace", "dev_web"]);
    let line = trace.lines().find(|line| line.starts_with("workload/dev_web_web ")).unwrap();
    assert!(line.contains("deleting") && line.contains("it is paused ("), "{trace}");
    assert!(plane.data_of(&["get", "workloads"]).contains("paused"));

    // Two seconds later it is still as old as it was then.
    assert_eq!(plane.data_of(&past), seen);

    plane.data_of(&["resume", "workload/dev_web_web"]);
    plane.data_of(&["wait", "dev_web"]);
    let again = plane.cairn(&["delete", "dev_web"]);
    assert_eq!(again.status.code(), Some(4), "{}", talk(&again));
    let tomorrow = plane.cairn(&["trace", "dev_web", "--as-of", "2126-01-01"]);
    assert!(talk(&tomorrow).contains("is in the future"), "{}", talk(&tomorrow));
}

#[test]
fn what_holds_data_and_is_taken_out_of_the_file_is_not_deleted_unasked() {
    let plane = Plane::up(SPEED);
    let file = plane.folder.path().join("app.yaml");
    let write = |resources: &str| {
        let text = format!("name: web\nimage: shop/web:1\nport: 80\n{resources}");
        std::fs::write(&file, text).unwrap();
    };
    let apply = ["apply", file.to_str().unwrap(), "-e", "dev"];
    write("resources: {files: s3}\n");
    plane.data_of(&apply);
    write("");
    let refused = plane.cairn(&apply);
    assert_eq!(refused.status.code(), Some(3), "{}", talk(&refused));
    assert!(talk(&refused).contains("what is in it would be lost"), "{}", talk(&refused));
    assert!(talk(&refused).contains("--allow-delete"), "{}", talk(&refused));
    plane.data_of(&[apply.as_slice(), &["--allow-delete"]].concat());
    assert!(!plane.data_of(&["get", "resources"]).contains("bucket/"));
}

#[test]
fn a_rollback_goes_to_what_ran_and_not_to_what_was_only_planned() {
    let plane = Plane::up(SPEED);
    let image = |image: &str| format!("web=registry.example/web:{image}");
    let deploy = |command: &str, name: &str| {
        plane.data_of(&[command, "samples/minimal.yaml", "-e", "dev", "--image", &image(name)])
    };
    deploy("apply", "one");
    plane.data_of(&[
        "plan",
        "samples/minimal.yaml",
        "-e",
        "dev",
        "--image",
        &image("never"),
        "--save",
    ]);
    deploy("apply", "two");
    plane.data_of(&["rollback", "dev_web"]);
    let runs = plane.data_of(&["get", "workload", "dev_web_web"]);
    assert!(runs.contains("registry.example/web:one"), "{runs}");
    let never = plane.cairn(&["rollback", "dev_web", "--to", "2"]);
    assert_eq!(never.status.code(), Some(3), "{}", talk(&never));
    assert!(talk(&never).contains("revision 2 was never rolled out"), "{}", talk(&never));
}

#[test]
fn the_same_again_waits_for_what_is_under_way() {
    let plane = Plane::up(SPEED);
    plane.data_of(&["apply", "samples/minimal.yaml", "-e", "dev"]);
    plane.data_of(&["pause", "workload/dev_web_web"]);
    let image = "web=registry.example/web:2";
    let apply = ["apply", "samples/minimal.yaml", "-e", "dev", "--image", image];
    plane.data_of(&[apply.as_slice(), &["--detach"]].concat());
    until("its workload to be told what is wanted", || {
        plane.data_of(&["get", "workload", "dev_web_web"]).contains("web:2").then_some(())
    });
    let joined = plane.cairn(&[apply.as_slice(), &["--timeout", "1s"]].concat());
    assert_eq!(joined.status.code(), Some(6), "{}", talk(&joined));
    assert!(talk(&joined).contains("(rollout dev_web_2)"), "{}", talk(&joined));
    plane.data_of(&["resume", "workload/dev_web_web"]);
    plane.data_of(&apply);
    assert_eq!(outcome(&plane, "dev_web"), "succeeded");
}

#[test]
fn what_failed_does_not_succeed_because_nothing_is_left_to_say() {
    let plane = Plane::up(SPEED);
    let careful = std::fs::read_to_string("tests/files/careful.yaml").unwrap();
    let file = plane.folder.path().join("environment.yaml");
    let forward = careful.replace("rollback_on_failure: true", "rollback_on_failure: false");
    std::fs::write(&file, forward).unwrap();
    plane.data_of(&["env", "apply", file.to_str().unwrap()]);
    plane.data_of(&["apply", "samples/minimal.yaml", "-e", "careful"]);
    plane.data_of(&["sim", "break", "workload/careful_web_web", "--message", "no such image"]);
    let image = "web=registry.example/web:broken";
    let apply = ["apply", "samples/minimal.yaml", "-e", "careful", "--image", image];
    for rollout in ["deploy 2", "deploy 3"] {
        let failed = plane.cairn(&apply);
        assert_eq!(failed.status.code(), Some(1), "{}", talk(&failed));
        assert!(talk(&failed).contains(&format!("{rollout} failed\n")), "{}", talk(&failed));
        assert!(talk(&failed).contains("no such image"), "{}", talk(&failed));
    }
    plane.data_of(&["sim", "heal", "workload/careful_web_web"]);
    plane.data_of(&apply);
    assert_eq!(outcome(&plane, "careful_web"), "succeeded");
}

#[test]
fn a_plan_leaves_no_trace_and_a_refusal_neither() {
    let plane = Plane::up(SPEED);
    let applications = || plane.data_of(&["get", "applications", "-o", "json"]);
    let before = applications();
    let plan = plane.cairn(&["plan", "samples/minimal.yaml", "-e", "dev"]);
    assert!(talk(&plan).contains("Nothing is recorded yet"), "{}", talk(&plan));
    for command in ["plan", "apply"] {
        let refused = plane.cairn(&[command, "cli/tests/files/unknown-class.yaml", "-e", "dev"]);
        assert_eq!(refused.status.code(), Some(3), "{}", talk(&refused));
    }
    assert_eq!(applications(), before);
}

#[test]
fn a_secret_in_clear_is_warned_of_and_not_shown_again() {
    let plane = Plane::up(SPEED);
    let file = plane.folder.path().join("app.yaml");
    let text = "name: web\nimage: shop/web:1\nport: 80\nvariables: {DB_PASSWORD: hunter2}\n";
    std::fs::write(&file, text).unwrap();
    let apply = plane.cairn(&["apply", file.to_str().unwrap(), "-e", "dev"]);
    assert!(talk(&apply).contains("looks like a secret in clear"), "{}", talk(&apply));
    for seen in [
        ["get", "application", "web", "-o", "json"].as_slice(),
        &["get", "workload", "dev_web_web", "-o", "json"],
        &["get", "workload", "dev_web_web"],
        &["events", "-o", "json"],
        &["plan", "samples/minimal.yaml", "-e", "dev", "-o", "json"],
    ] {
        let data = plane.data_of(seen);
        assert!(!data.contains("hunter2"), "{seen:?}: {data}");
    }
}

#[test]
fn what_is_paused_is_shown_with_the_way_to_go_on() {
    let plane = Plane::up(SPEED);
    plane.data_of(&["apply", "samples/minimal.yaml", "-e", "dev"]);
    plane.data_of(&["pause", "workload/dev_web_web"]);
    let image = "web=registry.example/web:2";
    let apply = ["apply", "samples/minimal.yaml", "-e", "dev", "--image", image, "--timeout", "2s"];
    let apply = plane.cairn(&apply);
    assert_eq!(apply.status.code(), Some(6), "{}", talk(&apply));
    let line = talk(&apply).lines().find(|line| line.starts_with('[')).unwrap().to_owned();
    assert!(line.ends_with("): cairn resume workload/dev_web_web"), "{line}");
    let hint = "hint: take actions again with: cairn resume workload/dev_web_web; then ";
    assert!(talk(&apply).contains(hint), "{}", talk(&apply));
    let trace = plane.cairn(&["trace", "dev_web"]);
    assert!(talk(&trace).contains("cairn resume workload/dev_web_web"), "{}", talk(&trace));
    plane.data_of(&["resume", "workload/dev_web_web"]);
    plane.data_of(&["wait", "dev_web"]);
    assert_eq!(talk(&plane.cairn(&["trace", "dev_web"])), "");
}

#[test]
fn whoever_watches_through_a_pipe_is_told_only_what_changes() {
    let plane = Plane::up(SPEED);
    plane.data_of(&["apply", "samples/minimal.yaml", "-e", "dev"]);
    let mut watch = plane.spawn(&["trace", "dev_web", "-w"]);
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
    let tree: Vec<String> = lines.by_ref().take_while(|line| !line.starts_with('└')).collect();
    assert!(tree[0].starts_with("deployment/dev_web revision 1"), "{tree:?}");
    plane.data_of(&["sim", "break", "workload/dev_web_web", "--message", "no such image"]);
    assert_eq!(lines.next().as_deref(), Some("workload/dev_web_web  unready  (no such image)"));
    let heading = lines.next().unwrap();
    assert!(
        heading.starts_with("deployment/dev_web") && heading.ends_with("1/2 ready"),
        "{heading}"
    );
    plane.data_of(&["sim", "heal", "workload/dev_web_web"]);
    assert_eq!(lines.next().as_deref(), Some("workload/dev_web_web  ready"));
    assert!(lines.next().unwrap().ends_with("2/2 ready"));
    watch.kill().unwrap();
    watch.wait().unwrap();
}

#[test]
fn a_second_server_takes_the_commands_over_and_says_so() {
    let mut plane = Plane::up(SPEED);
    let first = format!("local-{}", plane.port);
    assert!(plane.data_of(&["context", "show"]).starts_with(&format!("{first} (current)\n")));
    let mut second = plane.command(env!("CARGO_BIN_EXE_cairn"));
    second.args(["up", "--listen", "127.0.0.1:0", "--data-dir"]).arg(plane.folder.path().join("b"));
    let mut second = second.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(second.stderr.take().unwrap()).lines().map(Result::unwrap);
    let said = lines.take_while(|line| !line.contains("Ctrl-C")).collect::<Vec<_>>().join("\n");
    assert!(said.contains(&format!("Commands went to the context `{first}` until now")), "{said}");
    assert!(said.contains(&format!("Go back with: cairn context use {first}")), "{said}");
    let list = plane.data_of(&["context", "list"]);
    assert_eq!(list.lines().filter(|line| line.starts_with('*')).count(), 1, "{list}");
    assert!(!list.contains(&format!("*        {first} ")), "{list}");
    plane.data_of(&["context", "use", &first]);
    assert!(plane.data_of(&["context", "show"]).starts_with(&format!("{first} (current)\n")));
    second.kill().unwrap();
    second.wait().unwrap();
    assert!(plane.stop());
}

#[test]
fn output_that_does_not_arrive_is_no_success() {
    let plane = Plane::up(SPEED);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = plane.command(env!("CARGO_BIN_EXE_cairn"));
    let lost = command.args(["get", "environments", "-o", "json"]).stdout(full).output().unwrap();
    assert_eq!(lost.status.code(), Some(7), "{}", talk(&lost));
    assert!(talk(&lost).contains("the output could not be written"), "{}", talk(&lost));
}

#[test]
fn nobody_else_on_the_machine_reads_the_log() {
    use std::os::unix::fs::PermissionsExt as _;
    let plane = Plane::up(SPEED);
    let mode = std::fs::metadata(plane.data()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_moment_before_a_thing_was_there_is_told_as_such() {
    let plane = Plane::up(SPEED);
    plane.data_of(&["apply", "samples/minimal.yaml", "-e", "dev"]);
    let before = plane.cairn(&["trace", "dev_web", "--as-of", "2"]);
    assert_eq!(before.status.code(), Some(4), "{}", talk(&before));
    assert!(talk(&before).contains("it was not then"), "{}", talk(&before));
}
