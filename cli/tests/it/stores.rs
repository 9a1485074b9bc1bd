//! A server whose log is on JetStream and whose views are in PostgreSQL: real ones, started here.

use servers::http;
use servers::nats::{self, Nats};
use servers::postgres::Postgres;

use crate::plane::Plane;

const SHOP: &str = "samples/shop/app.yaml";

fn journal(nats: &Nats) -> String {
    format!("--journal={}?monitor={}", nats.url(), nats.monitor_url())
}

fn plane(settings: Vec<String>) -> Plane {
    let mut plane = Plane::new(200);
    plane.settings = settings;
    plane.start();
    plane
}

fn synced() -> Nats {
    Nats::start(&nats::Options { sync_always: true, ..nats::Options::default() })
}

#[test]
fn a_shop_is_delivered_past_one_machine_and_survives_every_kill() {
    let (nats, postgres) = (synced(), Postgres::shared());
    let views = format!("--views={}", postgres.url_of(&postgres.create_database()));
    let promise = "--require-durability=power-loss".to_owned();
    let mut plane = plane(vec![journal(&nats), views, promise]);
    let (_, ready) = http::get(plane.port, "/readyz?verbose").unwrap();
    assert!(ready.contains("durability power-loss"), "{ready}");

    plane.data_of(&["apply", SHOP, "-e", "dev", "--detach"]);
    plane.kill();
    nats.kill9();
    nats.restart();
    plane.start();
    plane.data_of(&["wait", "dev_shop"]);
    let trace = plane.data_of(&["trace", "dev_shop"]);
    assert!(trace.contains("database/dev_shop_db") && !trace.contains("waiting"), "{trace}");
    let why = plane.data_of(&["why", "database/dev_shop_db"]);
    assert!(why.contains("admin"), "{why}");
    plane.data_of(&["unprotect", "database/dev_shop_db"]);
    plane.data_of(&["delete", "dev_shop", "--wait"]);
    assert!(plane.stop());
}

#[test]
fn lost_views_and_a_lost_log_are_each_rebuilt_by_one_command() {
    let (mut nats, postgres) = (synced(), Postgres::shared());
    let views = |database: &str| format!("--views={}", postgres.url_of(database));
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive");
    let archived = format!("--archive={}", archive.display());
    let first = views(&postgres.create_database());
    let mut plane = plane(vec![journal(&nats), first, archived.clone()]);
    plane.data_of(&["apply", "samples/minimal.yaml", "-e", "dev"]);
    let deployments = plane.data_of(&["get", "deployments", "-o", "json"]);
    let data = plane.data();
    let data = format!("--data-dir={}", data.display());
    assert!(plane.stop());

    // The database is gone: another takes its place.
    let second = views(&postgres.create_database());
    let said = plane.data_of(&["admin", "rebuild", &journal(&nats), &second, &data]);
    assert!(said.contains("the views are rebuilt from the log"), "{said}");

    // The log is gone, and the database with it: other servers take their place.
    nats = synced();
    let third = views(&postgres.create_database());
    let from = format!("--from={}", archive.display());
    let said = plane.data_of(&["admin", "restore", &from, &journal(&nats), &third, &data]);
    assert!(said.contains("the views are rebuilt from the log"), "{said}");
    let said = plane.data_of(&["admin", "verify", &journal(&nats), &archived, &data]);
    assert!(said.contains("the log is whole") && said.contains("byte for byte"), "{said}");
    plane.settings = vec![journal(&nats), third, archived];
    plane.start();
    assert_eq!(plane.data_of(&["get", "deployments", "-o", "json"]), deployments);
    plane.data_of(&["delete", "dev_web", "--wait"]);
    assert!(plane.stop());
}

#[test]
fn a_process_that_cannot_be_one_of_many_says_what_it_lacks() {
    let plane = Plane::new(1);
    let nats = ["--journal", "nats://127.0.0.1:1"];
    let views = ["--views", "postgres://nobody@127.0.0.1:1/none"];
    let cases: [(&[&str], &[&str]); 5] = [
        (&["--role", "api"], &["belongs to one process", "--journal nats://"]),
        (&["--role", "projector", nats[0], nats[1]], &["views", "--views postgres://"]),
        (&["--role", "reconciler", nats[0], nats[1]], &["no world", "cairn sim serve"]),
        (&["--role", "archiver", nats[0], nats[1]], &["archive", "--archive"]),
        (
            &[
                "--role",
                "api",
                "--world",
                "http://127.0.0.1:1",
                nats[0],
                nats[1],
                views[0],
                views[1],
            ],
            &["nobody has a token", "cairn admin token"],
        ),
    ];
    for (arguments, words) in cases {
        let refused = plane.cairn(&[&["serve"], arguments].concat());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{arguments:?}");
        assert!(said.contains("hint: "), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{arguments:?}: {said}");
    }
}

#[test]
fn the_documented_permissions_are_all_that_a_server_needs() {
    let passwords = "CAIRN_CORE_PASSWORD: secret\nCAIRN_WATCHER_PASSWORD: secret\n";
    let config = format!("{passwords}{}", include_str!("../../../docs/nats/permissions.conf"));
    let nats = Nats::start(&nats::Options { config, ..nats::Options::default() });
    let url = nats.url().replace("nats://", "nats://core:secret@");
    let mut plane = plane(vec![format!("--journal={url}")]);
    plane.data_of(&["apply", "samples/minimal.yaml", "-e", "dev"]);
    // What a dead server held is taken over, and its traces are removed.
    plane.kill();
    plane.start();
    plane.data_of(&["delete", "dev_web", "--wait"]);
    assert!(plane.stop());
    let log = nats.log();
    let refused: Vec<&str> = log.lines().filter(|line| line.contains("Violation")).collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn a_log_that_promises_too_little_is_refused_in_words_that_help() {
    let nats = Nats::start(&nats::Options::default());
    let mut plane = Plane::new(200);
    plane.settings = vec![journal(&nats), "--require-durability=quorum".into()];
    let refused = plane.up_command().output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("quorum"), "{said}");
    plane.settings = vec!["--require-durability=quorum".into()];
    let refused = plane.up_command().output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("the embedded log promises power-loss, and quorum is required"),
        "{said}"
    );
    assert!(said.contains("hint: "), "{said}");
}

#[test]
fn an_embedded_log_moves_to_jetstream_and_the_server_goes_on_there() {
    let nats = synced();
    let mut plane = plane(Vec::new());
    plane.data_of(&["apply", "samples/minimal.yaml", "-e", "dev"]);
    let before = plane.data_of(&["get", "deployments"]);
    assert!(plane.stop());
    let data = plane.data();
    let to = nats.url();
    let migrate =
        ["admin", "migrate", "--from=sqlite", "--to", &to, "--data-dir", data.to_str().unwrap()];
    let said = plane.data_of(&migrate);
    assert!(said.contains("both logs hold the same commits at the same positions"), "{said}");
    plane.settings = vec![journal(&nats)];
    std::fs::rename(data.join("log"), data.join("log.moved")).unwrap();
    plane.start();
    let names = |table: &str| {
        table
            .lines()
            .filter_map(|line| line.split(' ').next())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&plane.data_of(&["get", "deployments"])), names(&before));
    plane.data_of(&["delete", names(&before).last().unwrap(), "--wait"]);
}
