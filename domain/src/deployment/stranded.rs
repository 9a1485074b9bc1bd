//! A deployment that should leave its cluster and cannot.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Deployment, Event};
use crate::name::ResourceId;
use crate::time::Time;

/// Why a deployment is still in a cluster that is lost, though its environment wants it to leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stranded {
    /// The cluster.
    pub cluster: ResourceId,
    /// Since when that is lost.
    pub since: Time,
    /// Why it cannot leave, and what to do, in words.
    pub reason: String,
}

impl Deployment {
    /// Noted once for each reason; who begins to leave, or is being taken down, is not stranded.
    pub(super) fn strand(&self, stranded: Stranded, at: Time) -> Vec<Event> {
        let known = self.stranded.as_ref() == Some(&stranded);
        if known || self.deleted { Vec::new() } else { vec![Event::Stranded { stranded, at }] }
    }

    pub(super) fn relieve(&self, at: Time) -> Vec<Event> {
        self.stranded.iter().map(|_| Event::Relieved { at }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decider::Decider as _;
    use crate::decider::testing::given;
    use crate::deployment::Command;

    const NOW: Time = Time::from_micros(1);

    fn stranded(reason: &str) -> Stranded {
        let cluster = "cluster/a".parse().unwrap();
        Stranded { cluster, since: NOW, reason: reason.into() }
    }

    #[test]
    fn each_reason_is_noted_once_and_forgotten_when_it_is_over() {
        let strand = |reason| Command::Strand { stranded: stranded(reason), at: NOW };
        let noted = |reason| Event::Stranded { stranded: stranded(reason), at: NOW };
        let (full, approval) = ("no room", "approve it");
        given::<Deployment>([]).when(strand(full)).then([noted(full)]);
        given::<Deployment>([noted(full)]).when(strand(full)).then_nothing();
        given::<Deployment>([noted(full)]).when(strand(approval)).then([noted(approval)]);
        let relieved = Event::Relieved { at: NOW };
        given::<Deployment>([noted(full)]).when(Command::Relieve { at: NOW }).then([relieved]);
        given::<Deployment>([]).when(Command::Relieve { at: NOW }).then_nothing();
        given::<Deployment>([Event::Deleted { at: NOW }]).when(strand(full)).then_nothing();
        let state =
            Deployment::fold(Deployment::default(), [noted(full), Event::Deleted { at: NOW }]);
        assert_eq!(state.stranded, None);
    }
}
