//! Ports that nobody else takes, also while their server is down.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener};

/// The lowest port that is given out: below it live the services of the machine.
const LOWEST: u16 = 12_000;
/// Where the kernel's own choices begin, where it does not say.
const EPHEMERAL: u16 = 32_768;
/// How many ports are tried.
const TRIES_MAX: u16 = 1_000;

/// A free loopback port, reserved as long as this value lives.
///
/// It is below those that the kernel gives to outgoing connections: one of these could otherwise take the port of
/// a server that was killed, or connect to itself there. A lock file keeps other test programs away.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Finds a free port.
    #[must_use]
    pub fn reserve() -> Self {
        let folder = std::env::temp_dir()
            .join(format!("cairn-ports-{}", rustix::process::getuid().as_raw()));
        std::fs::create_dir_all(&folder).expect("a folder for lock files");
        let span = ephemeral().saturating_sub(LOWEST).max(TRIES_MAX);
        let chance = RandomState::new().hash_one(std::process::id());
        let first = u16::try_from(chance % u64::from(span)).unwrap_or_default();
        for offset in 0..TRIES_MAX {
            let number = LOWEST + (first + offset) % span;
            let path = folder.join(number.to_string());
            let lock = OpenOptions::new().create(true).append(true).open(path);
            let lock = lock.expect("a lock file");
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Self { number, _lock: lock };
            }
        }
        panic!("none of {TRIES_MAX} ports from {} on is free", LOWEST + first);
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }
}

fn ephemeral() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let low = range.ok().and_then(|text| text.split_whitespace().next()?.parse().ok());
    low.unwrap_or(EPHEMERAL)
}
