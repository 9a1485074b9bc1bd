//! The command line of whoever reads a log.

use clap::Args;

use super::Output;

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The deployment, `<environment>_<application>`
    pub(crate) deployment: String,
    /// Only of this workload of it
    pub(crate) workload: Option<String>,
    /// Go on with what is written from now on, also by pods that start later
    #[arg(long, short, conflicts_with = "previous")]
    pub(crate) follow: bool,
    /// So many of the last lines of each container, or all
    #[arg(long, short = 'n', default_value = "100", value_parser = tail, value_name = "NUMBER")]
    pub(crate) tail: u32,
    /// Only lines as old as this at most, such as 10m, 2h or 30s
    #[arg(long, value_parser = seconds, value_name = "AGE")]
    pub(crate) since: Option<u32>,
    /// Only of this container
    #[arg(long, short, value_name = "NAME")]
    pub(crate) container: Option<String>,
    /// Of the run before this one, such as the one that crashed
    #[arg(long, short)]
    pub(crate) previous: bool,
    /// Begin each line with its moment
    #[arg(long)]
    pub(crate) timestamps: bool,
    /// How to print it; json is one line a line
    #[arg(long, short, value_enum, default_value = "table", value_name = "FORMAT")]
    pub(crate) output: Output,
}

/// As many as the server gives at all.
const ALL: u32 = 1_000_000;

fn tail(text: &str) -> Result<u32, String> {
    if text == "all" {
        return Ok(ALL);
    }
    let number = text.parse().ok().filter(|number| *number <= ALL);
    number.ok_or_else(|| format!("write a number up to {ALL}, or all"))
}

fn seconds(text: &str) -> Result<u32, String> {
    let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
    let read = |(unit, seconds): (&str, u32)| -> Option<u32> {
        text.strip_suffix(unit)?.parse::<u32>().ok()?.checked_mul(seconds)
    };
    let found = units.into_iter().find_map(read).filter(|seconds| *seconds > 0);
    found.ok_or_else(|| "write a number and a unit, such as 30s, 10m, 2h or 1d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_numbers_are_read() {
        assert_eq!([seconds("30s"), seconds("10m"), seconds("1d")], [Ok(30), Ok(600), Ok(86_400)]);
        for wrong in ["", "10", "m", "-1m", "0s", "1w", "99999999999s", "99999d9"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!([tail("all"), tail("0")], [Ok(ALL), Ok(0)]);
        assert!(tail("-1").is_err() && tail("1000001").is_err());
    }
}
