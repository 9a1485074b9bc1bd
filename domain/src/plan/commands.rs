//! Cuts a plan into commands whose events fit a commit each.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{CHUNK_BYTES_MAX, Command, Plan};
use crate::commit::Hash;
use crate::time::Time;

impl Plan {
    /// The commands that record it, in order. Put again after a crash, they do what is left.
    #[must_use]
    pub fn commands(&self, hash: Hash, at: Time) -> Vec<Command> {
        let mut header = Box::new(self.header.clone());
        let mut later = BTreeMap::new();
        if bytes(&header) > CHUNK_BYTES_MAX {
            later = std::mem::take(&mut header.pins.resources);
            header.pins.to_follow = count(later.len());
        }
        let room = CHUNK_BYTES_MAX.saturating_sub(bytes(&header));
        let first = fitting(&self.steps, room, 0);
        let (steps, mut rest) = self.steps.split_at_checked(first).unwrap_or_default();
        let steps_total = count(self.steps.len());
        let mut commands =
            vec![Command::Propose { header, hash, steps_total, steps: steps.to_vec(), at }];
        let pins: Vec<_> = later.into_iter().collect();
        let mut unpinned = pins.as_slice();
        while let Some((pins, more)) =
            unpinned.split_at_checked(fitting(unpinned, CHUNK_BYTES_MAX, 1))
        {
            if pins.is_empty() {
                break;
            }
            commands.push(Command::AddPins { pins: pins.iter().cloned().collect(), at });
            unpinned = more;
        }
        let mut from = first;
        while let Some((steps, more)) = rest.split_at_checked(fitting(rest, CHUNK_BYTES_MAX, 1)) {
            if steps.is_empty() {
                break;
            }
            commands.push(Command::AddSteps { from: count(from), steps: steps.to_vec(), at });
            from += steps.len();
            rest = more;
        }
        commands
    }
}

/// How many of the items fit into so many bytes, but `least` of them anyhow.
fn fitting<T: Serialize>(items: &[T], room: usize, least: usize) -> usize {
    let mut used = 0;
    let fit = items.iter().take_while(|item| {
        used += bytes(item) + 1;
        used <= room
    });
    fit.count().max(least.min(items.len()))
}

fn bytes(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(0, |json| json.len())
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::commit::COMMIT_BYTES_MAX;
    use crate::decider::Decider as _;
    use crate::lifecycle::Lifetime;
    use crate::plan::{Header, Pins, Proposal, Purpose, ResourcePin, Step, StepAction};

    const NOW: Time = Time::from_micros(1);

    fn plan(steps: usize, pins: usize) -> Plan {
        let id = |number: usize| format!("bucket/production_storefront_{number}").parse().unwrap();
        let pin = ResourcePin { uid: Some(Uuid::from_u128(7)), generation: 3 };
        let step = |number| Step {
            resource: id(number),
            action: StepAction::Delete,
            spec: None,
            class: None,
            lifetime: Lifetime::Kept,
            protected: false,
            after: Vec::new(),
            why: vec!["w".repeat(400)],
            changes: Vec::new(),
        };
        let header = Header {
            deployment: "production_storefront".parse().unwrap(),
            application: "storefront".parse().unwrap(),
            environment: "production".parse().unwrap(),
            revision: 1,
            purpose: Purpose::Deploy,
            pins: Pins {
                resources: (0..pins).map(|n| (id(n), pin.clone())).collect(),
                ..Pins::default()
            },
            placement: None,
            notes: Vec::new(),
        };
        Plan { header, steps: (0..steps).map(step).collect() }
    }

    #[test]
    fn a_plan_of_any_size_is_recorded_whole_in_commits_that_fit() {
        for (steps, pins, commits) in
            [(0, 0, 1), (1, 1, 1), (0, 3_000, 3), (3_000, 3_000, 12), (3_000, 0, 10)]
        {
            let plan = plan(steps, pins);
            let commands = plan.commands(plan.hash(), NOW);
            assert_eq!(commands.len(), commits, "{steps} steps, {pins} pins");
            let mut state = Proposal::default();
            for command in commands.iter().flat_map(|command| [command, command]) {
                assert!(
                    matches!(state, Proposal::Absent | Proposal::Draft(_))
                        || commands.last() == Some(command)
                        || commits == 1
                );
                let events = Proposal::decide(&state, command.clone()).unwrap();
                assert!(events.iter().all(|event| bytes(event) < COMMIT_BYTES_MAX - 16 * 1024));
                state = Proposal::fold(state, events);
            }
            let Proposal::Proposed(recorded) = state else {
                panic!("not complete: {steps} {pins}")
            };
            assert_eq!(recorded.plan, plan);
            assert_eq!(recorded.plan.hash(), recorded.hash);
        }
    }
}
