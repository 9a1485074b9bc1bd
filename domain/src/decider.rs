//! The one shape of every decision: `(&State, Command) -> Result<Vec<Event>, Rejection>`.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// An aggregate: how it judges a command, and how it changes by what happened.
///
/// # Guarantees
/// Both functions are pure and total. A repeated command yields no events (invariant 2).
pub trait Decider: Send + Sync + 'static {
    /// What is known of one aggregate. Serialized by snapshots and views, so it may only gain optional fields.
    type State: Default + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What somebody wants, in the imperative. It is judged again when someone else appends first.
    type Command: Clone + Serialize + Debug + Send + Sync;
    /// What happened, in the past tense. An externally tagged enum without unit variants (see [`crate::commit`]).
    type Event: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync;
    /// Why not, in the user's words.
    type Rejection: Rejection;

    /// Judges a command. No events means: nothing to do, it is so already.
    ///
    /// # Errors
    /// The rejection, when the command cannot be accepted in this state.
    fn decide(
        state: &Self::State,
        command: Self::Command,
    ) -> Result<Vec<Self::Event>, Self::Rejection>;

    /// Applies an event. Cannot fail: what happened, happened.
    fn evolve(state: Self::State, event: Self::Event) -> Self::State;

    /// Applies many events.
    fn fold(state: Self::State, events: impl IntoIterator<Item = Self::Event>) -> Self::State {
        events.into_iter().fold(state, Self::evolve)
    }
}

/// A refusal that a person can act on.
pub trait Rejection: std::error::Error + Send + Sync + 'static {
    /// A stable, upper-case code for programs, such as `PROTECTED`.
    fn code(&self) -> &'static str;

    /// What to do about it.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// `given([..]).when(..).then([..])`: tests of decisions read as sentences.
pub mod testing {
    use super::Decider;

    /// A history, waiting for a command.
    pub struct Given<D: Decider>(D::State);

    /// The answer to a command.
    pub struct Then<D: Decider> {
        state: D::State,
        outcome: Result<Vec<D::Event>, D::Rejection>,
    }

    /// Starts from what happened.
    pub fn given<D: Decider>(events: impl IntoIterator<Item = D::Event>) -> Given<D> {
        Given(D::fold(D::State::default(), events))
    }

    impl<D: Decider> Given<D> {
        /// Puts the command.
        #[must_use]
        pub fn when(self, command: D::Command) -> Then<D> {
            let outcome = D::decide(&self.0, command);
            Then { state: self.0, outcome }
        }
    }

    impl<D: Decider> Then<D> {
        /// Expects exactly these events.
        ///
        /// # Panics
        /// When the outcome differs.
        #[track_caller]
        #[allow(clippy::expect_used, reason = "this is an assertion")]
        pub fn then(self, expected: impl IntoIterator<Item = D::Event>) -> D::State {
            let events = self.outcome.expect("the command was refused");
            assert_eq!(events, expected.into_iter().collect::<Vec<_>>());
            D::fold(self.state, events)
        }

        /// Expects no events.
        ///
        /// # Panics
        /// When there are events or a rejection.
        #[track_caller]
        pub fn then_nothing(self) {
            self.then([]);
        }

        /// Expects a rejection with this code.
        ///
        /// # Panics
        /// When the command was accepted, or refused with another code.
        #[track_caller]
        pub fn then_refused(self, code: &str) {
            use super::Rejection as _;
            match self.outcome {
                Ok(events) => panic!("accepted with {events:?}, expected {code}"),
                Err(rejection) => assert_eq!(rejection.code(), code, "{rejection}"),
            }
        }
    }
}
