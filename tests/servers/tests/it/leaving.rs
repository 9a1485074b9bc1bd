//! Nothing is left running, however the test program ends.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use servers::nats::{Cluster, Nats, Options};
use servers::postgres::{self, Postgres};
use servers::until;

/// Makes this program the child of a test.
const CHILD: &str = "CAIRN_SERVERS_CHILD";

fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[test]
fn a_server_ends_with_its_value_and_takes_its_files_along() {
    let nats = Nats::start(&Options::default());
    let postgres = Postgres::start(&postgres::Options::default());
    let ports = [nats.port(), postgres.port()];
    let files = [nats.store().to_owned(), postgres.socket_folder().to_owned()];
    assert!(ports.into_iter().all(listens) && files.iter().all(|path| path.exists()));
    postgres.sigstop();
    drop((nats, postgres));
    assert!(!ports.into_iter().any(listens));
    assert!(!files.iter().any(|path| path.exists()), "{files:?}");
}

/// Starts servers in a thread that ends, says where they are, and waits to be killed.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let start = || {
        let cluster = Cluster::start(3, &Options::default());
        let postgres = Postgres::start(&postgres::Options::default());
        (cluster, postgres)
    };
    let (cluster, postgres) = std::thread::spawn(start).join().unwrap();
    assert!(postgres.is_ready(), "it outlives the thread that started it");
    let mut ports: Vec<String> =
        cluster.servers().iter().map(|server| server.port().to_string()).collect();
    ports.push(postgres.port().to_string());
    println!("\nserving {} {}", postgres.socket_folder().display(), ports.join(" "));
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn servers_end_with_a_program_that_is_killed_and_the_next_one_removes_their_files() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "leaving::child", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.find_map(|line| Some(line.unwrap().strip_prefix("serving ")?.to_owned()));
    let line = line.unwrap();
    let mut words = line.split(' ');
    let folder = PathBuf::from(words.next().unwrap());
    let ports: Vec<u16> = words.map(|port| port.parse().unwrap()).collect();
    assert!(ports.len() == 4 && ports.iter().all(|port| listens(*port)), "{line}");
    child.kill().unwrap();
    child.wait().unwrap();
    for port in ports {
        until("the servers to end", || (!listens(port)).then_some(()));
    }
    assert!(folder.exists(), "nobody was left to remove it");
    let next = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "nats::lines_of_ones_own_are_in_the_configuration"])
        .output()
        .unwrap();
    assert!(next.status.success() && !folder.exists());
}
