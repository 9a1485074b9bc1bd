//! What only a server can do: die, come back, refuse, and be used by many.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use journal::Position;
use projections::{Health, PostgresViews, QueryError, StoreError, ViewStore as _, Views};
use servers::postgres::{Options, Postgres};
use tokio::sync::oneshot;

use crate::place::{DATABASE, Place};
use crate::running::{LONG, register};
use crate::world::{World, block_on, run_to, stream};

/// Kills of the server while a runner writes.
const KILLS: u64 = 6;

async fn open(server: &Postgres, namespace: &str) -> Views {
    let store = PostgresViews::open(&server.url_of(DATABASE), namespace).await.unwrap();
    Views::open(Arc::new(store)).await.unwrap()
}

#[test]
fn a_server_that_is_killed_in_the_middle_loses_and_doubles_nothing() {
    block_on(async {
        let server = Postgres::start(&Options { fsync: true, ..Options::default() });
        let mut world = World::new();
        let views = open(&server, "killed").await;
        let (stop, stopped) = oneshot::channel::<()>();
        let running =
            tokio::spawn(projections::run(Arc::clone(&world.journal), views.clone(), async {
                let _ = stopped.await;
            }));
        let account = stream(domain::account::KIND, "a");
        let mut count = 0;
        for kill in 0..KILLS {
            // Batches are under way all the time, and it is never the same moment of one.
            for _ in 0..200 + kill * 37 {
                count += 1;
                register(&mut world, count).await;
            }
            server.kill9();
            let error = views.get(&account, None).await.unwrap_err();
            let QueryError::Store(StoreError::Unavailable { reason }) = error else {
                panic!("{error}")
            };
            assert!(!reason.is_empty());
            let retrying = |health: &Health| matches!(health, Health::Retrying { .. });
            register(&mut world, count + 1).await;
            count += 1;
            views.status().wait_for(|status| retrying(&status.health)).await.unwrap();
            server.restart();
            views.at_least(Position::new(count), LONG).await.unwrap();
            let row = views.get(&account, None).await.unwrap().unwrap();
            assert_eq!(row.position, Position::new(count));
        }
        stop.send(()).unwrap();
        running.await.unwrap().unwrap();

        let fresh = Place::postgres();
        run_to(&world, &fresh.open().await, Position::new(count)).await;
        let same = PostgresViews::open(&server.url_of(DATABASE), "killed").await.unwrap();
        for table in ["versions", "activity", "edges", "handles", "memberships", "quarantine"] {
            let text = format!("SELECT * FROM {table} ORDER BY 1, 2");
            let all = [projections::Statement { text: text.into(), values: Vec::new() }];
            let rows = |answer: Vec<Vec<projections::Cells>>| format!("{answer:?}");
            let (same, fresh) =
                (same.select(&all).await.unwrap(), fresh.store().await.select(&all).await.unwrap());
            assert_eq!(rows(same), rows(fresh), "{table}");
        }
    });
}

#[test]
fn a_server_that_is_not_there_is_told_as_such() {
    block_on(async {
        let port = servers::Port::reserve();
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", port.number());
        let error = Views::open_postgres(&url).await.err().unwrap();
        assert!(error.to_string().contains("refused"), "{error}");
        let missing = Postgres::shared().url_of("nowhere");
        let error = Views::open_postgres(&missing).await.err().unwrap();
        assert!(error.to_string().contains("database \"nowhere\" does not exist"), "{error}");
    });
}

#[test]
fn many_that_open_new_views_at_once_share_them() {
    block_on(async {
        let url = Postgres::shared().url_of(DATABASE);
        let opened = join_all((0..8).map(|_| PostgresViews::open(&url, "at_once"))).await;
        for views in &opened {
            assert_eq!(views.as_ref().unwrap().checkpoint().await.unwrap().position, 0);
        }
        let pointers = "SELECT count(*) FROM at_once.pointer";
        let rows = Postgres::shared().query(DATABASE, pointers).unwrap();
        assert_eq!(rows, [[Some("1".to_owned())]]);
    });
}

#[test]
fn a_replica_needs_no_right_but_to_read() {
    block_on(async {
        let server = Postgres::shared();
        let database = server.create_database();
        let grants = "CREATE ROLE reader LOGIN; \
             ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO reader; \
             ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader";
        server.query(&database, grants).unwrap();
        let mut world = World::new();
        register(&mut world, 1).await;
        let url = server.url_of(&database);
        let views = Views::open_postgres(&url).await.unwrap();
        run_to(&world, &views, Position::new(1)).await;
        views.rebuild(&world.journal).await.unwrap();

        let url = url.replace("postgres@", "reader@");
        let reading = Views::open_postgres(&url).await.unwrap();
        let account = stream(domain::account::KIND, "a");
        assert!(reading.get(&account, None).await.unwrap().is_some());
        let ended = projections::run(Arc::clone(&world.journal), reading.clone(), async {
            reading
                .status()
                .wait_for(|status| matches!(status.health, Health::Retrying { .. }))
                .await
                .unwrap();
        });
        ended.await.unwrap();
        let error = reading.rebuild(&world.journal).await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("permission denied"), "{source}");
    });
}

