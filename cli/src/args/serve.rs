//! The command line of whoever starts a server, or a world for it.

use std::collections::BTreeSet;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use charts::fetch::Mirror;
use clap::{Args, ValueEnum};
use journal::Durability;

use super::{LISTEN, SPEED_MAX};
use crate::archives::ArchiveAt;
use crate::logs::LogAt;

/// How long what is shared stays after the last need, in seconds, unless somebody says otherwise: long enough for what
/// is deleted and deployed again, short enough to be watched.
pub(crate) const KEEP_SECONDS: u32 = 15;
/// The longest that it can stay: 30 days.
const KEEP_SECONDS_MAX: i64 = 30 * 86_400;

/// What a simulated world is like.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Nature {
    /// How much faster than ours the simulated world's clock runs
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=SPEED_MAX), value_name = "FACTOR")]
    pub(crate) speed: u32,
    /// The simulated world's seed: the same seed, the same luck
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub(crate) seed: u64,
}

/// Where a server keeps things, and where it is found.
#[derive(Debug, Args)]
pub(crate) struct Stores {
    /// Where everything is kept [default: ~/.local/share/cairn]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where to listen
    #[arg(long, default_value = LISTEN, value_parser = address, value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// Keep a signed archive of the log there: in a folder, or in s3://BUCKET/PREFIX
    #[arg(long, value_name = "ARCHIVE")]
    pub(crate) archive: Option<ArchiveAt>,
    /// The log: sqlite (in the data folder) or `nats://HOST:4222,nats://HOST:4222?replicas=3&monitor=http://HOST:8222`
    #[arg(
        long,
        env = "CAIRN_JOURNAL",
        hide_env_values = true,
        default_value = "sqlite",
        hide_default_value = true,
        value_name = "URL"
    )]
    pub(crate) journal: LogAt,
    /// The views: `postgres://USER:PASSWORD@HOST/DATABASE` [default: SQLite in the data folder]
    #[arg(long, env = "CAIRN_VIEWS", hide_env_values = true, value_name = "URL")]
    pub(crate) views: Option<String>,
    /// The folder of secrets, such as the kubeconfigs of existing clusters: a file for each [default: secrets in the data
    /// folder]
    #[arg(long, env = "CAIRN_SECRETS", value_name = "FOLDER")]
    pub(crate) secrets: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) charts: Charts,
    /// How long what deployments share, such as a cluster or what was installed in it, stays after the last of them needed
    /// it, and after the server started, in seconds
    #[arg(
        long,
        env = "CAIRN_KEEP_UNNEEDED",
        default_value_t = KEEP_SECONDS,
        value_parser = clap::value_parser!(u32).range(0..=KEEP_SECONDS_MAX),
        value_name = "SECONDS"
    )]
    pub(crate) keep_unneeded: u32,
    /// Start only if the log promises this: process-crash, power-loss or quorum
    #[arg(long, value_name = "CLASS")]
    pub(crate) require_durability: Option<Durability>,
}

/// Where charts of Helm are had, and what renders them.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Charts {
    /// The program helm, version 4, which renders charts [default: the one on the PATH]
    #[arg(long, env = "CAIRN_HELM", value_name = "PATH")]
    pub(crate) helm: Option<PathBuf>,
    /// Have charts from a mirror instead of where they say: a folder of archives, a repository, or oci://HOST/PATH; for
    /// one environment, or for what is installed for one cluster, where its name stands before a `=`; may be repeated.
    /// What is pinned is verified all the same
    #[arg(long = "charts", env = "CAIRN_CHARTS", value_delimiter = ',', value_parser = mirror, value_name = "[NAME=]MIRROR")]
    pub(crate) mirrors: Vec<(String, Mirror)>,
    /// Let applications name repositories at private addresses, and on this machine
    #[arg(long = "charts-private", env = "CAIRN_CHARTS_PRIVATE")]
    pub(crate) private: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) stores: Stores,
    #[command(flatten)]
    pub(crate) nature: Nature,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// What this process does; several, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "all", value_name = "ROLE")]
    role: Vec<RoleName>,
    /// The simulated world that all processes share, such as http://127.0.0.1:7119: see `cairn sim serve`
    #[arg(long, env = "CAIRN_WORLD", value_name = "URL")]
    pub(crate) world: Option<String>,
    #[command(flatten)]
    pub(crate) stores: Stores,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleName {
    /// Answer GraphQL
    Api,
    /// Keep the views up with the log; one of them at a time does
    Projector,
    /// Act on the world; each has a share of the work
    Reconciler,
    /// Keep the archive up with the log; one of them at a time does
    Archiver,
    /// All of these
    All,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Answers GraphQL.
    Api,
    /// Keeps the views up with the log.
    Projector,
    /// Acts on the world.
    Reconciler,
    /// Keeps the archive up with the log.
    Archiver,
}

