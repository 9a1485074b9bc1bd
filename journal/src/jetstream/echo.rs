//! The stream as it is wanted, and how the one that is there differs.
//!
//! Old servers accept options they do not know and drop them silently (reference: allow_atomic on 2.10 and 2.11).
//! What a server answers is therefore compared with what it was asked for, field by field.

use std::fmt;

use serde_json::{Map, Value, json};

use super::{Options, SUBJECTS};

/// The largest message in bytes: four times the largest commit, and the servers' default limit.
const MESSAGE_BYTES_MAX: u64 = 1024 * 1024;

/// Fields that must be absent, off or empty in any log: each would let commits be lost, changed or hidden.
const OFF: [&str; 15] = [
    "allow_atomic",
    "allow_batched",
    "allow_msg_counter",
    "allow_msg_schedules",
    "allow_msg_ttl",
    "allow_rollup_hdrs",
    "discard_new_per_subject",
    "mirror",
    "no_ack",
    "pause_until",
    "sealed",
    "sources",
    "subject_delete_marker_ttl",
    "subject_transform",
    "first_seq",
];

/// A field of the stream's configuration that is not as wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// As the server calls it.
    pub field: String,
    /// What the log needs.
    pub wanted: Value,
    /// What is there; null if the server does not name it.
    pub found: Value,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, not {}", self.field, self.found, self.wanted)
    }
}

/// The configuration of a log's stream.
pub(super) fn wanted(options: &Options) -> Value {
    let window = u64::try_from(options.duplicate_window.as_nanos()).unwrap_or(u64::MAX);
    json!({
        "name": options.stream,
        "description": "the log of Cairn: nobody else publishes here, nothing is deleted",
        "subjects": [SUBJECTS],
        "storage": "file",
        "num_replicas": options.replicas,
        "retention": "limits",
        "discard": "new",
        "max_consumers": -1,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
        "max_msgs_per_subject": -1,
        "max_msg_size": MESSAGE_BYTES_MAX,
        "allow_direct": true,
        "deny_delete": true,
        "deny_purge": true,
        "duplicate_window": window,
    })
}

/// How a stream differs from what is wanted. More replicas, and another description or window of ids, do no harm.
pub(super) fn differences(wanted: &Value, found: &Value) -> Vec<Difference> {
    let none = Map::new();
    let found = found.as_object().unwrap_or(&none);
    let value = |field: &str| found.get(field).cloned().unwrap_or(Value::Null);
    let mut differences = Vec::new();
    for (field, wanted) in wanted.as_object().unwrap_or(&none) {
        let value = value(field);
        let fits = match field.as_str() {
            "description" | "duplicate_window" => true,
            "num_replicas" => value.as_u64() >= wanted.as_u64(),
            _ => value == *wanted,
        };
        if !fits {
            differences.push(Difference {
                field: field.clone(),
                wanted: wanted.clone(),
                found: value,
            });
        }
    }
    for field in OFF {
        let found = value(field);
        if !is_off(&found) {
            differences.push(Difference { field: field.into(), wanted: Value::Null, found });
        }
    }
    // `async` acknowledges before anything is written, even with `sync_interval: always` (ADR-56 of NATS).
    let mode = value("persist_mode");
    if !is_off(&mode) && mode != "default" {
        let (field, wanted) = ("persist_mode".into(), "default".into());
        differences.push(Difference { field, wanted, found: mode });
    }
    differences
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options::new(vec!["nats://localhost:4222".into()])
    }

    /// What 2.15.1 answers to exactly this request.
    fn echo() -> Value {
        let mut echo = wanted(&options());
        let more = json!({
            "compression": "none", "mirror_direct": false, "sealed": false, "allow_rollup_hdrs": false,
            "consumer_limits": {}, "allow_msg_ttl": false, "metadata": {"_nats.ver": "2.15.1"},
        });
        echo.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        echo
    }

    fn named(found: &Value) -> Vec<String> {
        let found = differences(&wanted(&options()), found);
        found.into_iter().map(|difference| difference.field).collect()
    }

    #[test]
    fn the_echo_of_a_server_that_knows_every_option_fits() {
        assert_eq!(named(&echo()), Vec::<String>::new());
    }

    #[test]
    fn an_option_that_an_old_server_dropped_is_named() {
        for field in ["allow_direct", "deny_delete", "deny_purge", "max_msg_size"] {
            let mut old = echo();
            old.as_object_mut().unwrap().remove(field);
            assert_eq!(named(&old), [field]);
        }
        assert_eq!(
            differences(&wanted(&options()), &Value::Null).len(),
            wanted(&options()).as_object().unwrap().len() - 2,
        );
    }

    #[test]
    fn what_would_lose_or_hide_commits_is_named() {
        let planted = [
            ("max_age", json!(1)),
            ("max_bytes", json!(1024)),
            ("discard", json!("old")),
            ("storage", json!("memory")),
            ("subjects", json!(["ev.>", "other.>"])),
            ("allow_rollup_hdrs", json!(true)),
            ("allow_msg_ttl", json!(true)),
            ("no_ack", json!(true)),
            ("sources", json!([{"name": "other"}])),
            ("persist_mode", json!("async")),
            ("num_replicas", json!(0)),
        ];
        for (field, value) in planted {
            let mut changed = echo();
            changed[field] = value;
            assert_eq!(named(&changed), [field]);
        }
    }

    #[test]
    fn more_replicas_and_another_window_fit() {
        let mut other = echo();
        other["num_replicas"] = json!(5);
        other["duplicate_window"] = json!(1);
        assert_eq!(named(&other), Vec::<String>::new());
    }
}
