//! The command line of whoever starts a server.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use journal::Durability;

use super::{LISTEN, SPEED_MAX};
use crate::logs::LogAt;

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Where everything is kept [default: ~/.local/share/cairn]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where to listen
    #[arg(long, default_value = LISTEN, value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// How much faster than ours the simulated world's clock runs
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=SPEED_MAX), value_name = "FACTOR")]
    pub(crate) speed: u32,
    /// The simulated world's seed: the same seed, the same luck
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub(crate) seed: u64,
    /// Keep a signed archive of the log there
    #[arg(long, value_name = "FOLDER")]
    pub(crate) archive: Option<PathBuf>,
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
    /// Start only if the log promises this: process-crash, power-loss or quorum
    #[arg(long, value_name = "CLASS")]
    pub(crate) require_durability: Option<Durability>,
}
