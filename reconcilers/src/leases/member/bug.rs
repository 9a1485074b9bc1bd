//! The bugs that the tests plant, each to be found. Outside tests there are none.

use super::{Member, Revision};

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::leases) enum Bug {
    /// Lives until somebody says otherwise.
    TrustsNoClock,
    /// Counts its term from when the reply came.
    CountsFromTheReply,
    /// Takes over as soon as the term is over by its own clock.
    LeavesNoMargin,
    /// Declares dead whoever lives again.
    BuriesWithoutComparing,
    /// Takes what nobody seems to hold at once.
    TakesAbsenceForFreedom,
    /// Takes what should be its own though another holds it.
    TakesWhatIsHeld,
    /// Takes an old sight of its own lease, which it has given up since, for a grant.
    TakesOldNews,
    /// Gives up what its work is still under way for.
    GivesUpUnderWork,
    /// Never declares anybody dead.
    NeverBuries,
    /// Keeps what should be another's.
    GivesUpNothing,
    /// Tries no write again.
    NeverTriesAgain,
    /// Goes on with what it had begun when its lease was lost. (Of who works, not of the protocol.)
    #[cfg(test)]
    WorksOn,
}

/// The revision of an unconditional write, in the simulated store of the tests.
pub(in crate::leases) const ANY: Revision = Revision::MAX;

impl Member {
    #[cfg(test)]
    pub(super) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self, reason = "asked like in the tests")]
    pub(super) const fn has(&self, _: Bug) -> bool {
        false
    }
}
