//! History, then live: the same for every adapter that knows its head.

use std::collections::VecDeque;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::watch;

use crate::{Breakage, JournalError, Position, Recorded};

/// Where commits are read from, some at a time.
pub(crate) trait Source: Send + Sync + 'static {
    /// The next commits after a position, at least one when there are any, their seals checked.
    fn batch(&self, after: Position) -> BoxFuture<'_, Result<Vec<Recorded>, JournalError>>;
}

/// What an adapter tells its followers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Live {
    /// The last commit that may be read.
    pub(crate) head: Position,
    /// No more will come.
    pub(crate) closed: bool,
}

/// Makes sure that a follower who begins at or beyond what was seen here is not told that the log ends before: asks
/// where it ends, as long as nobody can say.
pub(crate) async fn known_head<F>(
    live: &watch::Sender<Live>,
    after: Position,
    head: impl Fn() -> F,
) -> Result<(), JournalError>
where
    F: Future<Output = Result<Position, JournalError>>,
{
    while after > live.borrow().head {
        match head().await {
            Err(JournalError::Unavailable { .. }) if !live.borrow().closed => {}
            Err(error) => return Err(error),
            Ok(_) => break,
        }
    }
    Ok(())
}

struct Follower<S> {
    source: S,
    live: watch::Receiver<Live>,
    cursor: Position,
    batch: VecDeque<Recorded>,
}

/// Follows a source. An error is the last item.
pub(crate) fn follow<S: Source>(
    source: S,
    live: watch::Receiver<Live>,
    after: Position,
) -> BoxStream<'static, Result<Recorded, JournalError>> {
    let follower = Follower { source, live, cursor: after, batch: VecDeque::new() };
    stream::unfold(Some(follower), |follower| async {
        let mut follower = follower?;
        match follower.next().await {
            Ok(recorded) => Some((Ok(recorded), Some(follower))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

impl<S: Source> Follower<S> {
    async fn next(&mut self) -> Result<Recorded, JournalError> {
        loop {
            if let Some(recorded) = self.batch.pop_front() {
                return self.accept(recorded);
            }
            let live = *self.live.borrow_and_update();
            if live.head > self.cursor {
                self.batch = self.source.batch(self.cursor).await?.into();
                // A source may know of commits before its followers are told of them. They are read again then:
                // whoever has seen more than the head would take the next look for a log that lost commits.
                self.batch.retain(|recorded| recorded.position <= live.head);
                if self.batch.is_empty() {
                    return Err(gap(self.cursor.next()));
                }
            } else if live.head < self.cursor {
                return Err(JournalError::Behind { head: live.head, after: self.cursor });
            } else if live.closed || self.live.changed().await.is_err() {
                return Err(JournalError::Closed);
            }
        }
    }

    fn accept(&mut self, recorded: Recorded) -> Result<Recorded, JournalError> {
        let expected = self.cursor.next();
        if recorded.position != expected {
            return Err(gap(expected));
        }
        self.cursor = expected;
        Ok(recorded)
    }
}

fn gap(expected: Position) -> JournalError {
    JournalError::Damaged {
        position: expected,
        stream: None,
        breakage: Box::new(Breakage::Gap { expected }),
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::testing::{commit, stream};

    /// Two commits, whatever was told of them.
    struct Ahead(Vec<Recorded>);

    impl Source for Ahead {
        fn batch(&self, after: Position) -> BoxFuture<'_, Result<Vec<Recorded>, JournalError>> {
            let rest = self.0.iter().filter(|recorded| recorded.position > after);
            let rest: Vec<Recorded> = rest.cloned().collect();
            async move { Ok(rest) }.boxed()
        }
    }

    #[test]
    fn a_source_that_is_ahead_of_what_was_told_is_waited_for() {
        let stream = stream("a");
        let mut commits = Vec::new();
        for number in 1..=2 {
            let sealed = commit(&stream, number, commits.last(), &[1]);
            let position = Position::new(commits.len() as u64 + 1);
            commits.push(Recorded { position, sealed });
        }
        let told = |number| Live { head: Position::new(number), closed: false };
        let live = watch::Sender::new(told(1));
        let mut followed = follow(Ahead(commits), live.subscribe(), Position::START);
        let first = followed.next().now_or_never().unwrap().unwrap().unwrap();
        assert_eq!(first.position, Position::new(1));
        assert!(followed.next().now_or_never().is_none(), "nothing more was told");
        live.send_replace(told(2));
        let second = followed.next().now_or_never().unwrap().unwrap().unwrap();
        assert_eq!(second.position, Position::new(2));
    }
}
