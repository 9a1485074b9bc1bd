//! The last words of containers that crashed: read once for each way to end, for a crash that repeats itself says
//! nothing new.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use reconcilers::{CallError, Target};

use super::{Cluster, retry, told};
use crate::blot::Blot;
use crate::health::Crash;
use crate::logs::next_line;
use crate::objects::Key;

/// The most containers whose last words are kept; those of pods that are gone make room.
const KEPT_MAX: usize = 256;
/// So many of the last lines.
const LINES: i64 = 5;
/// The most characters of a line, and of all of them.
const LINE_MAX: usize = 200;
const TEXT_MAX: usize = 600;
/// How long reading them may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Last words, by the pod's uid and the container's name.
#[derive(Default)]
pub(super) struct Words(HashMap<(String, String), Kept>);

struct Kept {
    cause: String,
    run: i64,
    /// None while they are being read; empty when there were none.
    text: Option<String>,
}

/// What is known of a crash.
pub(crate) enum LastWords {
    /// They are to be read.
    Unread,
    /// They are being read, or there were none.
    None,
    /// These.
    Known(String),
}

impl Words {
    fn of(&self, pod: &str, crash: &Crash) -> LastWords {
        let Some(kept) = self.0.get(&(pod.to_owned(), crash.container.clone())) else {
            return LastWords::Unread;
        };
        match &kept.text {
            // Another end has other words; and what wrote nothing may write something the next time.
            Some(_) if kept.cause != crash.cause => LastWords::Unread,
            Some(text) if text.is_empty() && kept.run != crash.run => LastWords::Unread,
            Some(text) if !text.is_empty() => LastWords::Known(text.clone()),
            Some(_) | None => LastWords::None,
        }
    }

    fn keep(&mut self, pod: &str, crash: &Crash, text: Option<String>) {
        let kept = Kept { cause: crash.cause.clone(), run: crash.run, text };
        self.0.insert((pod.to_owned(), crash.container.clone()), kept);
    }
}

impl Cluster {
    /// What a container that crashed wrote last, as far as that is known. Whoever is told that they are unread reads
    /// them; nobody else is told so until they are.
    pub(crate) fn last_words(&self, pod: &str, crash: &Crash) -> LastWords {
        let mut state = self.shared.state();
        let known = state.words.of(pod, crash);
        if matches!(known, LastWords::Unread) {
            if state.words.0.len() >= KEPT_MAX {
                let super::shared::State { words, cache, .. } = &mut *state;
                words.0.retain(|(pod, _), _| cache.knows(pod));
            }
            if state.words.0.len() >= KEPT_MAX {
                return LastWords::None;
            }
            state.words.keep(pod, crash, None);
        }
        known
    }

    /// Reads the last words of a container, and has its owner look again when there are any.
    pub(crate) async fn hear(&self, key: &Key, pod: &str, crash: &Crash, blot: &Blot, of: &Target) {
        let heard = tokio::time::timeout(ANSWER, self.read_end(key, crash)).await;
        let lines = heard.unwrap_or_else(|_| Err(retry("its log was not read in time")));
        let text = lines.map(|lines| told_of(&lines, blot)).unwrap_or_default();
        let says = !text.is_empty();
        self.shared.state().words.keep(pod, crash, Some(text));
        if says {
            self.shared.tell(of);
        }
    }

    async fn read_end(&self, key: &Key, crash: &Crash) -> Result<Vec<String>, CallError> {
        let requests = self.requests()?;
        let namespace = key.namespace.as_deref().unwrap_or_default();
        let pods: Api<Pod> = Api::namespaced(requests.client, namespace);
        let parameters = LogParams {
            container: Some(crash.container.clone()),
            tail_lines: Some(LINES),
            previous: crash.previous,
            ..LogParams::default()
        };
        let _turn = self.turns.acquire().await;
        let log = pods.log_stream(&key.name, &parameters).await;
        let mut log = Box::pin(log.map_err(|error| retry(&told(&error)))?);
        let mut lines = Vec::new();
        while let Ok(Some(line)) = next_line(&mut log).await {
            lines.push(line);
        }
        Ok(lines)
    }
}

/// Lines as a part of a sentence: without secrets, colours and empty ones, and not too long.
fn told_of(lines: &[String], blot: &Blot) -> String {
    let plain = |line: &String| {
        let line: String = blot.out(line).chars().filter(|c| !c.is_control()).collect();
        line.trim().chars().take(LINE_MAX).collect::<String>()
    };
    let lines: Vec<String> = lines.iter().map(plain).filter(|line| !line.is_empty()).collect();
    let text = lines.join(" · ");
    let surplus = text.chars().count().saturating_sub(TEXT_MAX);
    // The end says more than the beginning.
    if surplus == 0 {
        text
    } else {
        format!("…{}", text.chars().skip(surplus).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_one_short_line_without_secrets() {
        let blot = Blot::values(vec!["hunter22".into()]);
        let lines = ["", "\u{1b}[31mpanic: no password hunter22\u{1b}[0m", "  exit status 2 "];
        let text = told_of(&lines.map(str::to_owned), &blot);
        assert_eq!(text, "[31mpanic: no password [secret][0m · exit status 2");
        let long = vec!["x".repeat(1_000); 9];
        let text = told_of(&long, &blot);
        assert!(text.chars().count() <= TEXT_MAX + 1 && text.starts_with('…'), "{text}");
    }

    #[test]
    fn they_are_read_once_for_each_way_to_end() {
        let crash = |cause: &str, run| Crash {
            container: "main".into(),
            cause: cause.into(),
            run,
            previous: true,
        };
        let mut words = Words::default();
        assert!(matches!(words.of("u", &crash("Error 1", 1)), LastWords::Unread));
        words.keep("u", &crash("Error 1", 1), None);
        assert!(matches!(words.of("u", &crash("Error 1", 2)), LastWords::None));
        words.keep("u", &crash("Error 1", 1), Some("panic".into()));
        assert!(matches!(words.of("u", &crash("Error 1", 9)), LastWords::Known(_)));
        assert!(matches!(words.of("u", &crash("OOMKilled 137", 9)), LastWords::Unread));
        words.keep("u", &crash("Error 1", 1), Some(String::new()));
        assert!(matches!(words.of("u", &crash("Error 1", 1)), LastWords::None));
        assert!(matches!(words.of("u", &crash("Error 1", 2)), LastWords::Unread));
    }
}
