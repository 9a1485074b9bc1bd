//! The command line.

mod admin;
mod serve;

use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use admin::{
    Admin, Audit, Backup, Export, Key, LogOf, Migrate, Mirror, Prove, Quarantine, Rebuild, Redrive,
    Restore, Token, Verify, ViewsOf,
};
pub(crate) use serve::{Nature, Role, Serve, SimServe, Stores, Up};

use crate::failure::EXIT_CODES;
use crate::terminal::Colour;

/// Where `cairn up` listens when nothing else is said.
pub(crate) const LISTEN: &str = "127.0.0.1:7117";

/// Delivers applications and everything they depend on.
#[derive(Debug, Parser)]
#[command(
    name = "cairn",
    version,
    propagate_version = true,
    after_help = "Exit codes: cairn help exit-codes"
)]
pub(crate) struct Cli {
    /// The server, such as http://127.0.0.1:7117
    #[arg(long, global = true, env = "CAIRN_SERVER", hide_env_values = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// The context of the configuration to use
    #[arg(long, global = true, env = "CAIRN_CONTEXT", hide_env_values = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    pub(crate) color: Colour,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a whole Cairn in one process, with a simulated world
    Up(Up),
    /// Run one of many: the log on JetStream, the views in PostgreSQL, any number of processes of each role
    Serve(Serve),
    /// Show all of it in a minute: deploy a sample shop, change it, look back
    Demo(Demo),
    /// Check an application's files, without a server
    Validate(Files),
    /// Show what would be done
    Plan(Plan),
    /// Deploy an application, and wait until it is ready
    Apply(Apply),
    /// List things, or show one
    Get(Get),
    /// Show a deployment's graph: what is ready, and what the rest waits for
    Trace(Trace),
    /// Wait until a deployment is ready, or gone
    Wait(Wait),
    /// Show what happened, and what happens
    Events(Events),
    /// Explain where a thing comes from: by kind/name, uid, or the provider's name for it
    Why(Why),
    /// Show the states that a thing was in
    History(History),
    /// Go back to an earlier revision
    Rollback(Rollback),
    /// Take a deployment down, or delete a resource that belongs to none
    Delete(Delete),
    /// Approve a plan, and run it
    Approve(Approve),
    /// The platform team's definitions of resource types
    #[command(subcommand)]
    Class(Rule),
    /// Where applications run, and by which rules
    #[command(subcommand)]
    Env(Rule),
    /// Take no action on a resource until it is resumed
    Pause(OneResource),
    /// Take actions on a resource again
    Resume(OneResource),
    /// Leave a resource the way that somebody changed it, until its spec changes
    AcceptDrift(OneResource),
    /// Refuse a resource's deletion
    Protect(OneResource),
    /// Allow a resource's deletion again
    Unprotect(OneResource),
    /// Do something to the simulated world, behind Cairn's back
    #[command(subcommand)]
    Sim(Sim),
    /// Look after a data folder whose server is stopped
    #[command(subcommand)]
    Admin(Admin),
    /// Prove to others what happened
    #[command(subcommand)]
    Audit(Audit),
    /// Show the versions of the client and the server
    Version(Version),
    /// The meaning of exit codes
    #[command(name = "exit-codes", hide = true, about = EXIT_CODES)]
    ExitCodes,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End after the last step instead of leaving the server running
    #[arg(long)]
    pub(crate) once: bool,
    /// How much faster than ours the simulated world's clock runs
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=SPEED_MAX), value_name = "FACTOR")]
    pub(crate) speed: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Files {
    /// Score files, or one app.yaml; `-` for the standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<String>,
    /// The application's name, where several Score files make one application
    #[arg(long, value_name = "NAME")]
    pub(crate) app: Option<String>,
    /// An image to use instead of the file's: workload=image
    #[arg(long = "image", value_name = "WORKLOAD=IMAGE")]
    pub(crate) images: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Target {
    #[command(flatten)]
    pub(crate) files: Files,
    /// The environment
    #[arg(long, short, value_name = "ENV")]
    pub(crate) env: String,
    #[command(flatten)]
    pub(crate) allowed: Allowed,
}

/// What a plan may do only when it is told so.
#[derive(Debug, Args)]
pub(crate) struct Allowed {
    /// Replace what holds data, where a change needs that
    #[arg(long)]
    pub(crate) allow_replace: bool,
    /// Delete what holds data and is no longer declared
    #[arg(long)]
    pub(crate) allow_delete: bool,
    /// Delete more than the environment's guardrails say
    #[arg(long)]
    pub(crate) allow_mass_delete: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Record it, so that it can be approved and run as it is
    #[arg(long)]
    pub(crate) save: bool,
    /// Exit with 0 for no changes, 1 for an error, 2 for changes
    #[arg(long)]
    pub(crate) detailed_exitcode: bool,
    /// How to print it
    #[arg(long, short, value_enum, default_value = "table", value_name = "FORMAT")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) patience: Patience,
    /// Start it, and do not wait
    #[arg(long)]
    pub(crate) detach: bool,
    /// How to print it; json is one object, at the end
    #[arg(long, short, value_enum, default_value = "table", value_name = "FORMAT")]
    pub(crate) output: Output,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Patience {
    /// How long to wait, such as 90s, 10m or 1h
    #[arg(long, default_value = "30m", value_parser = span, value_name = "TIME")]
    pub(crate) timeout: Duration,
}

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
pub(crate) struct Rollback {
    /// The deployment, `<environment>_<application>`
    pub(crate) deployment: String,
    /// The revision [default: the last good one before the current]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) to: Option<u64>,
    #[command(flatten)]
    pub(crate) allowed: Allowed,
    #[command(flatten)]
    pub(crate) patience: Patience,
    /// Start it, and do not wait
    #[arg(long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// A deployment, or kind/name of a resource that belongs to none
    pub(crate) what: String,
    /// Wait until it is gone
    #[arg(long)]
    pub(crate) wait: bool,
    #[command(flatten)]
    pub(crate) patience: Patience,
}

#[derive(Debug, Args)]
pub(crate) struct Approve {
    /// The plan's id
    pub(crate) plan: String,
    #[command(flatten)]
    pub(crate) patience: Patience,
    /// Start it, and do not wait
    #[arg(long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Rule {
    /// Define, or define anew
    Apply {
        /// A file with one definition or several
        file: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct OneResource {
    /// kind/name, such as database/dev_shop_db
    pub(crate) id: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Sim {
    /// Run a simulated world that several servers share
    Serve(SimServe),
    /// Keep an object unready until it is healed
    Break {
        /// kind/name of the resource
        id: String,
        /// Why it is broken, in the provider's words
        #[arg(long)]
        message: Option<String>,
    },
    /// Make a broken object work again
    Heal(OneResource),
    /// Change an object as somebody else would
    Drift(OneResource),
    /// Delete an object as somebody else would
    Remove(OneResource),
}

#[derive(Debug, Args)]
pub(crate) struct Version {
    /// How to print it
    #[arg(long, short, value_enum, default_value = "table", value_name = "FORMAT")]
    pub(crate) output: Output,
}

/// A time span: `90s`, `10m`, `1h`.
fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number and s, m or h, such as 90s".to_owned();
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "" | "s" => Some(number),
        "m" => number.checked_mul(60),
        "h" => number.checked_mul(3_600),
        _ => return Err(wrong()),
    };
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

/// The fastest that a simulated clock may run: above it, timers are too coarse.
const SPEED_MAX: i64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn time_spans_have_units() {
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(span("7"), Ok(Duration::from_secs(7)));
        assert!(span("soon").is_err() && span("1d").is_err() && span("").is_err());
    }
}