impl Role {
    /// Every role.
    pub(crate) const ALL: [Self; 4] =
        [Self::Api, Self::Projector, Self::Reconciler, Self::Archiver];
}

impl Serve {
    /// The roles, each once.
    pub(crate) fn roles(&self) -> BTreeSet<Role> {
        let roles = self.role.iter().flat_map(|role| match role {
            RoleName::Api => vec![Role::Api],
            RoleName::Projector => vec![Role::Projector],
            RoleName::Reconciler => vec![Role::Reconciler],
            RoleName::Archiver => vec![Role::Archiver],
            RoleName::All => Role::ALL.to_vec(),
        });
        roles.collect()
    }
}

/// A simulated world for several processes.
#[derive(Debug, Args)]
pub(crate) struct SimServe {
    /// Where to listen: an address of this machine alone
    #[arg(long, default_value = "127.0.0.1:7119", value_parser = address, value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// Where the world is kept, as world.jsonl [default: ~/.local/share/cairn]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) nature: Nature,
}

/// A mirror of charts, with the environment that it is for.
fn mirror(text: &str) -> Result<(String, Mirror), String> {
    let (environment, place) = match text.split_once('=') {
        Some((name, place)) if name.parse::<domain::Name>().is_ok() => (name, place),
        Some(_) | None => ("", text),
    };
    if place.is_empty() {
        return Err("name a folder, or a URL of https or oci".to_owned());
    }
    Ok((environment.to_owned(), Mirror::read(place)))
}

/// An address: of a number, or of a name such as `localhost`. Of several, the one of IPv4, as most expect.
fn address(text: &str) -> Result<SocketAddr, String> {
    let write = "write HOST:PORT, such as 127.0.0.1:7117, or localhost:0 for any free port";
    let found = text.to_socket_addrs().map_err(|error| format!("{error}: {write}"))?;
    let found: Vec<SocketAddr> = found.collect();
    let first = found.iter().find(|address| address.is_ipv4()).or_else(|| found.first());
    first.copied().ok_or_else(|| format!("the name has no address: {write}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_may_be_for_one_environment() {
        let of = |text: &str| mirror(text).unwrap();
        assert_eq!(of("/charts"), (String::new(), Mirror::Folder("/charts".into())));
        assert_eq!(of("prod=/charts"), ("prod".to_owned(), Mirror::Folder("/charts".into())));
        let url = Mirror::Url("https://a.test/x?y=z".to_owned());
        assert_eq!(of("https://a.test/x?y=z"), (String::new(), url));
        assert!(mirror("prod=").is_err());
    }

    #[test]
    fn an_address_may_have_a_name() {
        assert!(address("localhost:0").unwrap().ip().is_loopback());
        assert_eq!(address("127.0.0.1:7117").unwrap().to_string(), "127.0.0.1:7117");
        assert_eq!(address("[::1]:7117").unwrap().to_string(), "[::1]:7117");
        for wrong in ["localhost", "7117", ":x", "127.0.0.1:99999", "no such host:1"] {
            assert!(address(wrong).unwrap_err().contains("HOST:PORT"), "{wrong}");
        }
    }
}
