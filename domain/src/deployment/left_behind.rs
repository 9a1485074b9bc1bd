//! What a deployment left in a cluster that was lost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Deployment, Event};
use crate::name::ResourceId;
use crate::time::Time;

/// An incarnation that was given up without being removed, for nobody could reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftBehind {
    /// What it was.
    pub resource: ResourceId,
    /// Which incarnation.
    pub uid: Uuid,
    /// Where it is.
    pub cluster: ResourceId,
    /// What else it needs there, and what is shared: that stays as long as it does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<ResourceId>,
    /// Since when.
    pub since: Time,
}

impl Deployment {
    /// It left this incarnation behind, and no plan has had it removed.
    #[must_use]
    pub fn has_left_behind(&self, uid: Uuid) -> bool {
        self.left_behind.iter().any(|left| left.uid == uid)
    }

    pub(super) fn leave_behind(
        &self,
        number: u64,
        mut left: Vec<LeftBehind>,
        at: Time,
    ) -> Vec<Event> {
        left.retain(|left| !self.has_left_behind(left.uid));
        let runs = self.running().is_some_and(|rollout| rollout.number == number);
        if runs && !left.is_empty() {
            vec![Event::LeftBehind { number, left, at }]
        } else {
            Vec::new()
        }
    }

    pub(super) fn clean_up(&self, number: u64, mut uids: Vec<Uuid>, at: Time) -> Vec<Event> {
        uids.retain(|uid| self.has_left_behind(*uid));
        let runs = self.running().is_some_and(|rollout| rollout.number == number);
        if runs && !uids.is_empty() {
            vec![Event::CleanedUp { number, uids, at }]
        } else {
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decider::Decider as _;
    use crate::decider::testing::given;
    use crate::deployment::{Command, Outcome, RolloutRef};
    use crate::plan::Purpose;

    const NOW: Time = Time::from_micros(1);

    fn started(number: u64) -> Event {
        Event::RolloutStarted {
            application: "shop".parse().unwrap(),
            environment: "dev".parse().unwrap(),
            rollout: RolloutRef {
                number,
                plan: Uuid::from_u128(7),
                revision: 1,
                purpose: Purpose::Failover,
            },
            members: Vec::new(),
            at: NOW,
        }
    }

    fn left() -> Vec<LeftBehind> {
        vec![LeftBehind {
            resource: "workload/dev_shop_web".parse().unwrap(),
            uid: Uuid::from_u128(1),
            cluster: "cluster/a".parse().unwrap(),
            needs: Vec::new(),
            since: NOW,
        }]
    }

    #[test]
    fn what_is_left_behind_is_noted_once_and_by_the_rollout_that_runs() {
        let leave = |number| Command::LeaveBehind { number, left: left(), at: NOW };
        let noted = Event::LeftBehind { number: 1, left: left(), at: NOW };
        given::<Deployment>([started(1)]).when(leave(1)).then([noted.clone()]);
        given::<Deployment>([started(1), noted.clone()]).when(leave(1)).then_nothing();
        given::<Deployment>([started(1), started(2)]).when(leave(1)).then_nothing();
        let ended = Event::RolloutEnded {
            number: 1,
            outcome: Outcome::Succeeded,
            removed: Vec::new(),
            at: NOW,
        };
        let state = Deployment::fold(Deployment::default(), [started(1), noted, ended]);
        assert!(state.has_left_behind(Uuid::from_u128(1)), "it outlives the rollout");
        let state = Deployment::fold(state, [Event::Deleted { at: NOW }]);
        assert_eq!(state.left_behind, [], "who takes everything down wants that gone too");
    }

    #[test]
    fn what_is_cleaned_up_is_no_longer_held() {
        let noted = Event::LeftBehind { number: 1, left: left(), at: NOW };
        let uids = vec![Uuid::from_u128(1)];
        let clean = |number| Command::CleanUp { number, uids: uids.clone(), at: NOW };
        let cleaned = Event::CleanedUp { number: 2, uids: uids.clone(), at: NOW };
        given::<Deployment>([started(1), noted.clone(), started(2)])
            .when(clean(2))
            .then([cleaned.clone()]);
        given::<Deployment>([started(1), noted, started(2), cleaned]).when(clean(2)).then_nothing();
    }
}
