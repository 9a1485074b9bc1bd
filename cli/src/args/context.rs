//! The command line of whoever has several servers.

use clap::Subcommand;

use super::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum ContextOf {
    /// List the servers that are known
    List {
        /// How to print it
        #[arg(long, short, value_enum, default_value = "table", value_name = "FORMAT")]
        output: Output,
    },
    /// Let commands go to this one from now on
    Use {
        /// Its name
        name: String,
    },
    /// Show where commands go
    Show {
        /// Another one
        name: Option<String>,
        /// How to print it
        #[arg(long, short, value_enum, default_value = "table", value_name = "FORMAT")]
        output: Output,
    },
}
