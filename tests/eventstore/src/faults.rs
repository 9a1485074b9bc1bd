//! What can go wrong on request.

/// A call that may fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Events for a stream.
    Append(String),
    /// A stream is read.
    ReadStream(String),
    /// All events are read.
    ReadAll,
    /// All events are subscribed to.
    Subscribe,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not arrive; the client is told that the server is unavailable.
    LoseRequest,
    /// It has its effect; the client is told that the server is unavailable.
    LoseReply,
    /// It does not arrive, and nothing is ever answered.
    SilenceBefore,
    /// It has its effect, and nothing is ever answered.
    SilenceAfter,
    /// The user may not do this.
    Deny,
}

pub(crate) type Script = Box<dyn FnMut(&Call) -> Option<Fault> + Send>;
