//! The command line of whoever looks after a log, and of whoever checks it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use domain::StreamId;

use super::Output;
use crate::archives::ArchiveAt;
use crate::logs::LogAt;

#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// Build the views anew from the log
    Rebuild(Rebuild),
    /// List what the views do not show to its end, because they were told what this version did not understand
    Quarantine(Quarantine),
    /// Show again what is in quarantine, once this version understands it
    Redrive(Redrive),
    /// Make a token for whoever may ask the servers of a data folder, and print it
    Token(Token),
    /// Check every seal of the log, every chain, and that an archive holds the same
    Verify(Verify),
    /// Bring an archive of the log up to date, and sign it
    Backup(Backup),
    /// Fill a new log from an archive, and build the views from it
    Restore(Restore),
    /// Move to another log: the same commits at the same positions
    Migrate(Migrate),
    /// Copy the log to EventStoreDB: the same commits in the same order, compared with what is there
    Mirror(Mirror),
}

#[derive(Debug, Args)]
pub(crate) struct DataDir {
    /// The data folder [default: ~/.local/share/cairn]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// A log, and the folder with its keys.
#[derive(Debug, Args)]
pub(crate) struct LogOf {
    #[command(flatten)]
    pub(crate) data: DataDir,
    /// The log, such as nats://HOST:4222?replicas=3 [default: that of the data folder]
    #[arg(long, env = "CAIRN_JOURNAL", hide_env_values = true, value_name = "URL")]
    pub(crate) journal: Option<LogAt>,
}

/// Where the views of a log are.
#[derive(Debug, Args)]
pub(crate) struct ViewsOf {
    /// The views: `postgres://USER:PASSWORD@HOST/DATABASE` [default: SQLite in the data folder]
    #[arg(long, env = "CAIRN_VIEWS", hide_env_values = true, value_name = "URL")]
    pub(crate) views: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Rebuild {
    #[command(flatten)]
    pub(crate) log: LogOf,
    #[command(flatten)]
    pub(crate) views: ViewsOf,
}

#[derive(Debug, Args)]
pub(crate) struct Quarantine {
    #[command(flatten)]
    pub(crate) log: LogOf,
    #[command(flatten)]
    pub(crate) views: ViewsOf,
    /// How to print it
    #[arg(long, short, value_enum, default_value = "table", value_name = "FORMAT")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Redrive {
    /// The stream, such as ev.default.database.dev_shop_db
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "STREAM")]
    pub(crate) stream: Option<StreamId>,
    /// Every stream in quarantine
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) log: LogOf,
    #[command(flatten)]
    pub(crate) views: ViewsOf,
    /// How to print it
    #[arg(long, short, value_enum, default_value = "table", value_name = "FORMAT")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Token {
    /// Whose it is, as the log will say: a person or a program
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) data: DataDir,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) log: LogOf,
    /// The archive to compare the log with: a folder, or s3://BUCKET/PREFIX
    #[arg(long, value_name = "ARCHIVE")]
    pub(crate) archive: Option<ArchiveAt>,
    /// Check the archive alone, where the log is lost or elsewhere
    #[arg(long, requires = "archive")]
    pub(crate) archive_only: bool,
    /// The public key of the anchors [default: that of the data folder]
    #[arg(long, requires = "archive", value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// An anchor that was kept elsewhere, and that the archive must still hold
    #[arg(long, requires = "archive", value_name = "FILE")]
    pub(crate) kept: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    #[command(flatten)]
    pub(crate) log: LogOf,
    /// The archive: a folder, or s3://BUCKET/PREFIX; only what it lacks is added
    #[arg(long, value_name = "ARCHIVE")]
    pub(crate) to: ArchiveAt,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The archive: a folder, or s3://BUCKET/PREFIX
    #[arg(long, value_name = "ARCHIVE")]
    pub(crate) from: ArchiveAt,
    /// The old data folder, if its log can still be read: what the archive lacks is taken from it
    #[arg(long, value_name = "FOLDER")]
    pub(crate) tail: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) log: LogOf,
    #[command(flatten)]
    pub(crate) views: ViewsOf,
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// The old log: sqlite (that of the data folder) or sqlite:FOLDER
    #[arg(long, value_name = "LOG")]
    pub(crate) from: LogAt,
    /// The new log, empty or begun by an earlier try
    #[arg(long, value_name = "LOG")]
    pub(crate) to: LogAt,
    #[command(flatten)]
    pub(crate) data: DataDir,
}

#[derive(Debug, Args)]
pub(crate) struct Mirror {
    /// The log: sqlite (that of the data folder), sqlite:FOLDER or nats://HOST:4222
    #[arg(long, default_value = "sqlite", value_name = "LOG")]
    pub(crate) from: LogAt,
    /// The copy: esdb://HOST:2113?log=NAME, begun by an earlier run or not there yet
    #[arg(long, value_name = "URL")]
    pub(crate) to: journal::eventstore::Options,
    /// Go on with what is appended to the log, until interrupted
    #[arg(long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) data: DataDir,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Write a bundle of commits with the proof that they are the log's
    Export(Export),
    /// Check a bundle: needs the public key, and nothing else
    Verify(Prove),
    /// Write the public key, which whoever checks must have from you
    Key(Key),
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The archive: a folder, or s3://BUCKET/PREFIX
    #[arg(long, value_name = "ARCHIVE")]
    pub(crate) archive: ArchiveAt,
    /// The first position
    #[arg(long, default_value_t = 1, value_name = "POSITION")]
    pub(crate) from: u64,
    /// The last position [default: the last that is signed]
    #[arg(long, value_name = "POSITION")]
    pub(crate) to: Option<u64>,
    /// Only commits of this stream, such as ev.default.database.dev_shop_db
    #[arg(long, value_name = "STREAM")]
    pub(crate) stream: Option<StreamId>,
    /// The bundle's file; `-` for the standard output
    #[arg(long, short, default_value = "-", value_name = "FILE")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Prove {
    /// The bundle's file
    pub(crate) bundle: PathBuf,
    /// The public key, from whoever keeps the log
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Key {
    #[command(flatten)]
    pub(crate) data: DataDir,
}
