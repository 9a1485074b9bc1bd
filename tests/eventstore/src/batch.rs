//! Appends over one long call, each with its own answer, and what the server says that it can do.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt as _};
use tonic::{Code, Request, Response, Status, Streaming, async_trait};

use crate::State;
use crate::proto::AllStreamPosition;
use crate::proto::google;
use crate::proto::server_features::server_features_server::ServerFeatures;
use crate::proto::server_features::{SupportedMethod, SupportedMethods};
use crate::proto::streams::append_req;
use crate::proto::streams::batch_append_req::options::ExpectedStreamPosition;
use crate::proto::streams::batch_append_resp::success::{CurrentRevisionOption, PositionOption};
use crate::proto::streams::batch_append_resp::{Result as Answer, Success};
use crate::proto::streams::{BatchAppendReq, BatchAppendResp};
use crate::service::{Service, name, proposed};
use crate::store::{Expected, Outcome};

pub(crate) type Batches = BoxStream<'static, Result<BatchAppendResp, Status>>;

/// Answers each request in its turn. A request or an answer that is lost ends the session.
pub(crate) fn session(state: Arc<State>, requests: Streaming<BatchAppendReq>) -> Batches {
    let answers = stream::unfold(Some((Service(state), requests)), |session| async {
        let (service, mut requests) = session?;
        let request = match requests.message().await {
            Ok(request) => request?,
            Err(status) => return Some((Err(status), None)),
        };
        match answer(&service, request).await {
            Ok(answer) => Some((Ok(answer), Some((service, requests)))),
            Err(status) => Some((Err(status), None)),
        }
    });
    answers.boxed()
}

async fn answer(service: &Service, request: BatchAppendReq) -> Result<BatchAppendResp, Status> {
    let BatchAppendReq { correlation_id, options, proposed_messages, is_final } = request;
    let options = options.ok_or_else(|| Status::invalid_argument("no options"))?;
    if !is_final {
        return Err(Status::unimplemented("an append here is one message"));
    }
    let stream = name(options.stream_identifier.clone())?;
    let expected = match options.expected_stream_position {
        Some(ExpectedStreamPosition::StreamPosition(revision)) => Expected::Exactly(revision),
        Some(ExpectedStreamPosition::NoStream(())) => Expected::Nothing,
        Some(ExpectedStreamPosition::Any(())) => Expected::Any,
        Some(ExpectedStreamPosition::StreamExists(())) => Expected::Exists,
        None => return Err(Status::invalid_argument("no expected revision")),
    };
    let events = proposed_messages.into_iter().map(|message| {
        proposed(append_req::ProposedMessage {
            id: message.id,
            metadata: message.metadata,
            custom_metadata: message.custom_metadata,
            data: message.data,
        })
    });
    let events = events.collect::<Result<Vec<_>, _>>()?;
    let result = match service.judged(&stream, expected, events).await {
        Ok(Outcome::Stored { revision, position: at }) => {
            let position = AllStreamPosition { commit_position: at, prepare_position: at };
            Answer::Success(Success {
                current_revision_option: Some(CurrentRevisionOption::CurrentRevision(revision)),
                position_option: Some(PositionOption::Position(position)),
            })
        }
        Ok(Outcome::Wrong { .. }) => refusal(Code::AlreadyExists, "WrongExpectedVersion"),
        Ok(Outcome::Deleted) => refusal(Code::NotFound, "StreamDeleted"),
        Err(status) if status.code() == Code::PermissionDenied => {
            refusal(Code::PermissionDenied, "AccessDenied")
        }
        Err(status) => return Err(status),
    };
    let stream_identifier = options.stream_identifier;
    let result = Some(result);
    Ok(BatchAppendResp { correlation_id, stream_identifier, result, ..Default::default() })
}

fn refusal(code: Code, message: &str) -> Answer {
    Answer::Error(google::Status { code: code as i32, message: message.to_owned(), details: None })
}

/// What the server says that it can do.
pub(crate) struct Features(pub(crate) Arc<State>);

#[async_trait]
impl ServerFeatures for Features {
    async fn get_supported_methods(
        &self,
        _request: Request<()>,
    ) -> Result<Response<SupportedMethods>, Status> {
        let batches = SupportedMethod {
            method_name: "batchappend".into(),
            service_name: "event_store.client.streams.streams".into(),
            features: Vec::new(),
        };
        let methods = if self.0.has_batches { vec![batches] } else { Vec::new() };
        let event_store_server_version = "0.0.0".into();
        Ok(Response::new(SupportedMethods { methods, event_store_server_version }))
    }
}
