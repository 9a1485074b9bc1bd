use servers::postgres::{Options, Postgres};

/// A table with some rows.
fn fill(server: &Postgres, database: &str) {
    let sql = "CREATE TABLE t (n int, note text); INSERT INTO t SELECT n, NULL FROM generate_series(1, 100) n";
    server.query(database, sql).unwrap();
}

fn count(server: &Postgres, database: &str) -> Option<String> {
    server.query(database, "SELECT count(*), NULL FROM t").unwrap()[0][0].clone()
}

#[test]
fn what_a_killed_server_answered_is_there_when_it_is_back() {
    let server = Postgres::start(&Options { fsync: true, ..Options::default() });
    let database = server.create_database();
    fill(&server, &database);
    let url = server.url_of(&database);
    server.kill9();
    assert!(!server.runs() && !server.is_ready());
    server.restart();
    assert_eq!(count(&server, &database).unwrap(), "100");
    server.stop();
    server.restart();
    assert_eq!(count(&server, &database).unwrap(), "100");
    assert_eq!(server.url_of(&database), url);
}

#[test]
fn databases_of_the_shared_server_are_apart() {
    let server = Postgres::shared();
    let (one, other) = (server.create_database(), server.create_database());
    fill(server, &one);
    assert!(server.query(&other, "SELECT * FROM t").unwrap_err().contains("42P01"));
    assert_eq!(server.query(&one, "SELECT note FROM t LIMIT 1").unwrap(), [[None]]);
}

#[test]
fn a_setting_of_ones_own_holds_beside_another_server() {
    let settings = vec![("work_mem".to_owned(), "9MB".to_owned())];
    let server = Postgres::start(&Options { settings, ..Options::default() });
    assert_eq!(server.query("postgres", "SHOW work_mem").unwrap()[0][0].as_deref(), Some("9MB"));
    assert_eq!(server.query("postgres", "SHOW fsync").unwrap()[0][0].as_deref(), Some("off"));
    assert!(server.socket_folder().join(format!(".s.PGSQL.{}", server.port())).exists());
    assert!(Postgres::shared().is_ready());
}

#[test]
fn a_frozen_server_answers_when_it_is_let() {
    let server = Postgres::start(&Options::default());
    server.sigstop();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| server.query("postgres", "SELECT 1"));
        server.sigcont();
        assert_eq!(asked.join().unwrap().unwrap()[0][0].as_deref(), Some("1"));
    });
}

#[test]
fn a_full_disk_stops_writing_until_there_is_room() {
    let Some(disk) = servers::disk::SmallDisk::mount(64 << 20) else {
        println!("NOT TESTED: a full disk. It takes the right to mount one");
        return;
    };
    let folder = Some(disk.path().to_owned());
    let server = Postgres::start(&Options { folder, ..Options::default() });
    fill(&server, "postgres");
    disk.fill();
    let grow = "INSERT INTO t SELECT n, repeat('x', 200) FROM generate_series(1, 20000) n";
    assert!(server.query("postgres", grow).is_err());
    assert_eq!(count(&server, "postgres").unwrap(), "100");
    disk.free();
    server.restart();
    assert_eq!(count(&server, "postgres").unwrap(), "100");
}
