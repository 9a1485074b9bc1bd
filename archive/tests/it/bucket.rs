//! What a bucket has that a folder has not: a network, credentials, and servers that are not quite S3.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use archive::target::{Put, Unavailable};
use archive::{Bucket, Target, run};
use servers::Port;
use servers::moto::Moto;
use servers::proxy::{Mode, Proxy};
use tokio::sync::oneshot;

use crate::place::{Place, Sort, bucket, key, over_both};
use crate::world::World;

over_both!(what_is_put_stays_as_it_is, of_many_who_put_one_succeeds);

async fn what_is_put_stays_as_it_is(sort: Sort) {
    let place = sort.place();
    let target = place.target();
    assert_eq!(target.list("a").await.unwrap(), Vec::<String>::new());
    assert_eq!(target.get("a/1").await.unwrap(), None);
    assert_eq!(target.put("a/2", b"two".into()).await.unwrap(), Put::Done);
    assert_eq!(target.put("a/1", b"one".into()).await.unwrap(), Put::Done);
    assert_eq!(target.put("a/1", b"other".into()).await.unwrap(), Put::Present);
    assert_eq!(place.target().put("a/1", b"other".into()).await.unwrap(), Put::Present);
    assert_eq!(target.get("a/1").await.unwrap(), Some(b"one".into()));
    assert_eq!(target.list("a").await.unwrap(), ["1", "2"]);
    let large = vec![7; 3_000_000];
    assert_eq!(target.put("b/1", large.clone()).await.unwrap(), Put::Done);
    assert_eq!(target.get("b/1").await.unwrap(), Some(large));
    assert_eq!(target.list("a").await.unwrap(), ["1", "2"], "other folders are elsewhere");
}

async fn of_many_who_put_one_succeeds(sort: Sort) {
    let target = sort.place().target();
    for round in 0..20 {
        let name = format!("a/{round}");
        let puts = (0..8_u8).map(|who| target.put(&name, vec![who; 1_000]));
        let puts = futures::future::join_all(puts).await;
        let done = |put: &Result<Put, Unavailable>| matches!(put, Ok(Put::Done));
        let winner = puts.iter().position(done).unwrap();
        assert_eq!(puts.iter().filter(|put| done(put)).count(), 1, "{puts:?}");
        let bytes = target.get(&name).await.unwrap().unwrap();
        assert_eq!(usize::from(bytes[0]), winner);
    }
}

/// A bucket behind a proxy, and the same without.
fn parts() -> (Proxy, Bucket, Place) {
    let name = Moto::shared().create_bucket();
    let proxy = Proxy::start(Moto::shared().port());
    let bucket = bucket(&name, proxy.port());
    (proxy, bucket, Place::Bucket(name))
}

#[tokio::test]
async fn a_lost_reply_is_an_error_and_putting_again_is_harmless() {
    let (proxy, bucket, place) = parts();
    assert_eq!(bucket.put("a/0", b"zero".into()).await.unwrap(), Put::Done);
    proxy.set(Mode::DropReplies);
    let putting = async {
        let put = bucket.put("a/1", b"one".into()).await;
        assert!(put.is_err(), "nobody knows: {put:?}");
    };
    let losing = tokio::task::spawn_blocking(move || {
        servers::until("the reply to be lost", || (proxy.swallowed() > 0).then_some(()));
        proxy.set(Mode::Forward);
        proxy
    });
    let ((), proxy) = tokio::join!(putting, losing);
    assert_eq!(place.read("a/1"), b"one", "it had arrived");
    assert_eq!(bucket.put("a/1", b"one".into()).await.unwrap(), Put::Present);
    assert_eq!(bucket.get("a/1").await.unwrap(), Some(b"one".into()));
    drop(proxy);
}

