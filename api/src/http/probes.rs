//! Is it alive, is it ready, how is it doing.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use projections::Health;

use super::Served;

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
    State(served): State<Arc<Served>>,
    RawQuery(query): RawQuery,
) -> Response {
    let checks = checks(&served).await;
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
    if let Ok(count @ 1..) = served.plane.views.quarantined_total().await {
        _ = writeln!(text, "[!] quarantine: {count} streams are not shown to their end");
    }
    text += if ready { "ok\n" } else { "not ready\n" };
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text).into_response()
}

type Check = (&'static str, Result<String, String>);

async fn checks(served: &Served) -> Vec<Check> {
    let plane = &served.plane;
    let open = if *plane.closing.borrow() {
        Err("the server is closing".to_owned())
    } else {
        Ok("open".to_owned())
    };
    let head = plane.executor.journal().head().await;
    let status = plane.views.status().borrow().clone();
    let views = match (&status.health, &head) {
        (Health::Stopped { reason } | Health::Retrying { reason }, _) => Err(reason.clone()),
        (Health::Idle, _) => Err("nobody moves the views on".to_owned()),
        (Health::Following, Ok(head)) => {
            let lag = head.get().saturating_sub(status.position.get());
            let text = format!("position {}, {lag} behind", status.position);
            if lag > LAG_MAX { Err(text) } else { Ok(text) }
        }
        (Health::Following, Err(_)) => Ok(format!("position {}", status.position)),
    };
    let log = match (head, plane.executor.failure(FAILURE_AGE_MAX)) {
        (Ok(_), Some(failure)) => Err(failure),
        (Ok(head), None) => Ok(format!("position {head}, durability {}", plane.durability)),
        (Err(error), _) => Err(error.to_string()),
    };
    vec![("server", open), ("log", log), ("views", views)]
}

/// Numbers as Prometheus reads them.
pub(super) async fn metrics(State(served): State<Arc<Served>>) -> Response {
    let plane = &served.plane;
    let views = plane.views.position().get();
    let mut text = (plane.numbers)();
    if let Ok(head) = plane.executor.journal().head().await {
        gauge(
            &mut text,
            "cairn_log_position",
            "Position of the last commit of the log.",
            head.get(),
        );
        let lag = head.get().saturating_sub(views);
        gauge(&mut text, "cairn_projection_lag", "Commits that the views are behind the log.", lag);
    }
    if let Ok(count) = plane.views.quarantined_total().await {
        let help = "Streams that the views do not show to their end.";
        gauge(&mut text, "cairn_projection_quarantined", help, count);
    }
    gauge(&mut text, "cairn_projection_position", "Position that the views show.", views);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

fn gauge(text: &mut String, name: &str, help: &str, value: u64) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
}
