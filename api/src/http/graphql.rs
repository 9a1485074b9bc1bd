//! `POST /graphql`: one operation as JSON; an event stream for whoever accepts one.

use std::sync::Arc;

use async_graphql::{ErrorExtensionValues, Request, Response as Answer, ServerError};
use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use domain::Actor;
use metrics::{counter, histogram};
use uuid::Uuid;

use super::documents::Document;
use super::{BODY_BYTES_MAX, Served, refused, sse};

/// Answers one operation.
pub(super) async fn answer(
    State(served): State<Arc<Served>>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = header(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    // Browsers send other types across origins without asking: none of them is accepted.
    if !media_type.eq_ignore_ascii_case("application/json") {
        let message = "send Content-Type: application/json";
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message);
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let message = format!(
                "the body is longer than {BODY_BYTES_MAX} bytes: move large files into the image or a bucket, or \
                 split the application"
            );
            return refused(rejection.status(), "TOO_LARGE", &message);
        }
        Err(rejection) => return refused(rejection.status(), "BODY", &rejection.body_text()),
    };
    let (request, document) = match read(&served, &body) {
        Ok(read) => read,
        Err(message) => return refused(StatusCode::BAD_REQUEST, "BAD_REQUEST", &message),
    };
    if header(header::ACCEPT).contains("text/event-stream") {
        return sse::stream(&served, request.data(actor));
    }
    let started = std::time::Instant::now();
    let answer = run(&served, request, &document, &actor, &body).await;
    histogram!("cairn_request_seconds").record(started.elapsed());
    counter!("cairn_requests_total", "outcome" => if answer.is_ok() { "ok" } else { "error" })
        .increment(1);
    // Nothing was run: the document did not fit the schema.
    let nothing = answer.data == async_graphql::Value::Null && answer.is_err();
    let unfit = nothing && answer.errors.iter().all(|error| error.path.is_empty());
    let status = if unfit { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let kind = [(header::CONTENT_TYPE, "application/json")];
    match serde_json::to_vec(&coded(answer)) {
        Ok(bytes) => (status, kind, bytes).into_response(),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", &error.to_string()),
    }
}

/// Reads the one operation of a body, measured before it is run.
fn read(served: &Served, body: &[u8]) -> Result<(Request, Arc<Document>), String> {
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err("send one operation, not a batch".into());
    }
    let mut request: Request = serde_json::from_slice(body)
        .map_err(|error| format!("the body is not a GraphQL request: {error}"))?;
    let document = served.documents.read(&request.query)?;
    request.set_parsed_query(document.parsed.clone());
    Ok((request, document))
}

/// Runs an operation. A question that was answered before is not compared with the schema again, which takes a third
/// of the time of a short one. What can still be wrong is its variables: the full comparison finds the words for it.
async fn run(
    served: &Served,
    request: Request,
    document: &Document,
    actor: &Actor,
    body: &[u8],
) -> Answer {
    let mut request = request;
    if document.was_answered() {
        let answer = served.answered.execute(request.data(actor.clone())).await;
        if answer.is_ok() {
            return answer;
        }
        request = match read(served, body) {
            Ok((request, _)) => request,
            Err(_) => return answer,
        };
    }
    let answer = served.schema.execute(request.data(actor.clone())).await;
    if answer.is_ok() {
        document.answered();
    }
    answer
}

/// Gives every error a code and a trace id.
pub(super) fn coded(mut answer: Answer) -> Answer {
    if answer.errors.is_empty() {
        return answer;
    }
    let trace = Uuid::new_v4().simple().to_string();
    for error in &mut answer.errors {
        let ServerError { extensions, .. } = error;
        let extensions = extensions.get_or_insert_with(ErrorExtensionValues::default);
        if extensions.get("code").is_none() {
            extensions.set("code", "INVALID_DOCUMENT");
        }
        extensions.set("traceId", trace.as_str());
    }
    tracing::debug!(%trace, errors = ?answer.errors, "answered with errors");
    answer
}
