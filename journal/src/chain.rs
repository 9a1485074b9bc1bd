//! How a stream continues: one rule, applied before a commit is stored and whenever one is read.

use domain::commit::{Commit, Hash};

use crate::{Breakage, JournalError, Position, Recorded, Token};

/// The last commit of a stream, as far as the next one must know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tip {
    pub(crate) position: Position,
    pub(crate) version: u64,
    pub(crate) hash: Hash,
}

impl Tip {
    /// The tip that a commit leaves.
    pub(crate) fn of(recorded: &Recorded) -> Self {
        Self {
            position: recorded.position,
            version: recorded.last_version(),
            hash: recorded.sealed.hash,
        }
    }

    pub(crate) const fn token(&self) -> Token {
        Token::at(self.position)
    }

    /// Checks that a commit continues the stream from here.
    pub(crate) fn continued_by(&self, commit: &Commit) -> Result<(), Breakage> {
        let expected = self.version.saturating_add(1);
        if commit.first_version != expected {
            return Err(Breakage::Version { expected, found: commit.first_version });
        }
        if commit.prev_hash != self.hash {
            return Err(Breakage::Chain { stated: commit.prev_hash, actual: self.hash });
        }
        Ok(())
    }
}

/// The version of a commit's last event.
pub(crate) fn last_version(commit: &Commit) -> u64 {
    (commit.first_version + commit.events.len() as u64).saturating_sub(1)
}

/// Checks commits of one stream against each other; the first against `before`, where that is known.
pub(crate) fn check(
    before: Option<Tip>,
    after_version: u64,
    commits: &[Recorded],
) -> Result<(), JournalError> {
    let mut tip = before;
    for recorded in commits {
        let commit = &recorded.sealed.commit;
        let known = tip.unwrap_or(Tip {
            position: Position::START,
            version: after_version,
            hash: commit.prev_hash,
        });
        known.continued_by(commit).map_err(|breakage| damaged(recorded, breakage))?;
        tip = Some(Tip::of(recorded));
    }
    Ok(())
}

pub(crate) fn damaged(recorded: &Recorded, breakage: Breakage) -> JournalError {
    JournalError::Damaged {
        position: recorded.position,
        stream: Some(recorded.sealed.commit.stream.clone()),
        breakage: Box::new(breakage),
    }
}
