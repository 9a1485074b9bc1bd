//! What simulated workloads write: lines that such programs could have written, the same whenever they are read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::commit::Hash;
use domain::{KindName, Time};
use futures::StreamExt as _;
use reconcilers::logs::TAIL;
use reconcilers::{Clock, LogLine, LogLines, LogQuery, Target};
use serde_json::Value;
use uuid::Uuid;

use crate::object::Object;
use crate::provider::Inner;

/// Each container writes a line so often.
const EVERY: Duration = Duration::from_secs(1);
const EVERY_MICROS: i64 = 1_000_000;
/// The most pods of one workload that write: nobody reads more of what means nothing.
const PODS_MAX: u32 = 3;
/// The most lines of one container that are made at once.
const LINES_MAX: i64 = 10_000;
/// What a job has to do.
const JOB_STEPS: i64 = 3;

/// Lines of a workload: those until now, and where they are followed those to come, until it is gone.
pub(crate) fn lines(
    inner: Arc<Mutex<Inner>>,
    clock: Arc<dyn Clock>,
    target: &Target,
    query: &LogQuery,
) -> LogLines {
    let reader = Reader { inner, clock, uid: target.uid, query: query.clone(), until: None };
    let batches = futures::stream::unfold(Some(reader), |reader| async {
        let mut reader = reader?;
        if reader.until.is_some() {
            tokio::time::sleep(EVERY).await;
        }
        let lines = reader.read();
        let goes_on = reader.query.follow && reader.object().is_some();
        Some((lines, goes_on.then_some(reader)))
    });
    batches.flat_map(|lines| futures::stream::iter(lines.into_iter().map(Ok))).boxed()
}

struct Reader {
    inner: Arc<Mutex<Inner>>,
    clock: Arc<dyn Clock>,
    uid: Uuid,
    query: LogQuery,
    /// What was written until then was read.
    until: Option<Time>,
}

impl Reader {
    fn object(&self) -> Option<Object> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let found = inner.world.objects().find(|object| object.target.uid == self.uid);
        found.filter(|object| !object.is_gone(now)).cloned()
    }

    fn read(&mut self) -> Vec<LogLine> {
        let now = self.clock.now();
        let before = self.until.replace(now);
        let Some(object) = self.object() else {
            return vec![LogLine::note("it is not running, so it writes nothing")];
        };
        if self.query.previous {
            return vec![LogLine::note("there was no run before this one")];
        }
        let spec: Value = serde_json::from_str(&object.spec).unwrap_or_default();
        let containers = spec.get("containers").and_then(Value::as_object);
        let wanted = |name: &str| self.query.container.as_deref().is_none_or(|only| only == name);
        let names: Vec<&String> = containers.into_iter().flatten().map(|(name, _)| name).collect();
        let writing: Vec<&&String> = names.iter().filter(|name| wanted(name)).collect();
        if let (true, Some(only), None) = (writing.is_empty(), &self.query.container, before) {
            let known: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            let text = format!("it has no container `{only}`: it has {}", known.join(", "));
            return vec![LogLine::note(text)];
        }
        let pods = object.pods(now).1.min(PODS_MAX);
        let mut lines = Vec::new();
        for pod in 0..pods {
            for name in &writing {
                let container = Container { object: &object, spec: &spec, pod, name };
                lines.extend(container.lines(&self.query, before, now));
            }
        }
        lines
    }
}

struct Container<'a> {
    object: &'a Object,
    spec: &'a Value,
    pod: u32,
    name: &'a str,
}

impl Container<'_> {
    /// The lines after `before`, or the last ones.
    fn lines(&self, query: &LogQuery, before: Option<Time>, now: Time) -> Vec<LogLine> {
        let since = self.object.since;
        let is_job = self.spec.get("mode").and_then(Value::as_str) == Some("job");
        let mut end = now.micros_since(since) / EVERY_MICROS + 1;
        if is_job {
            end = end.min(JOB_STEPS + 1);
        }
        let first = match before {
            Some(before) if before >= since => before.micros_since(since) / EVERY_MICROS + 1,
            Some(_) => 0,
            None => end - i64::from(query.tail.unwrap_or(TAIL)),
        };
        let earliest = query.since_seconds.map_or(0, |seconds| {
            let age = i64::from(seconds) * EVERY_MICROS;
            (now.micros_since(since) - age).max(0) / EVERY_MICROS
        });
        let first = first.max(earliest).max(end - LINES_MAX).max(0);
        (first..end).map(|number| self.line(number, is_job)).collect()
    }

    fn line(&self, number: i64, is_job: bool) -> LogLine {
        let image = self.spec.pointer(&format!("/containers/{}/image", self.name));
        let image = image.and_then(Value::as_str).unwrap_or("its image");
        let pod = format!(
            "{}-{}-{}",
            self.object.target.id.name.as_str().rsplit('_').next().unwrap_or_default(),
            self.object.applied.to_hex().get(..5).unwrap_or_default(),
            self.pod,
        );
        let dice = Hash::of(format!("{pod} {} {number}", self.name).as_bytes());
        let dice = u32::from_str_radix(dice.to_hex().get(..6).unwrap_or_default(), 16);
        let (dice, answers) = (dice.unwrap_or(0), self.spec.get("ports").is_some());
        let text = match (number, &self.object.broken) {
            (0, _) => format!("starting {image}"),
            (_, Some((message, _))) => format!("error: {message}"),
            _ if is_job => format!("step {number} of {JOB_STEPS} done"),
            _ if answers => format!("GET / 200 {} ms", 1 + dice % 40),
            _ => format!("task {} done in {} ms", dice % 10_000, 5 + dice % 400),
        };
        LogLine {
            pod: Some(pod),
            container: Some(self.name.to_owned()),
            time: Some(self.object.since.plus_micros(number * EVERY_MICROS)),
            text,
            note: false,
        }
    }
}

/// Whether things of a kind write anything.
pub(crate) fn writes(kind: &str) -> bool {
    kind == KindName::Workload.as_str()
}