#[test]
fn two_rebuilds_at_once_do_not_disturb_each_other() {
    block_on(async {
        let mut world = World::new();
        for number in 0..300 {
            register(&mut world, number).await;
        }
        let place = Place::postgres();
        let (first, second) = (place.open().await, place.open().await);
        run_to(&world, &first, Position::new(300)).await;
        let (one, other) =
            futures::join!(first.rebuild(&world.journal), second.rebuild(&world.journal));
        let refused = [&one, &other].into_iter().find_map(|rebuilt| rebuilt.as_ref().err());
        assert!(one.is_ok() || other.is_ok());
        if let Some(refused) = refused {
            let source = std::error::Error::source(refused).unwrap().to_string();
            assert!(source.contains("another process"), "{source}");
        }
        let schemas = format!(
            "SELECT count(*) FROM pg_namespace WHERE nspname LIKE '{}\\_v%'",
            match &place {
                Place::Postgres(namespace) => namespace,
                Place::Sqlite(_) | Place::Planted(..) => unreachable!(),
            }
        );
        let left = Postgres::shared().query(DATABASE, &schemas).unwrap();
        assert_eq!(left, [[Some("1".to_owned())]], "the old tables are gone");
    });
}

#[test]
fn the_tables_of_another_version_are_left_to_the_program_of_that_version() {
    block_on(async {
        let server = Postgres::shared();
        let place = Place::postgres();
        let Place::Postgres(namespace) = &place else { unreachable!() };
        let before = format!(
            "CREATE SCHEMA {namespace}; CREATE SCHEMA {namespace}_v2_1; CREATE SCHEMA {namespace}_v3_7; \
             CREATE TABLE {namespace}.pointer (version BIGINT PRIMARY KEY, number BIGINT NOT NULL); \
             INSERT INTO {namespace}.pointer VALUES (2, 1), (3, 7)"
        );
        server.query(DATABASE, &before).unwrap();
        let mut world = World::new();
        register(&mut world, 1).await;
        let views = place.open().await;
        assert_eq!(views.position(), Position::START);
        run_to(&world, &views, Position::new(1)).await;
        views.rebuild(&world.journal).await.unwrap();
        let schemas = format!(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE '{namespace}\\_v%' ORDER BY 1"
        );
        let left = server.query(DATABASE, &schemas).unwrap();
        let left: Vec<_> = left.into_iter().flatten().flatten().collect();
        assert_eq!(left, [format!("{namespace}_v3_7"), format!("{namespace}_v6_2")]);
    });
}

#[test]
fn a_runner_whose_machine_vanished_does_not_hold_the_views() {
    block_on(async {
        let server = Postgres::start(&Options {
            settings: vec![("idle_in_transaction_session_timeout".into(), "0".into())],
            ..Options::default()
        });
        let proxy = servers::proxy::Proxy::start(server.port());
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", proxy.port());
        let store = PostgresViews::open(&url, "vanished").await.unwrap();
        let first = Views::open(Arc::new(store)).await.unwrap();
        let mut world = World::new();
        register(&mut world, 1).await;
        run_to(&world, &first, Position::new(1)).await;
        proxy.cut();
        let second = open(&server, "vanished").await;
        register(&mut world, 2).await;
        let reached = tokio::time::timeout(
            Duration::from_secs(90),
            run_to(&world, &second, Position::new(2)),
        );
        reached.await.unwrap();
    });
}

#[test]
fn tables_that_were_just_filled_are_known_to_the_planner_of_queries() {
    block_on(async {
        let mut world = World::new();
        for count in 1..=1_000 {
            register(&mut world, count).await;
        }
        let place = Place::postgres();
        let views = place.open().await;
        run_to(&world, &views, Position::new(1_000)).await;
        assert_eq!(rows_known(&place).await, 1_000);
        views.rebuild(&world.journal).await.unwrap();
        assert_eq!(rows_known(&place).await, 1_000);
    });
}

/// How many rows of `versions` the server plans with; -1 when it was never told.
async fn rows_known(place: &Place) -> i64 {
    let text = "SELECT reltuples::bigint FROM pg_class WHERE oid = 'versions'::regclass";
    let known = [projections::Statement { text: text.into(), values: Vec::new() }];
    let mut rows = place.store().await.select(&known).await.unwrap().remove(0);
    rows.remove(0).int().unwrap()
}
