//! Is it alive, is it ready, how is it doing.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use journal::Position;
use projections::{Health, Views};

use crate::plane::Probed;

/// The most commits that the views may be behind the log for the server to be ready: a second at full speed.
const LAG_MAX: u64 = 1_000;

/// A failed append older than this says nothing about now: the next one tells, if there is none in between.
const FAILURE_AGE_MAX: Duration = Duration::from_secs(30);

/// The process answers.
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// The log can be used and the views follow it.
pub(super) async fn readyz(
    State(probed): State<Arc<Probed>>,
    RawQuery(query): RawQuery,
) -> Response {
    let checks = checks(&probed).await;
    let ready = checks.iter().all(|(_, outcome)| outcome.is_ok());
    let mut text = String::new();
    let verbose = query.is_some_and(|query| {
        query.split('&').any(|part| part.split('=').next() == Some("verbose"))
    });
    for (name, outcome) in &checks {
        match outcome {
            Ok(detail) if verbose => _ = writeln!(text, "[+] {name} ok: {detail}"),
            Ok(_) => {}
            Err(reason) => _ = writeln!(text, "[-] {name} failed: {reason}"),
        }
    }
    // The others go on, so this is told and no reason to send requests elsewhere.
    if let Some(count @ 1..) = quarantined(&probed).await {
        _ = writeln!(text, "[!] quarantine: {count} streams are not shown to their end");
    }
    text += if ready { "ok\n" } else { "not ready\n" };
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text).into_response()
}

type Check = (&'static str, Result<String, String>);

/// How many streams the views do not show to their end, where there are views that can be asked.
async fn quarantined(probed: &Probed) -> Option<u64> {
    probed.views.as_ref()?.quarantined_total().await.ok()
}

async fn checks(probed: &Probed) -> Vec<Check> {
    let open = if *probed.closing.borrow() {
        Err("the server is closing".to_owned())
    } else {
        Ok("open".to_owned())
    };
    let head = probed.executor.journal().head().await;
    let views = probed.views.as_ref().map(|views| ("views", follow(views, head.as_ref().ok())));
    let log = match (head, probed.executor.failure(FAILURE_AGE_MAX)) {
        (Ok(_), Some(failure)) => Err(failure),
        (Ok(head), None) => Ok(format!("position {head}, durability {}", probed.durability)),
        (Err(error), _) => Err(error.to_string()),
    };
    let stopped: Vec<Check> =
        probed.stopped.borrow().iter().map(|(part, why)| (*part, Err(why.clone()))).collect();
    let others = views.filter(|(name, _)| stopped.iter().all(|(part, _)| part != name));
    [("server", open), ("log", log)].into_iter().chain(others).chain(stopped).collect()
}

/// Whether the views follow the log.
fn follow(views: &Views, head: Option<&Position>) -> Result<String, String> {
    let status = views.status().borrow().clone();
    match (status.health, head) {
        (Health::Stopped { reason } | Health::Retrying { reason }, _) => Err(reason),
        (Health::Idle, _) => Err("nobody moves the views on".to_owned()),
        (Health::Following, Some(head)) => {
            let lag = head.get().saturating_sub(status.position.get());
            let text = format!("position {}, {lag} behind", status.position);
            if lag > LAG_MAX { Err(text) } else { Ok(text) }
        }
        (Health::Following, None) => Ok(format!("position {}", status.position)),
    }
}

/// Numbers as Prometheus reads them.
pub(super) async fn metrics(State(probed): State<Arc<Probed>>) -> Response {
    let mut text = (probed.numbers)();
    let head = probed.executor.journal().head().await.ok();
    if let Some(head) = head {
        let help = "Position of the last commit of the log.";
        gauge(&mut text, "cairn_log_position", help, head.get());
    }
    if let Some(views) = &probed.views {
        let at = views.position().get();
        gauge(&mut text, "cairn_projection_position", "Position that the views show.", at);
        if let Some(head) = head {
            let (lag, help) =
                (head.get().saturating_sub(at), "Commits that the views are behind the log.");
            gauge(&mut text, "cairn_projection_lag", help, lag);
        }
    }
    if let Some(count) = quarantined(&probed).await {
        let help = "Streams that the views do not show to their end.";
        gauge(&mut text, "cairn_projection_quarantined", help, count);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

fn gauge(text: &mut String, name: &str, help: &str, value: u64) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
}
