//! The checker itself: good histories pass, and each way to be bad is found.

use tests::history::{Act, Id, Moment, Operation, Outcome, Violation, check};

use tests::rng::Rng;

/// How many histories are made.
const HISTORIES: u64 = 10_000;
/// How much happens in each.
const OPERATIONS: usize = 100;

/// A stream as it should be, with clients that do things at the same time.
struct World {
    rng: Rng,
    clock: Moment,
    stream: Vec<Id>,
    /// What has begun: it takes effect at some moment, and ends at a later one.
    open: Vec<Operation>,
    effective: Vec<bool>,
    done: Vec<Operation>,
    /// Appends on their way whose clients have given up, each with what it expects.
    late: Vec<(Id, usize)>,
}

impl World {
    fn new(seed: u64) -> Self {
        let rng = Rng::new(seed);
        let (open, effective, late) = (Vec::new(), Vec::new(), Vec::new());
        Self { rng, clock: 0, stream: Vec::new(), open, effective, done: Vec::new(), late }
    }

    fn run(mut self) -> (Vec<Operation>, Vec<Id>) {
        while self.done.len() < OPERATIONS || !self.open.is_empty() {
            self.clock += 1;
            match self.rng.below(3) {
                0 if self.done.len() + self.open.len() < OPERATIONS => self.begin(),
                1 => self.take_effect(),
                _ => self.end(),
            }
        }
        (self.done, self.stream)
    }

    fn begin(&mut self) {
        let act = if self.rng.per_mille(600) {
            let id = Id::from(self.clock) << 64 | Id::from(self.rng.number());
            // Most clients know where the stream ends.
            let expected = self.stream.len().saturating_sub(self.rng.below(8) / 6);
            Act::Append { id, expected, outcome: Outcome::Failed }
        } else {
            Act::Read { ids: Vec::new() }
        };
        self.open.push(Operation { began: self.clock, ended: 0, act });
        self.effective.push(false);
    }

    fn take_effect(&mut self) {
        if let Some((id, _)) = self.late.pop_if(|(_, expected)| *expected == self.stream.len()) {
            self.stream.push(id);
        }
        let index = self.rng.below(self.open.len());
        if self.effective.get(index) != Some(&false) {
            return;
        }
        self.effective[index] = true;
        match &mut self.open[index].act {
            Act::Read { ids } => ids.clone_from(&self.stream),
            Act::Append { id, expected, outcome } if *expected == self.stream.len() => {
                self.stream.push(*id);
                *outcome = Outcome::Stored(self.stream.len());
            }
            Act::Append { outcome, .. } => *outcome = Outcome::Conflict(self.stream.len()),
        }
    }

    fn end(&mut self) {
        let index = self.rng.below(self.open.len());
        if index >= self.open.len() {
            return;
        }
        let loses = self.rng.per_mille(60);
        match &mut self.open[index].act {
            Act::Read { .. } if !self.effective[index] => return,
            Act::Read { .. } => {}
            // The answer is lost, or the request is, or it arrives after its client has given up.
            Act::Append { id, expected, outcome } if loses => {
                *outcome = Outcome::Unknown;
                if !self.effective[index] {
                    self.late.push((*id, *expected));
                }
            }
            Act::Append { .. } => {
                // A server that was not reached stored nothing.
                if !self.effective[index] && !self.rng.per_mille(60) {
                    return;
                }
            }
        }
        self.effective.swap_remove(index);
        let mut operation = self.open.swap_remove(index);
        operation.ended = self.clock;
        self.done.push(operation);
    }
}

/// A way to be bad.
type Spoil = fn(&mut Vec<Operation>, &mut Vec<Id>, &mut Rng) -> Option<()>;

/// Where in a history an append was acknowledged as some number.
fn stored(history: &[Operation], rng: &mut Rng) -> Option<(usize, usize)> {
    let all = history.iter().enumerate().filter_map(|(index, operation)| match operation.act {
        Act::Append { outcome: Outcome::Stored(number), .. } => Some((index, number)),
        Act::Append { .. } | Act::Read { .. } => None,
    });
    rng.pick(&all.collect::<Vec<_>>()).copied()
}

