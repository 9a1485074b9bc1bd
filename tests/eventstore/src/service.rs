//! The service itself: each call is judged by the test's script, then done.

use std::sync::Arc;

use futures::future::pending;
use futures::stream::{self, StreamExt as _};
use tonic::{Request, Response, Status, Streaming, async_trait};

use crate::batch::{self, Batches};
use crate::proto::streams::append_req::options::ExpectedStreamRevision;
use crate::proto::streams::append_req::{Content, ProposedMessage};
use crate::proto::streams::append_resp::success::{CurrentRevisionOption, PositionOption};
use crate::proto::streams::append_resp::wrong_expected_version as wrong;
use crate::proto::streams::append_resp::{self, Position, Success, WrongExpectedVersion};
use crate::proto::streams::delete_req::options::ExpectedStreamRevision as ToDelete;
use crate::proto::streams::read_req::options::{CountOption, StreamOption};
use crate::proto::streams::streams_server::Streams;
use crate::proto::streams::tombstone_req::options::ExpectedStreamRevision as ToEnd;
use crate::proto::streams::{
    AppendReq, AppendResp, BatchAppendReq, DeleteReq, DeleteResp, ReadReq, TombstoneReq,
    TombstoneResp, delete_resp, tombstone_resp,
};
use crate::proto::{StreamIdentifier, Uuid, uuid};
use crate::reading::{self, Responses};
use crate::store::{Expected, Outcome, Proposed};
use crate::{Call, Fault, State};

pub(crate) struct Service(pub(crate) Arc<State>);

fn unavailable() -> Status {
    Status::unavailable("injected")
}

pub(crate) fn name(identifier: Option<StreamIdentifier>) -> Result<String, Status> {
    let name = identifier.map(|identifier| identifier.stream_name.to_vec()).unwrap_or_default();
    match String::from_utf8(name) {
        Ok(name) if !name.is_empty() => Ok(name),
        Ok(_) | Err(_) => Err(Status::invalid_argument("no stream is named")),
    }
}

fn id(id: Option<Uuid>) -> Result<::uuid::Uuid, Status> {
    let invalid = || Status::invalid_argument("an event has no id");
    match id.and_then(|id| id.value).ok_or_else(invalid)? {
        uuid::Value::String(text) => ::uuid::Uuid::try_parse(&text).map_err(|_| invalid()),
        uuid::Value::Structured(halves) => Ok(::uuid::Uuid::from_u64_pair(
            halves.most_significant_bits.cast_unsigned(),
            halves.least_significant_bits.cast_unsigned(),
        )),
    }
}

pub(crate) fn proposed(message: ProposedMessage) -> Result<Proposed, Status> {
    let ProposedMessage { id: given, metadata, custom_metadata, data } = message;
    for needed in ["type", "content-type"] {
        if !metadata.contains_key(needed) {
            return Err(Status::invalid_argument(format!("an event has no `{needed}`")));
        }
    }
    Ok(Proposed { id: id(given)?, metadata, custom_metadata, data })
}

fn wrong(current: Option<u64>, expected: Expected) -> WrongExpectedVersion {
    let current = match current {
        Some(revision) => wrong::CurrentRevisionOption::CurrentRevision(revision),
        None => wrong::CurrentRevisionOption::CurrentNoStream(()),
    };
    let expected = match expected {
        Expected::Any => wrong::ExpectedRevisionOption::ExpectedAny(()),
        Expected::Exists => wrong::ExpectedRevisionOption::ExpectedStreamExists(()),
        Expected::Nothing => wrong::ExpectedRevisionOption::ExpectedNoStream(()),
        Expected::Exactly(revision) => wrong::ExpectedRevisionOption::ExpectedRevision(revision),
    };
    WrongExpectedVersion {
        current_revision_option: Some(current),
        expected_revision_option: Some(expected),
        ..WrongExpectedVersion::default()
    }
}

fn deleted() -> Status {
    let mut status = Status::failed_precondition("the stream is deleted");
    status.metadata_mut().insert("exception", "stream-deleted".parse().expect("a word"));
    status
}

fn answer(outcome: Outcome, expected: Expected) -> Result<AppendResp, Status> {
    let result = match outcome {
        Outcome::Stored { revision, position } => append_resp::Result::Success(Success {
            current_revision_option: Some(CurrentRevisionOption::CurrentRevision(revision)),
            position_option: Some(PositionOption::Position(Position {
                commit_position: position,
                prepare_position: position,
            })),
        }),
        Outcome::Wrong { current } => {
            append_resp::Result::WrongExpectedVersion(wrong(current, expected))
        }
        Outcome::Deleted => return Err(deleted()),
    };
    Ok(AppendResp { result: Some(result) })
}

