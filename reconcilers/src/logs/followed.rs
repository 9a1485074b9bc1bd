//! The lines of a deployment as they are written, also by workloads that it gets while somebody reads.

use std::collections::HashSet;

use domain::{Name, ResourceId, StreamId, Tenant};
use futures::stream::{BoxStream, SelectAll};
use futures::{FutureExt as _, StreamExt as _};
use journal::{JournalError, Recorded};
use uuid::Uuid;

use super::{LogLine, LogQuery, Logs, NamedLine, Writer, named, short};

/// Reads what is written, and the log of what happened for who writes.
pub(super) struct Followed {
    pub(super) logs: Logs,
    pub(super) tenant: Tenant,
    pub(super) deployment: Name,
    /// The only workload that is wanted, by its short name.
    pub(super) only: Option<String>,
    pub(super) query: LogQuery,
    /// What happened since who writes was looked for.
    pub(super) news: BoxStream<'static, Result<Recorded, JournalError>>,
    pub(super) lines: SelectAll<BoxStream<'static, NamedLine>>,
    /// Whose lines are read: each incarnation once.
    pub(super) known: HashSet<(ResourceId, Uuid)>,
}

impl Followed {
    /// Adds those who write.
    pub(super) fn with(mut self, writers: Vec<Writer>) -> Self {
        writers.into_iter().for_each(|writer| self.add(writer));
        self
    }

    fn add(&mut self, writer: Writer) {
        if self.known.insert((writer.id, writer.uid)) {
            self.lines.push(named(writer.short, writer.lines));
        }
    }

    /// Ends when everybody's lines have: they cannot be read any more.
    pub(super) fn lines(self) -> BoxStream<'static, NamedLine> {
        let next = |mut followed: Self| async move {
            loop {
                tokio::select! {
                    line = followed.lines.next() => return line.map(|line| (line, followed)),
                    news = followed.news.next() => followed.hear(news).await,
                }
            }
        };
        futures::stream::unfold(self, next).boxed()
    }

    /// Where the log cannot be read on, who writes by now is read on.
    async fn hear(&mut self, news: Option<Result<Recorded, JournalError>>) {
        let Some(Ok(news)) = news else {
            self.news = futures::stream::pending().boxed();
            return;
        };
        let Some(id) = self.member(&news.sealed.commit.stream) else { return };
        match self.logs.of(&self.tenant, &self.deployment, &id, &self.query).await {
            Ok(Some(writer)) => self.add(writer),
            Ok(None) => {}
            Err(error) => {
                let note = LogLine::note(format!("it cannot be read: {error}"));
                let note = futures::future::ready(Ok(note)).into_stream().boxed();
                self.lines.push(named(short(&self.deployment, &id), note));
            }
        }
    }

    /// The resource of the deployment that something happened to, where its lines are wanted. What it has is called
    /// after it.
    fn member(&self, stream: &StreamId) -> Option<ResourceId> {
        let id = stream.resource().filter(|_| *stream.tenant() == self.tenant)?;
        let rest = id.name.as_str().strip_prefix(self.deployment.as_str())?;
        let is_wanted = |only: &str| rest.strip_prefix('_') == Some(only);
        (rest.starts_with('_') && self.only.as_deref().is_none_or(is_wanted)).then_some(id)
    }
}