#[tokio::test]
async fn an_archiver_outlasts_a_network_that_goes_and_comes() {
    let (proxy, bucket, place) = parts();
    let world = World { place, ..World::new(Sort::Folder) };
    let mut settings = world.settings();
    settings.segment_age_max = Duration::from_millis(1);
    settings.anchor_interval = Duration::from_millis(1);
    let mut told = settings.progress.subscribe();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(run(world.log(), Arc::new(bucket), settings, async {
        let _ = stopped.await;
    }));
    for (round, mode) in
        [Mode::Refuse, Mode::DropReplies, Mode::DropRequests].into_iter().enumerate()
    {
        world.grow(10).await;
        let at = 20 * round as u64 + 10;
        told.wait_for(|progress| progress.anchored.get() == at).await.unwrap();
        let before = proxy.swallowed();
        proxy.set(mode);
        world.grow(10).await;
        if mode != Mode::Refuse {
            while proxy.swallowed() == before {
                tokio::task::yield_now().await;
            }
        }
        proxy.set(Mode::Forward);
        told.wait_for(|progress| progress.anchored.get() == at + 10).await.unwrap();
    }
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    let verified = world.verified().await;
    assert_eq!((verified.archived.get(), verified.anchored.get()), (60, 60));
}

/// What everything comes to for an archive that cannot be used.
async fn refusals(bucket: &Bucket) -> [String; 3] {
    let put = bucket.put("a/1", b"one".into()).await.unwrap_err();
    let get = bucket.get("a/1").await.unwrap_err();
    let list = bucket.list("a").await.unwrap_err();
    [put.to_string(), get.to_string(), list.to_string()]
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_no_empty_archive() {
    for said in refusals(&bucket("nobodys", Moto::shared().port())).await {
        assert!(said.starts_with("s3://nobodys/some/place at http://127.0.0.1:"), "{said}");
        assert!(said.ends_with(": NoSuchBucket: The specified bucket does not exist"), "{said}");
    }
}

#[tokio::test]
async fn where_nobody_listens_it_is_said() {
    let port = Port::reserve();
    for said in refusals(&bucket("any", port.number())).await {
        assert!(said.contains("onnect") && said.contains(&port.number().to_string()), "{said}");
    }
}

#[tokio::test]
async fn without_credentials_it_is_said_where_they_are_looked_for() {
    let port = Port::reserve();
    let machine = format!("http://127.0.0.1:{}", port.number());
    let variable = move |name: &str| (name == "AWS_METADATA_ENDPOINT").then(|| machine.clone());
    let url = format!("s3://any?endpoint={}", Moto::shared().url());
    let bucket = Bucket::open(url.parse().unwrap(), &variable).unwrap();
    for said in refusals(&bucket).await {
        assert!(said.contains("AWS_ACCESS_KEY_ID is not set, and the machine"), "{said}");
    }
}

#[test]
fn half_a_key_is_refused_at_once() {
    let half = |name: &str| key(name).filter(|_| name == "AWS_ACCESS_KEY_ID");
    let refused = Bucket::open("s3://any".parse().unwrap(), &half).unwrap_err();
    assert!(refused.to_string().contains("SecretAccessKey"), "{refused}");
}

#[test]
fn what_is_shown_of_a_bucket_has_no_credentials() {
    let secret = |name: &str| key(name).map(|_| "s3cr3t".to_owned());
    let bucket = Bucket::open("s3://any/place".parse().unwrap(), &secret).unwrap();
    let shown = format!("{bucket:?} {}", bucket.describe());
    assert!(shown.contains("any") && !shown.contains("s3cr3t"), "{shown}");
}

/// Says yes to everything: some that speak S3 do not know `If-None-Match`.
fn yes_to_everything() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 10_000]);
            let yes =
                "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(yes.as_bytes());
        }
    });
    port
}

#[tokio::test]
async fn a_store_that_replaces_what_is_there_is_found_out() {
    let bucket = bucket("any", yes_to_everything());
    let refused = bucket.put("a/1", b"one".into()).await.unwrap_err().to_string();
    assert!(refused.contains("replaces what is there"), "{refused}");
}
