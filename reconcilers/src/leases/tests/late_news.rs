//! A member whose replies are early and whose watch is late: it takes a lease and gives it up again before the watch
//! tells it that it took it.

use std::time::Duration;

use uuid::Uuid;

use super::super::member::{Bug, Input, Member, Outcome, Output};
use super::super::store::{Change, Revision};
use super::super::view::Key;
use super::super::{Lease, Timing};

const LEASE: Lease = Lease::Projector;

/// A member, and the store as it is: every write is accepted, and told by a watch that is read when the test says so.
struct Led {
    member: Member,
    now: Duration,
    revision: Revision,
    told: Vec<Change>,
}

impl Led {
    /// Something happens; every write that follows is there at once, and its reply too.
    fn step(&mut self, input: Input) -> Vec<Output> {
        let mut done = Vec::new();
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            self.now += Duration::from_millis(1);
            for output in self.member.step(self.now, input) {
                if let Output::Write { ticket, key, value, .. } = &output {
                    self.revision += 1;
                    let (key, revision, value) = (key.to_string(), self.revision, value.clone());
                    self.told.push(Change::Put { key, revision, value });
                    let outcome = Outcome::Written(revision);
                    inputs.push(Input::Wrote { ticket: *ticket, outcome });
                }
                done.push(output);
            }
        }
        done
    }
}

fn token(outputs: &[Output]) -> Option<Revision> {
    outputs.iter().find_map(|output| {
        if let Output::Granted { lease: LEASE, token, .. } = output { Some(*token) } else { None }
    })
}

/// How often it is granted again what it has given up, by what a watch tells late.
pub(super) fn granted_by_old_news(bug: Option<Bug>) -> usize {
    let member = Member::new(Uuid::from_u128(1), Timing::default());
    let now = Duration::from_secs(1);
    let mut led = Led { member, now, revision: 0, told: Vec::new() };
    led.member.bug = bug;
    // It lives, and has seen that nobody has anything for as long as it takes until that means something.
    led.step(Input::Share);
    led.step(Input::Changed(Change::Current));
    let patience = led.now + Timing::default().term + Timing::default().margin;
    while led.now < patience {
        led.now += Timing::default().renew / 2;
        led.step(Input::Tick);
    }
    let taken = led.step(Input::Want(LEASE, true));
    let token = token(&taken).expect("it takes what is free");
    led.step(Input::Want(LEASE, false));
    let freed = led.step(Input::Freed(LEASE, token));
    let given_up = |output: &Output| matches!(output, Output::Write { key: Key::Lease(LEASE), expected, .. } if *expected == token);
    assert!(freed.iter().any(given_up), "it gives up what nobody has in hand: {freed:?}");
    // Only now does the watch tell, and in the order of the writes.
    let told = std::mem::take(&mut led.told);
    let heard: Vec<Output> = told.into_iter().flat_map(|it| led.step(Input::Changed(it))).collect();
    heard.iter().filter(|it| matches!(it, Output::Granted { lease: LEASE, .. })).count()
}
