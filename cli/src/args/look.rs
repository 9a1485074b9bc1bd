//! The command line of whoever looks at something.

use clap::Args;

use super::Output;
use super::change::Patience;

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// resources, deployments, applications, environments, classes, plan, or a kind of resource
    pub(crate) kind: String,
    /// Which one
    pub(crate) name: Option<String>,
    /// Only of this deployment
    #[arg(long, short, value_name = "DEPLOYMENT")]
    pub(crate) deployment: Option<String>,
    /// Also resources that are gone
    #[arg(long)]
    pub(crate) gone: bool,
    /// As it was then: a position of the log, a time, a date, or how long ago, such as 10m
    #[arg(long, value_name = "MOMENT", value_parser = crate::moment::parse)]
    pub(crate) as_of: Option<String>,
    /// How to print it
    #[arg(long, short, value_enum, default_value = "table", value_name = "FORMAT")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Trace {
    /// The deployment, `<environment>_<application>`
    pub(crate) deployment: String,
    /// Go on until interrupted, or until it is gone
    #[arg(long, short, conflicts_with = "as_of")]
    pub(crate) watch: bool,
    /// As it was then: a position of the log, a time, a date, or how long ago, such as 10m
    #[arg(long, value_name = "MOMENT", value_parser = crate::moment::parse)]
    pub(crate) as_of: Option<String>,
    /// How to print it
    #[arg(long, short, value_enum, default_value = "table", value_name = "FORMAT")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// The deployment, `<environment>_<application>`
    pub(crate) deployment: String,
    #[command(flatten)]
    pub(crate) patience: Patience,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Go on with what happens from now on
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only what came after this position of the log
    #[arg(long, default_value_t = 0, value_name = "POSITION")]
    pub(crate) after: u64,
    /// Only about this thing, kind/name
    #[arg(long, value_name = "ID")]
    pub(crate) subject: Option<String>,
    /// How to print it; json is one line a commit
    #[arg(long, short, value_enum, default_value = "table", value_name = "FORMAT")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Why {
    /// kind/name, a uid, or the provider's name
    pub(crate) id: String,
    /// How to print it
    #[arg(long, short, value_enum, default_value = "table", value_name = "FORMAT")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct History {
    /// kind/name, a uid, or the provider's name
    pub(crate) id: String,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100), value_name = "NUMBER")]
    pub(crate) limit: u32,
    /// How to print it
    #[arg(long, short, value_enum, default_value = "table", value_name = "FORMAT")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Version {
    /// How to print it
    #[arg(long, short, value_enum, default_value = "table", value_name = "FORMAT")]
    pub(crate) output: Output,
}
