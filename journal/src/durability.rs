//! What a log promises about what it acknowledged.

use std::fmt;
use std::str::FromStr;

/// What an acknowledged append survives. Each class survives what the ones before it do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// The end of the process, ours or the server's. Not the loss of power.
    ProcessCrash,
    /// The loss of power. Not the loss of the disk.
    PowerLoss,
    /// The loss of a minority of servers with their disks, and of the power of all.
    Quorum,
}

/// The text names no durability class.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a durability class: use process-crash, power-loss or quorum")]
pub struct UnknownDurability(String);

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ProcessCrash => "process-crash",
            Self::PowerLoss => "power-loss",
            Self::Quorum => "quorum",
        })
    }
}

impl FromStr for Durability {
    type Err = UnknownDurability;

    fn from_str(text: &str) -> Result<Self, UnknownDurability> {
        let classes = [Self::ProcessCrash, Self::PowerLoss, Self::Quorum];
        let found = classes.into_iter().find(|class| class.to_string() == text);
        found.ok_or_else(|| UnknownDurability(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_reads_as_it_is_written_and_each_holds_more_than_the_one_before() {
        assert!(Durability::ProcessCrash < Durability::PowerLoss);
        assert!(Durability::PowerLoss < Durability::Quorum);
        for class in [Durability::ProcessCrash, Durability::PowerLoss, Durability::Quorum] {
            assert_eq!(class.to_string().parse(), Ok(class));
        }
        assert!("Quorum".parse::<Durability>().is_err());
    }
}
