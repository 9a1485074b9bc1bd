use servers::nats::{Cluster, Nats, Options};
use servers::until;

use crate::client::Client;

/// Publishes as soon as the server takes it: whoever was elected says so a little before it is ready.
fn publish_at(server: &Nats) -> u64 {
    until("an acknowledgement", || {
        let mut client = Client::connect(server.port()).unwrap();
        client.send("t.a", "x").unwrap();
        client.answer().ok()?["seq"].as_u64()
    })
}

#[test]
fn what_a_killed_server_acknowledged_is_there_when_it_is_back() {
    let server = Nats::start(&Options::default());
    let mut client = Client::connect(server.port()).unwrap();
    client.create_stream(1);
    assert_eq!((1..=100).map(|_| client.publish()).last(), Some(100));
    let url = server.url();
    server.kill9();
    assert!(!server.runs() && Client::connect(server.port()).is_err());
    server.restart();
    assert_eq!(server.url(), url);
    assert_eq!(Client::connect(server.port()).unwrap().messages(), 100);
    server.stop();
    server.restart();
    assert_eq!(Client::connect(server.port()).unwrap().messages(), 100);
}

#[test]
fn a_server_says_whether_it_syncs_every_write() {
    for sync_always in [false, true] {
        let server = Nats::start(&Options { sync_always, ..Options::default() });
        let page = server.monitor("/varz").unwrap();
        let says = page.pointer("/jetstream/config/sync_always").and_then(|value| value.as_bool());
        assert_eq!(says.unwrap_or_default(), sync_always, "{}", page["jetstream"]);
        assert_eq!(page["version"], "2.15.1");
    }
}

#[test]
fn lines_of_ones_own_are_in_the_configuration() {
    let config = "max_payload: 2048".to_owned();
    let server = Nats::start(&Options { config, ..Options::default() });
    assert_eq!(server.monitor("/varz").unwrap()["max_payload"], 2048);
}

#[test]
fn two_servers_at_the_same_time_know_nothing_of_each_other() {
    let servers = [(); 2].map(|()| Nats::start(&Options::default()));
    let mut clients = [0, 1].map(|index: usize| Client::connect(servers[index].port()).unwrap());
    clients[0].create_stream(1);
    clients[0].publish();
    clients[1].create_stream(1);
    assert_eq!((clients[0].messages(), clients[1].messages()), (1, 0));
}

#[test]
fn a_frozen_server_is_not_ready_and_goes_on_when_it_is_let() {
    let server = Nats::start(&Options::default());
    server.sigstop();
    assert!(server.runs() && !server.is_ready());
    server.sigcont();
    until("an answer", || server.is_ready().then_some(()));
}

#[test]
fn a_cluster_goes_on_without_its_leader() {
    let cluster = Cluster::start(3, &Options::default());
    let mut client = Client::connect(cluster.servers()[0].port()).unwrap();
    client.create_stream(3);
    assert_eq!(client.publish(), 1);
    let killed = cluster.wait_leader("T");
    cluster.servers()[killed].kill9();
    let next = cluster.wait_other_leader("T", killed);
    assert_eq!(publish_at(&cluster.servers()[next]), 2);
    cluster.servers()[killed].restart();
    cluster.wait_ready();
    let mut client = Client::connect(cluster.servers()[killed].port()).unwrap();
    assert_eq!(client.messages(), 2);
}

#[test]
fn a_parted_leader_is_replaced_and_follows_when_it_is_back() {
    let cluster = Cluster::start_divisible(3, &Options::default());
    Client::connect(cluster.servers()[0].port()).unwrap().create_stream(3);
    let parted = cluster.wait_leader("T");
    cluster.isolate(parted);
    let next = cluster.wait_other_leader("T", parted);
    assert_eq!(publish_at(&cluster.servers()[next]), 1);
    cluster.heal(parted);
    cluster.wait_ready();
    until("the parted server to follow", || {
        let mut client = Client::connect(cluster.servers()[parted].port()).ok()?;
        (client.messages() == 1).then_some(())
    });
}
