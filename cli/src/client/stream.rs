//! Server-sent events, as graphql-sse frames them.

use std::pin::Pin;

use futures::{Stream, StreamExt as _};
use serde_json::Value;

use super::{cleaned, data};
use crate::failure::{Exit, Failure, Outcome};

/// The largest event: a commit of 256 KiB, escaped.
const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

type Bytes = Pin<Box<dyn Stream<Item = Result<Vec<u8>, String>> + Send>>;

/// Answers that keep coming.
pub(crate) struct Events {
    bytes: Bytes,
    buffer: Vec<u8>,
}

impl Events {
    pub(super) fn new(response: reqwest::Response) -> Self {
        let bytes = response.bytes_stream();
        Self::of(
            bytes.map(|bytes| bytes.map(|bytes| bytes.to_vec()).map_err(|error| error.to_string())),
        )
    }

    fn of(bytes: impl Stream<Item = Result<Vec<u8>, String>> + Send + 'static) -> Self {
        Self { bytes: Box::pin(bytes), buffer: Vec::new() }
    }

    /// The next answer's data; none when the server has no more.
    pub(crate) async fn next(&mut self) -> Outcome<Option<Value>> {
        loop {
            while let Some(frame) = self.frame() {
                match read(&frame) {
                    Frame::Next(answer) => return data(cleaned(answer)).map(Some),
                    Frame::Complete => return Ok(None),
                    Frame::Other => {}
                }
            }
            match self.bytes.next().await {
                Some(Ok(bytes)) => self.buffer.extend(bytes),
                Some(Err(error)) => return Err(lost(&error)),
                None => return Err(lost("the connection ended")),
            }
            if self.buffer.len() > EVENT_BYTES_MAX {
                return Err(lost("an event is too large"));
            }
        }
    }

    fn frame(&mut self) -> Option<String> {
        let end = self.buffer.windows(2).position(|pair| pair == b"\n\n")?;
        let rest = self.buffer.split_off(end + 2);
        let frame = std::mem::replace(&mut self.buffer, rest);
        Some(String::from_utf8_lossy(&frame).into_owned())
    }
}

enum Frame {
    Next(Value),
    Complete,
    Other,
}

fn read(frame: &str) -> Frame {
    let field = |name: &str| {
        let lines = frame.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        lines.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect::<Vec<_>>().join("\n")
    };
    match field("event").as_str() {
        "next" => serde_json::from_str(&field("data")).map_or(Frame::Other, Frame::Next),
        "complete" => Frame::Complete,
        _ => Frame::Other,
    }
}

fn lost(error: &str) -> Failure {
    Failure::new(Exit::Unreachable, "the connection to the server was lost").detail(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_arrive_whole_however_they_are_cut() {
        let text = ":\n\nevent: next\ndata: {\"data\":{\"a\":1}}\n\nevent: complete\ndata:\n\n";
        for size in 1..text.len() {
            let pieces: Vec<_> =
                text.as_bytes().chunks(size).map(|piece| Ok(piece.to_vec())).collect();
            let mut events = Events::of(futures::stream::iter(pieces));
            futures::executor::block_on(async {
                assert_eq!(events.next().await.unwrap(), Some(serde_json::json!({"a": 1})));
                assert_eq!(events.next().await.unwrap(), None);
            });
        }
    }

    #[test]
    fn a_connection_that_ends_without_a_word_is_lost() {
        let mut events = Events::of(futures::stream::iter([Ok(b"event: next".to_vec())]));
        let failure = futures::executor::block_on(events.next()).unwrap_err();
        assert_eq!(failure.exit, Exit::Unreachable);
    }
}