impl Service {
    /// Appends as far as the test's script lets it.
    pub(crate) async fn judged(
        &self,
        stream: &str,
        expected: Expected,
        events: Vec<Proposed>,
    ) -> Result<Outcome, Status> {
        let fault = self.0.fault(&Call::Append(stream.to_owned()));
        match fault {
            Some(Fault::LoseRequest) => return Err(unavailable()),
            Some(Fault::SilenceBefore) => return pending().await,
            Some(Fault::Deny) => return Err(Status::permission_denied("injected")),
            Some(Fault::LoseReply | Fault::SilenceAfter) | None => {}
        }
        let outcome = self.0.store().append(stream, expected, events);
        self.0.grew();
        match fault {
            Some(Fault::LoseReply) => Err(unavailable()),
            Some(Fault::SilenceAfter) => pending().await,
            Some(Fault::LoseRequest | Fault::SilenceBefore | Fault::Deny) | None => Ok(outcome),
        }
    }

    fn delete(&self, stream: &str, expected: Expected, ends: bool) -> Result<u64, Status> {
        let outcome = self.0.store().delete(stream, expected, ends);
        self.0.grew();
        match outcome {
            Outcome::Stored { position, .. } => Ok(position),
            Outcome::Wrong { .. } => Err(Status::failed_precondition("wrong expected version")),
            Outcome::Deleted => Err(deleted()),
        }
    }
}

#[async_trait]
impl Streams for Service {
    type ReadStream = Responses;

    async fn read(&self, request: Request<ReadReq>) -> Result<Response<Responses>, Status> {
        let options = request.into_inner().options;
        let options = options.ok_or_else(|| Status::invalid_argument("no options"))?;
        let call = match (&options.stream_option, &options.count_option) {
            (Some(StreamOption::Stream(stream)), _) => {
                Call::ReadStream(name(stream.stream_identifier.clone())?)
            }
            (_, Some(CountOption::Subscription(_))) => Call::Subscribe,
            _ => Call::ReadAll,
        };
        match self.0.fault(&call) {
            None => Ok(Response::new(reading::read(&self.0, options)?)),
            Some(Fault::LoseRequest | Fault::LoseReply) => Err(unavailable()),
            Some(Fault::SilenceBefore) => pending().await,
            Some(Fault::SilenceAfter) => Ok(Response::new(stream::pending().boxed())),
            Some(Fault::Deny) => Err(Status::permission_denied("injected")),
        }
    }

    async fn append(
        &self,
        request: Request<Streaming<AppendReq>>,
    ) -> Result<Response<AppendResp>, Status> {
        let mut messages = request.into_inner();
        let Some(Content::Options(options)) = messages.message().await?.and_then(|m| m.content)
        else {
            return Err(Status::invalid_argument("the first message has no options"));
        };
        let stream = name(options.stream_identifier)?;
        let expected = match options.expected_stream_revision {
            Some(ExpectedStreamRevision::Any(())) => Expected::Any,
            Some(ExpectedStreamRevision::StreamExists(())) => Expected::Exists,
            Some(ExpectedStreamRevision::NoStream(())) => Expected::Nothing,
            Some(ExpectedStreamRevision::Revision(revision)) => Expected::Exactly(revision),
            None => return Err(Status::invalid_argument("no expected revision")),
        };
        let mut events = Vec::new();
        while let Some(message) = messages.message().await? {
            let Some(Content::ProposedMessage(message)) = message.content else {
                return Err(Status::invalid_argument("a message is not an event"));
            };
            events.push(proposed(message)?);
        }
        let outcome = self.judged(&stream, expected, events).await?;
        answer(outcome, expected).map(Response::new)
    }

    type BatchAppendStream = Batches;

    async fn batch_append(
        &self,
        request: Request<Streaming<BatchAppendReq>>,
    ) -> Result<Response<Batches>, Status> {
        if !self.0.has_batches {
            return Err(Status::unimplemented("an old server"));
        }
        Ok(Response::new(batch::session(Arc::clone(&self.0), request.into_inner())))
    }

    async fn delete(&self, request: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        let options = request.into_inner().options.unwrap_or_default();
        let stream = name(options.stream_identifier)?;
        let expected = match options.expected_stream_revision {
            Some(ToDelete::StreamExists(())) => Expected::Exists,
            Some(ToDelete::NoStream(())) => Expected::Nothing,
            Some(ToDelete::Revision(revision)) => Expected::Exactly(revision),
            Some(ToDelete::Any(())) | None => Expected::Any,
        };
        let at = Self::delete(self, &stream, expected, false)?;
        let position = delete_resp::Position { commit_position: at, prepare_position: at };
        let position_option = Some(delete_resp::PositionOption::Position(position));
        Ok(Response::new(DeleteResp { position_option }))
    }

    async fn tombstone(
        &self,
        request: Request<TombstoneReq>,
    ) -> Result<Response<TombstoneResp>, Status> {
        let options = request.into_inner().options.unwrap_or_default();
        let stream = name(options.stream_identifier)?;
        let expected = match options.expected_stream_revision {
            Some(ToEnd::StreamExists(())) => Expected::Exists,
            Some(ToEnd::NoStream(())) => Expected::Nothing,
            Some(ToEnd::Revision(revision)) => Expected::Exactly(revision),
            Some(ToEnd::Any(())) | None => Expected::Any,
        };
        let at = Self::delete(self, &stream, expected, true)?;
        let position = tombstone_resp::Position { commit_position: at, prepare_position: at };
        let position_option = Some(tombstone_resp::PositionOption::Position(position));
        Ok(Response::new(TombstoneResp { position_option }))
    }
}
