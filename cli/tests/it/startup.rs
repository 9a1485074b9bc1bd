//! What cannot start says what is in the way and what to do about it, and leaves nothing half-made.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use journal::Position;

use crate::plane::Plane;

/// Much longer than any database's heading.
const NO_DATABASE: &[u8] = &[b'x'; 4_096];

/// Starts a server that cannot start.
#[track_caller]
fn refused(plane: &Plane, exit: i32, words: &[&str]) {
    expect(&plane.up_command().output().unwrap(), exit, words);
}

#[track_caller]
fn expect(output: &Output, exit: i32, words: &[&str]) {
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{talk}");
    assert!(output.stdout.is_empty(), "it said that it was up");
    assert_eq!(talk.matches("hint: ").count(), 1, "{talk}");
    for word in words {
        assert_eq!(talk.matches(word).count(), 1, "{word} in\n{talk}");
    }
}

/// Puts something else in the place of every database of a folder.
fn overwrite(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if name.ends_with("-wal") || name.ends_with("-shm") {
            fs::remove_file(path).unwrap();
        } else {
            fs::write(path, NO_DATABASE).unwrap();
        }
    }
}

#[test]
fn a_port_in_use_leaves_nothing_behind() {
    let plane = Plane::new(1);
    let _held = TcpListener::bind(("127.0.0.1", plane.port)).unwrap();
    refused(&plane, 7, &["Address already in use", "--listen"]);
    assert_eq!(fs::read_dir(plane.folder.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_in_use_is_left_to_whoever_uses_it() {
    let mut plane = Plane::up(1);
    let config = fs::read_to_string(plane.folder.path().join("config.json")).unwrap();
    let tokens = fs::read_to_string(plane.data().join("tokens.json")).unwrap();
    let mut command = plane.command(env!("CARGO_BIN_EXE_cairn"));
    command.args(["up", "--listen", "localhost:0", "--data-dir"]).arg(plane.data());
    let words = ["another cairn is using", "stop the other one first"];
    expect(&command.output().unwrap(), 7, &words);
    assert_eq!(fs::read_to_string(plane.folder.path().join("config.json")).unwrap(), config);
    assert_eq!(fs::read_to_string(plane.data().join("tokens.json")).unwrap(), tokens);
    assert!(plane.stop());
}

#[test]
fn a_file_in_the_place_of_the_folder_is_a_mistake_of_the_command_line() {
    let plane = Plane::new(1);
    fs::write(plane.data(), "").unwrap();
    let words = ["File exists", "a file stands where the folder should be"];
    refused(&plane, 2, &words);
    let data = plane.data().display().to_string();
    expect(&plane.cairn(&["admin", "token", "anna", "--data-dir", &data]), 2, &words);
}

#[test]
fn garbled_tokens_are_told_of_once() {
    let plane = Plane::new(1);
    fs::create_dir(plane.data()).unwrap();
    fs::write(plane.data().join("tokens.json"), "garbled").unwrap();
    refused(&plane, 2, &["tokens.json is not a file of tokens", "expected value", "remove it"]);
}

#[test]
fn what_is_no_database_is_no_log_and_no_views() {
    let mut plane = Plane::up(1);
    assert!(plane.stop());
    let views = plane.data().join("views");
    overwrite(&views);
    refused(&plane, 7, &["file is not a database", "the views are built anew"]);
    fs::remove_dir_all(&views).unwrap();
    plane.start();
    assert!(plane.stop());
    overwrite(&plane.data().join("log"));
    let words = ["file is not a database", "cairn admin restore"];
    refused(&plane, 8, &words);
    let verify = plane.cairn(&["admin", "verify", "--data-dir", plane.data().to_str().unwrap()]);
    expect(&verify, 8, &words);
}

#[test]
fn a_log_that_was_tampered_with_is_not_started_on() {
    let mut plane = Plane::up(1);
    assert!(plane.stop());
    journal::testing::forge(&plane.data().join("log"), Position::new(5)).unwrap();
    let words = ["cannot start: the log is damaged", "at position", "cairn admin restore"];
    refused(&plane, 8, &words);
    // Whoever looks closer is told the same, and is not sent back to where they are.
    let verify = plane.cairn(&["admin", "verify", "--data-dir", plane.data().to_str().unwrap()]);
    expect(&verify, 8, &["cairn admin restore"]);
    assert!(!String::from_utf8_lossy(&verify.stderr).contains("cairn admin verify"));
}

#[test]
fn a_log_that_lost_its_end_is_not_started_on_unasked() {
    let mut plane = Plane::up(100);
    assert!(plane.stop());
    let (log, older) = (plane.data().join("log"), plane.folder.path().join("older"));
    copy(&log, &older);
    plane.start();
    plane.data_of(&["apply", "samples/minimal.yaml", "-e", "dev"]);
    assert!(plane.stop());
    fs::remove_dir_all(&log).unwrap();
    copy(&older, &log);
    refused(&plane, 8, &["the log has lost its end", "the views show position", "admin rebuild"]);
    let data = plane.data();
    plane.data_of(&["admin", "rebuild", "--data-dir", data.to_str().unwrap()]);
    plane.start();
    assert!(!plane.data_of(&["get", "resources"]).contains("dev_web"));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn a_name_is_an_address() {
    let plane = Plane::new(1);
    let arguments = ["up", "--listen", "localhost:0", "--data-dir", "/proc/self/nothing/here"];
    expect(&plane.cairn(&arguments), 7, &["cannot use /proc/self/nothing/here"]);
}
