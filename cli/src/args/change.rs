//! The command line of whoever changes something.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{Output, SimServe};

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
    /// Run it on this cluster of the environment, or move it there [default: where it runs, or the best one]
    #[arg(long, value_name = "CLUSTER")]
    pub(crate) cluster: Option<String>,
    #[command(flatten)]
    pub(crate) allowed: Allowed,
}

impl Target {
    /// Says in the input of a change where, and what is allowed.
    pub(crate) fn put(&self, input: &mut Value) {
        if let (Some(cluster), Value::Object(fields)) = (&self.cluster, &mut *input) {
            fields.insert("cluster".into(), cluster.as_str().into());
        }
        self.allowed.put(input);
    }
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

impl Allowed {
    /// Says so in the input of a change.
    pub(crate) fn put(&self, input: &mut Value) {
        if let Value::Object(fields) = input {
            fields.insert("allowReplace".into(), self.allow_replace.into());
            fields.insert("allowDelete".into(), self.allow_delete.into());
            fields.insert("allowMassDelete".into(), self.allow_mass_delete.into());
        }
    }
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
    /// Wait no longer for what is being deleted and cannot be, such as in a cluster that is lost
    #[arg(long, requires = "because", conflicts_with = "wait")]
    pub(crate) abandon: bool,
    /// Why, for whoever reads the log later
    #[arg(long, requires = "abandon", value_name = "TEXT")]
    pub(crate) because: Option<String>,
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

#[derive(Debug, Args)]
pub(crate) struct Promote {
    /// kind/name, such as workload/prod_shop_web
    pub(crate) id: String,
    /// Past every step, not only the one that it is at
    #[arg(long)]
    pub(crate) full: bool,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_have_units() {
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(span("7"), Ok(Duration::from_secs(7)));
        assert!(span("soon").is_err() && span("1d").is_err() && span("").is_err());
    }
}