const SPOILS: &[(&str, Spoil)] = &[
    ("the last acknowledged commit is lost", |history, stream, _| {
        let last = *stream.last()?;
        let acknowledged = history.iter().any(|operation| {
            matches!(operation.act, Act::Append { id, outcome: Outcome::Stored(_), .. } if id == last)
        });
        stream.pop();
        acknowledged.then_some(())
    }),
    ("an acknowledged commit in the middle is lost", |history, stream, rng| {
        let (_, number) = stored(history, rng)?;
        stream.remove(number - 1);
        Some(())
    }),
    ("a commit is stored twice", |_, stream, rng| {
        let id = *rng.pick(stream)?;
        stream.push(id);
        Some(())
    }),
    ("a commit comes from nowhere", |_, stream, _| {
        stream.push(7);
        Some(())
    }),
    ("two commits change places", |_, stream, rng| {
        let index = rng.below(stream.len().checked_sub(1)?);
        stream.swap(index, index + 1);
        (stream.len() > 1).then_some(())
    }),
    ("a refused commit is stored", |history, stream, _| {
        let refused = history.iter_mut().find_map(|operation| match operation.act {
            Act::Append { id, ref mut expected, outcome: Outcome::Failed } => Some((id, expected)),
            Act::Append { .. } | Act::Read { .. } => None,
        });
        let (id, expected) = refused?;
        *expected = stream.len();
        stream.push(id);
        Some(())
    }),
    ("an acknowledgement names another number", |history, _, rng| {
        let (index, number) = stored(history, rng)?;
        let Act::Append { outcome, .. } = &mut history[index].act else { return None };
        *outcome = Outcome::Stored(number + 1);
        Some(())
    }),
    ("a stale append is accepted", |history, _, rng| {
        let (index, number) = stored(history, rng)?;
        let Act::Append { expected, .. } = &mut history[index].act else { return None };
        *expected = number.checked_sub(2)?;
        Some(())
    }),
    ("a conflict with what was expected", |history, _, _| {
        history.iter_mut().find_map(|operation| match &mut operation.act {
            Act::Append { expected, outcome: Outcome::Conflict(seen), .. } => {
                *expected = *seen;
                Some(())
            }
            Act::Append { .. } | Act::Read { .. } => None,
        })
    }),
    ("a read does not see what was acknowledged before it began", |history, stream, rng| {
        let (index, number) = stored(history, rng)?;
        let began = history[index].ended + 1;
        let ids = stream[..number - 1].to_vec();
        history.push(Operation { began, ended: began + 1, act: Act::Read { ids } });
        Some(())
    }),
    ("a read sees what was not yet appended", |history, stream, rng| {
        let (index, number) = stored(history, rng)?;
        let ended = history[index].began.checked_sub(1)?;
        let ids = stream[..number].to_vec();
        history.push(Operation { began: 0, ended, act: Act::Read { ids } });
        Some(())
    }),
    ("reads one after the other go back", |history, stream, _| {
        let ids = stream[..stream.len().checked_sub(1)?].to_vec();
        let after = history.iter().map(|operation| operation.ended).max()?;
        let whole = Act::Read { ids: stream.clone() };
        history.push(Operation { began: after + 1, ended: after + 2, act: whole });
        history.push(Operation { began: after + 3, ended: after + 4, act: Act::Read { ids } });
        Some(())
    }),
    ("a conflict tells of a length that was passed long ago", |history, stream, _| {
        let after = history.iter().map(|operation| operation.ended).max()? + 1;
        let seen = stream.len().checked_sub(1)?;
        let act = Act::Append { id: 7, expected: seen + 1, outcome: Outcome::Conflict(seen) };
        let acknowledged = history.iter().any(|operation| {
            matches!(operation.act, Act::Append { outcome: Outcome::Stored(number), .. } if number == seen + 1)
        });
        history.push(Operation { began: after, ended: after + 1, act });
        acknowledged.then_some(())
    }),
    ("a read has a commit that another does not", |history, stream, _| {
        let mut ids = stream.clone();
        ids.push(7);
        history.push(Operation { began: 0, ended: Moment::MAX, act: Act::Read { ids } });
        Some(())
    }),
];

#[test]
fn ten_thousand_good_histories_pass_and_every_spoiled_one_is_found() {
    let mut spoiled = vec![0; SPOILS.len()];
    let mut operations = 0;
    for seed in 0..HISTORIES {
        let (history, stream) = World::new(seed).run();
        operations += history.len();
        assert_eq!(check(&history, &stream), Ok(()), "seed {seed}");
        for (count, (what, spoil)) in spoiled.iter_mut().zip(SPOILS) {
            let (mut bad, mut end) = (history.clone(), stream.clone());
            if spoil(&mut bad, &mut end, &mut Rng::new(seed)).is_some() {
                assert!(check(&bad, &end).is_err(), "seed {seed}: {what}");
                *count += 1;
            }
        }
    }
    assert_eq!(operations, HISTORIES as usize * OPERATIONS);
    for (count, (what, _)) in spoiled.iter().zip(SPOILS) {
        assert!(*count > HISTORIES / 20, "{what}: only {count} histories");
    }
}

#[test]
fn a_violation_is_told_with_what_did_it() {
    let append = |id, expected, outcome| Act::Append { id, expected, outcome };
    let at = |began, ended, act| Operation { began, ended, act };
    let first = at(1, 2, append(1, 0, Outcome::Stored(1)));
    let late = at(3, 4, Act::Read { ids: vec![] });
    let found = check(&[first.clone(), late], &[1]).unwrap_err();
    assert_eq!(found, Violation::Backwards { first: 0, second: 1 });
    assert_eq!(found.to_string(), "operation 1 began after operation 0 ended and came before");
    assert_eq!(check(&[first], &[]), Err(Violation::Lost { id: 1, number: 1 }));
    // Whoever gave up may still be right in the end.
    let unknown = at(1, 2, append(2, 0, Outcome::Unknown));
    let before = at(3, 4, Act::Read { ids: vec![] });
    assert_eq!(check(&[unknown.clone(), before.clone()], &[2]), Ok(()));
    assert_eq!(check(&[unknown, before], &[]), Ok(()));
}
