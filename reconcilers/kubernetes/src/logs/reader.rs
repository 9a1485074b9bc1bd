//! Reads the log of one run of one container.

use std::time::Duration;

use domain::Time;
use futures::io::{AsyncBufRead, AsyncBufReadExt as _};
use k8s_openapi::jiff::Timestamp;
use kube::api::LogParams;
use reconcilers::LogLine;
use reconcilers::logs::{LINE_BYTES_MAX, TAIL};

use super::pods::{self, Container};
use super::{Ended, Shared, unread};

/// The pause before a log that broke off is read again.
const PAUSE: Duration = Duration::from_secs(1);

/// Reads one log.
pub(super) struct Reader {
    shared: Shared,
    container: Container,
    /// The moment of the last line: what is read again begins behind it.
    last: Option<Timestamp>,
}

impl Reader {
    pub(super) fn new(shared: &Shared, container: &Container) -> Self {
        Self { shared: shared.clone(), container: container.clone(), last: None }
    }

    /// Reads what there is. A log that cannot be read is a word in its place: others can be.
    pub(super) async fn read_all(&mut self) -> Result<(), Ended> {
        let query = &self.shared.query;
        let parameters = LogParams {
            tail_lines: Some(i64::from(query.tail.unwrap_or(TAIL))),
            since_seconds: query.since_seconds.map(i64::from),
            previous: query.previous,
            ..self.parameters()
        };
        match self.read(&parameters).await {
            Err(Ended::Failed(error)) => self.shared.note(&self.container, error.message).await,
            ended => ended,
        }
    }

    /// Reads a run to its end. Of one that was there before anybody read, only the last lines.
    pub(super) async fn follow(mut self, from_beginning: bool) -> Result<(), Ended> {
        let query = &self.shared.query;
        let mut parameters = LogParams { follow: true, ..self.parameters() };
        if !from_beginning {
            parameters.tail_lines = Some(i64::from(query.tail.unwrap_or(TAIL)));
            parameters.since_seconds = query.since_seconds.map(i64::from);
        }
        loop {
            if let Err(Ended::Unread) = self.read(&parameters).await {
                return Err(Ended::Unread);
            }
            // It ended, or the connection did: the pod says which.
            tokio::time::sleep(PAUSE).await;
            if !self.goes_on().await {
                return Ok(());
            }
            if self.last.is_some() {
                parameters.tail_lines = None;
                parameters.since_seconds = None;
                parameters.since_time = self.last;
            }
        }
    }

    fn parameters(&self) -> LogParams {
        let container = Some(self.container.name.clone());
        LogParams { container, timestamps: true, ..LogParams::default() }
    }

    /// Whether this run of the container is still running.
    async fn goes_on(&self) -> bool {
        let pod = match self.shared.pods.get_opt(&self.container.pod).await {
            Ok(Some(pod)) => pod,
            Ok(None) => return false,
            // A cluster that cannot be asked is asked again.
            Err(_) => return true,
        };
        let same = |found: &Container| {
            found.name == self.container.name
                && found.pod_uid == self.container.pod_uid
                && found.run == self.container.run
        };
        pods::containers(&pod).iter().any(|found| same(found) && found.running)
    }

    async fn read(&mut self, parameters: &LogParams) -> Result<(), Ended> {
        let log = self.shared.pods.log_stream(&self.container.pod, parameters).await;
        let mut log = Box::pin(log.map_err(|error| unread(&error))?);
        // A connection that breaks is an end: whoever follows begins again.
        while let Ok(Some(line)) = next_line(&mut log).await {
            let (time, text) = stamped(&line);
            if time.is_some_and(|time| self.last.is_some_and(|last| time <= last)) {
                continue;
            }
            self.last = time.or(self.last);
            let line = LogLine {
                pod: Some(self.container.pod.clone()),
                container: Some(self.container.name.clone()),
                time: time.map(|time| Time::from_micros(time.as_microsecond())),
                text: self.shared.blot.out(text),
                note: false,
            };
            self.shared.say(line).await?;
        }
        Ok(())
    }
}

/// The moment before a line, and the line.
pub(crate) fn stamped(line: &str) -> (Option<Timestamp>, &str) {
    let Some((stamp, text)) = line.split_once(' ') else {
        return match line.parse() {
            Ok(time) => (Some(time), ""),
            Err(_) => (None, line),
        };
    };
    stamp.parse().map_or((None, line), |time| (Some(time), text))
}

/// The next line, without its end; what is beyond the longest line is left out.
pub(crate) async fn next_line(
    log: &mut (impl AsyncBufRead + Unpin),
) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut cut = false;
    loop {
        let bytes = log.fill_buf().await?;
        if bytes.is_empty() {
            break;
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let piece = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        let room = LINE_BYTES_MAX.saturating_sub(line.len());
        line.extend_from_slice(piece.get(..room.min(piece.len())).unwrap_or_default());
        cut |= piece.len() > room;
        let read = piece.len() + usize::from(end.is_some());
        log.consume_unpin(read);
        if end.is_some() {
            return Ok(Some(told(&line, cut)));
        }
    }
    Ok((!line.is_empty()).then(|| told(&line, cut)))
}

fn told(line: &[u8], cut: bool) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches('\r');
    if cut { format!("{text} … (cut)") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use futures::io::{BufReader, Cursor};

    use super::*;

    #[test]
    fn lines_are_whole_however_they_come_and_the_longest_are_cut() {
        let long = "x".repeat(LINE_BYTES_MAX + 1_000);
        let text = format!("one\n\n{long}\r\nlast");
        for size in [1, 7, 4_096] {
            let mut log = BufReader::with_capacity(size, Cursor::new(text.as_bytes()));
            futures::executor::block_on(async {
                assert_eq!(next_line(&mut log).await.unwrap().unwrap(), "one");
                assert_eq!(next_line(&mut log).await.unwrap().unwrap(), "");
                let cut = next_line(&mut log).await.unwrap().unwrap();
                assert!(cut.ends_with("x … (cut)") && cut.len() < LINE_BYTES_MAX + 20);
                assert_eq!(next_line(&mut log).await.unwrap().unwrap(), "last");
                assert_eq!(next_line(&mut log).await.unwrap(), None);
            });
        }
    }

    #[test]
    fn a_line_has_its_moment_where_the_cluster_said_it() {
        let (time, text) = stamped("2026-11-22T10:00:00.123456789Z two words");
        assert_eq!((time.unwrap().as_millisecond(), text), (1_795_341_600_123, "two words"));
        assert_eq!(stamped("no moment"), (None, "no moment"));
    }
}
