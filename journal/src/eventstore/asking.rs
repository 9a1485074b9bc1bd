//! Reading from the servers: asked again until there is an answer, or for as long as that may take.

use domain::StreamId;
use eventstore::{
    Error, Position as Offset, ReadAllOptions, ReadStream, ReadStreamOptions, RecordedEvent,
    StreamPosition,
};
use tokio::time::{Instant, sleep, timeout};

use super::wire::{ANSWER_MAX, Connected, READ_PAUSE, Wire, late};
use crate::JournalError;

impl Wire {
    /// The last commit of a stream, by the word of the leader.
    pub(super) async fn last(
        &self,
        stream: &StreamId,
    ) -> Result<Option<RecordedEvent>, JournalError> {
        let options = ReadStreamOptions::default().position(StreamPosition::End).max_count(1);
        Ok(self.stream(stream, &options).await?.pop())
    }

    /// At most so many commits of a stream, from one of its numbers on, by the word of the leader.
    pub(super) async fn from(
        &self,
        stream: &StreamId,
        revision: u64,
        count: usize,
    ) -> Result<Vec<RecordedEvent>, JournalError> {
        let position = StreamPosition::Position(revision);
        let options = ReadStreamOptions::default().position(position).max_count(count);
        self.stream(stream, &options).await
    }

    async fn stream(
        &self,
        stream: &StreamId,
        options: &ReadStreamOptions,
    ) -> Result<Vec<RecordedEvent>, JournalError> {
        let options = options.clone().requires_leader(true);
        let name = self.name(stream);
        let mut asking = self.asking();
        loop {
            match asking.stream(&name, &options).await {
                Err(error) => self.ask_again(&mut asking, error).await?,
                Ok(found) => return Ok(found),
            }
        }
    }

    /// The first event at or after an offset, of whomever.
    pub(super) async fn at(&self, offset: Offset) -> Result<Option<RecordedEvent>, JournalError> {
        let options = ReadAllOptions::default()
            .position(StreamPosition::Position(offset))
            .max_count(1)
            .requires_leader(true);
        let mut asking = self.asking();
        loop {
            match asking.first(&options, |_| Some(true)).await {
                Err(error) => self.ask_again(&mut asking, error).await?,
                Ok(found) => return Ok(found),
            }
        }
    }

    /// The log's last commit after an offset, by the word of the leader: read backwards, past what others wrote.
    pub(super) async fn newest(
        &self,
        after: Option<Offset>,
    ) -> Result<Option<RecordedEvent>, JournalError> {
        let options = ReadAllOptions::default().position(StreamPosition::End).requires_leader(true);
        let is_it = |event: &RecordedEvent| {
            let beyond = after.is_none_or(|after| event.position.commit > after.commit);
            beyond.then(|| self.commit_stream(&event.stream_id).is_some())
        };
        let mut asking = self.asking();
        loop {
            match asking.first(&options, is_it).await {
                Err(error) => self.ask_again(&mut asking, error).await?,
                Ok(found) => return Ok(found),
            }
        }
    }

    fn asking(&self) -> Asking {
        Asking { connected: self.connected(), until: Instant::now() + self.patience }
    }

    /// Waits a little, and gives up after a while.
    async fn ask_again(
        &self,
        asking: &mut Asking,
        error: Option<Error>,
    ) -> Result<(), JournalError> {
        let reason = error.as_ref().map_or_else(late, ToString::to_string);
        if let Some(error) = &error {
            self.note(asking.connected.number, error);
        }
        if Instant::now() >= asking.until || matches!(error, Some(Error::AccessDenied)) {
            return Err(JournalError::Unavailable { reason });
        }
        sleep(READ_PAUSE).await;
        asking.connected = self.connected();
        Ok(())
    }
}

/// A question that may have to be asked again.
struct Asking {
    connected: Connected,
    until: Instant,
}

impl Asking {
    /// Events of a stream; none where there is no such stream.
    async fn stream(
        &self,
        name: &str,
        options: &ReadStreamOptions,
    ) -> Result<Vec<RecordedEvent>, Option<Error>> {
        let mut found = Vec::new();
        let mut reading = answer(self.connected.client.read_stream(name, options)).await?;
        while let Some(event) = next(&mut reading).await? {
            found.push(event);
        }
        Ok(found)
    }

    /// The first event that is wanted, or none once it is said that none can come.
    async fn first(
        &self,
        options: &ReadAllOptions,
        wanted: impl Fn(&RecordedEvent) -> Option<bool>,
    ) -> Result<Option<RecordedEvent>, Option<Error>> {
        let mut reading = answer(self.connected.client.read_all(options)).await?;
        while let Some(event) = next(&mut reading).await? {
            match wanted(&event) {
                Some(true) => return Ok(Some(event)),
                Some(false) => {}
                None => return Ok(None),
            }
        }
        Ok(None)
    }
}

/// Waits for an answer; an error of none is that it did not come in time.
pub(super) async fn answer<T>(
    asked: impl Future<Output = Result<T, Error>>,
) -> Result<T, Option<Error>> {
    match timeout(ANSWER_MAX, asked).await {
        Err(_) => Err(None),
        Ok(answered) => answered.map_err(Some),
    }
}

/// The next event of a reading; a stream that is not there has none.
async fn next(reading: &mut ReadStream) -> Result<Option<RecordedEvent>, Option<Error>> {
    loop {
        match answer(reading.next()).await {
            Ok(Some(resolved)) => {
                if let Some(event) = resolved.event {
                    return Ok(Some(event));
                }
            }
            Ok(None) | Err(Some(Error::ResourceNotFound | Error::ResourceDeleted)) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
}
