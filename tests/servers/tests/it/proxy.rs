use std::io::ErrorKind;
use std::time::{Duration, Instant};

use servers::nats::{Nats, Options};
use servers::proxy::{Mode, Proxy};
use servers::until;

use crate::client::Client;

/// A server with a stream, a proxy in front, and a client of each.
fn parts() -> (Nats, Proxy, Client, Client) {
    let server = Nats::start(&Options::default());
    let proxy = Proxy::start(server.port());
    let mut direct = Client::connect(server.port()).unwrap();
    direct.create_stream(1);
    let through = Client::connect(proxy.port()).unwrap();
    (server, proxy, direct, through)
}

#[test]
fn what_passes_through_arrives() {
    let (_server, proxy, mut direct, mut through) = parts();
    assert_eq!((through.publish(), direct.publish(), through.publish()), (1, 2, 3));
    assert_eq!((proxy.open(), proxy.swallowed()), (1, 0));
}

#[test]
fn a_lost_reply_is_lost_and_its_request_was_heard() {
    let (_server, proxy, mut direct, mut through) = parts();
    assert_eq!(through.publish(), 1);
    proxy.set(Mode::DropReplies);
    through.send("t.a", "x").unwrap();
    until("the acknowledgement to be lost", || (proxy.swallowed() > 0).then_some(()));
    assert_eq!(direct.messages(), 2);
    proxy.set(Mode::Forward);
    assert_eq!(through.answer().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(Client::connect(proxy.port()).unwrap().publish(), 3);
}

#[test]
fn a_lost_request_is_not_heard() {
    let (_server, proxy, mut direct, mut through) = parts();
    proxy.set(Mode::DropRequests);
    through.send("t.a", "x").unwrap();
    until("the request to be lost", || (proxy.swallowed() > 0).then_some(()));
    proxy.set(Mode::Forward);
    assert_eq!(through.answer().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(direct.messages(), 0);
}

#[test]
fn what_is_held_arrives_later_and_what_is_delayed_takes_its_time() {
    let (_server, proxy, mut direct, mut through) = parts();
    proxy.set(Mode::Hold);
    through.send("t.a", "x").unwrap();
    assert_eq!(direct.publish(), 1, "nothing came before it");
    proxy.set(Mode::Forward);
    assert_eq!(through.answer().unwrap()["seq"], 2);
    proxy.set(Mode::Delay(Duration::from_millis(50)));
    let start = Instant::now();
    assert_eq!(through.publish(), 3);
    assert!(start.elapsed() >= Duration::from_millis(100), "there and back");
}

#[test]
fn a_cut_ends_connections_and_a_refusal_also_keeps_new_ones_away() {
    let (server, proxy, _direct, mut through) = parts();
    proxy.cut();
    assert!(through.answer().is_err());
    let mut again = Client::connect(proxy.port()).unwrap();
    assert_eq!(again.publish(), 1);
    proxy.set(Mode::Refuse);
    assert!(again.answer().is_err());
    until("a refusal", || Client::connect(proxy.port()).is_err().then_some(()));
    proxy.set(Mode::Forward);
    let mut back = until("a connection", || Client::connect(proxy.port()).ok());
    assert_eq!(back.publish(), 2);
    server.kill9();
    assert!(back.answer().is_err(), "the end of the server is the end of the connection");
    server.restart();
    assert_eq!(Client::connect(proxy.port()).unwrap().publish(), 3);
}
