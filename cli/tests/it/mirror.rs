//! The log once more on EventStoreDB: a server in this process, and the command as the documents have it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use eventstore_fake::Fake;
use servers::nats::{self, Nats};

use crate::plane::Plane;

/// Runs the command; whether it succeeded, its data, and its talk.
fn mirror(plane: &Plane, to: &str, more: &[&str]) -> (bool, String, String) {
    let output = command(plane, to, more).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

fn command(plane: &Plane, to: &str, more: &[&str]) -> Command {
    let mut command = plane.command(env!("CARGO_BIN_EXE_cairn"));
    command.args(["admin", "mirror", "--to", to, "--data-dir"]).arg(plane.data()).args(more);
    command
}

/// How many commits the copy holds.
fn commits(fake: &Fake) -> usize {
    fake.events().iter().filter(|event| event.stream.starts_with("cairn-ev.")).count()
}

#[test]
fn a_log_is_copied_goes_on_where_it_was_and_is_compared() {
    let fake = Fake::start();
    let mut plane = Plane::up(200);
    assert!(plane.stop());
    let (done, said, talk) = mirror(&plane, &fake.url(), &[]);
    assert!(done && said.contains("0 were there already"), "{said}{talk}");
    let first = commits(&fake);
    assert!(said.starts_with(&format!("{first} commits are added to esdb://127.0.0.1:")), "{said}");

    plane.start();
    plane.data_of(&["apply", "samples/minimal.yaml", "-e", "dev", "--detach"]);
    assert!(plane.stop());
    let (done, said, talk) = mirror(&plane, &fake.url(), &[]);
    assert!(done && said.contains(&format!("{first} were there already")), "{said}{talk}");
    assert!(commits(&fake) > first, "{said}");

    fake.tamper(|events| {
        let first = events.iter_mut().find(|event| event.stream.starts_with("cairn-ev.")).unwrap();
        let mut data = first.data.to_vec();
        data[20] ^= 1;
        first.data = data.into();
    });
    let (done, _, talk) = mirror(&plane, &fake.url(), &[]);
    assert!(!done && talk.contains("hint: "), "{talk}");
    let (done, _, talk) = mirror(&plane, &format!("{}&log=another", fake.url()), &[]);
    assert!(done, "{talk}");
}

#[test]
fn a_copy_of_another_log_is_refused_with_where_and_why_and_what_to_do() {
    let fake = Fake::start();
    let mut planes = [Plane::up(200), Plane::up(200)];
    assert!(planes.iter_mut().all(Plane::stop));
    assert!(mirror(&planes[0], &fake.url(), &[]).0);
    let before = commits(&fake);
    let (done, _, talk) = mirror(&planes[1], &fake.url(), &[]);
    assert!(!done && talk.contains("they differ at position 1"), "{talk}");
    assert!(talk.contains("made from another log") && talk.contains("?log=NAME"), "{talk}");
    assert_eq!(commits(&fake), before, "nothing was added");
}

#[test]
fn a_mirror_that_follows_keeps_up_and_survives_the_servers_absence() {
    let fake = Fake::start();
    let nats = Nats::start(&nats::Options::default());
    let mut plane = Plane::new(200);
    plane.settings = vec![format!("--journal={}", nats.url())];
    plane.start();
    let from = format!("--from={}", nats.url());
    let mut following = command(&plane, &fake.url(), &[&from, "--follow"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let grown = |beyond: usize| {
        let until = Instant::now() + Duration::from_secs(180);
        while commits(&fake) <= beyond {
            assert!(Instant::now() < until, "the copy stays at {} commits", commits(&fake));
            std::thread::yield_now();
        }
        commits(&fake)
    };
    let first = grown(0);
    plane.data_of(&["apply", "samples/minimal.yaml", "-e", "dev", "--detach"]);
    let second = grown(first);
    fake.restart();
    plane.data_of(&["apply", "samples/shop/app.yaml", "-e", "dev", "--detach"]);
    grown(second);
    following.kill().unwrap();
    following.wait().unwrap();
    assert!(plane.stop());
    let (done, said, talk) = mirror(&plane, &fake.url(), &[&from]);
    assert!(done, "{talk}");
    assert!(said.contains(&format!("up to position {}", commits(&fake))), "{said}");
}

#[test]
fn what_cannot_be_mirrored_is_said_in_words_that_help() {
    let plane = Plane::new(200);
    let (done, _, talk) = mirror(&plane, "http://localhost", &[]);
    assert!(!done && talk.contains("esdb://"), "{talk}");
    let (done, _, talk) = mirror(&plane, "esdb://localhost?tls=false", &["--follow"]);
    assert!(!done && talk.contains("belongs to its server") && talk.contains("hint: "), "{talk}");
}
