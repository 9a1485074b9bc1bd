//! Commands a second on JetStream, 64 in flight, against raw publishes of the same bytes under the same condition.
//!
//! The raw side publishes what Cairn stored: 64 clients, each commit on the condition that its subject ends at the one
//! before. Both sides run on one server, each round in an account of its own.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use async_nats::ConnectOptions;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, DiscardPolicy};
use async_nats::jetstream::{self, Context, ErrorCode};
use journal::Durability;
use journal::jetstream::{JetStreamJournal, Options};
use servers::nats::{self, Cluster, Nats};
use tokio::task::JoinSet;

use crate::commands::{Row, WINDOW, through};
use crate::mutations;
use crate::report::Report;

/// Lives of one round, of four commands each.
const LIVES: u64 = 10_000;
/// Lives where every write is synced.
const LIVES_SYNCED: u64 = 2_500;
/// Rounds: ours, raw, raw, ours; and the server's.
const ACCOUNTS: usize = 5;
/// The account of the server that is asked over HTTP.
const SERVED: usize = 4;
/// Mutations asked of it.
const MUTATIONS: u64 = 8_000;
/// Mutations where every write is synced.
const MUTATIONS_SYNCED: u64 = 4_000;
/// The least part of the raw rate that mutations have, each of several commits.
const GOAL_MUTATIONS: f64 = 0.20;
/// The least part of the raw rate.
const GOAL: f64 = 0.60;

/// One commit of the raw side: its message id and bytes.
type Message = (String, Box<[u8]>);

/// Measures one server and three, each as it is by default and with every write synced.
pub(crate) async fn measure(report: &mut Report, scale: u64) -> anyhow::Result<()> {
    for sync_always in [false, true] {
        let lives = if sync_always { LIVES_SYNCED } else { LIVES } / scale;
        let server = Nats::start(&accounts(sync_always));
        let alone = Where { url: server.url(), monitors: vec![server.monitor_url()], replicas: 1 };
        let asked = if sync_always { MUTATIONS_SYNCED } else { MUTATIONS } / scale;
        alone.measure(report, lives, asked).await?;
        drop(server);
        let cluster = Cluster::start(3, &accounts(sync_always));
        let monitors = cluster.servers().iter().map(Nats::monitor_url).collect();
        let three = Where { url: cluster.url(), monitors, replicas: 3 };
        three.measure(report, lives / 2, asked / 2).await?;
    }
    Ok(())
}

/// The servers of a measurement.
struct Where {
    url: String,
    monitors: Vec<String>,
    replicas: usize,
}

fn accounts(sync_always: bool) -> nats::Options {
    let mut config = String::from("accounts {\n");
    for number in 0..ACCOUNTS {
        let user = format!("{{user: u{number}, password: p}}");
        let _ = writeln!(config, "  a{number} {{ jetstream: enabled, users: [{user}] }}");
    }
    config += "}\n";
    nats::Options { sync_always, config, ..nats::Options::default() }
}

impl Where {
    async fn measure(&self, report: &mut Report, lives: u64, asked: u64) -> anyhow::Result<()> {
        let (first, class, rows) = self.ours(0, lives).await?;
        let raw_first = self.raw(1, &rows).await?;
        let raw_second = self.raw(2, &rows).await?;
        let (second, _, _) = self.ours(3, lives).await?;
        let commands = f64::midpoint(first, second);
        let raw = f64::midpoint(raw_first, raw_second);
        let log = format!("JetStream R{}, class {class}", self.replicas);
        report.ratio(&format!("commands, window 64, {log}"), "/s", commands, raw, GOAL);
        let mut journal = format!("{}?replicas={}", self.login(SERVED), self.replicas);
        for monitor in &self.monitors {
            let _ = write!(journal, "&monitor={monitor}");
        }
        let mutations = mutations::rates(&journal, asked).await?;
        let name = format!("GraphQL mutations, 64 connections, {log}");
        report.ratio(&name, "/s", mutations.applied, raw, GOAL_MUTATIONS);
        let name = format!("the same, environments with a cluster each, {log}");
        report.note(
            &name,
            format!("{:.0}/s, {:.2} of raw", mutations.defined, mutations.defined / raw),
        );
        Ok(())
    }

    /// The addresses, for who belongs to an account.
    fn login(&self, account: usize) -> String {
        self.url.replace("nats://", &format!("nats://u{account}:p@"))
    }

    async fn ours(
        &self,
        account: usize,
        lives: u64,
    ) -> anyhow::Result<(f64, Durability, Vec<Row>)> {
        let servers = self.login(account).split(',').map(str::to_owned).collect();
        let monitors = self.monitors.clone();
        let options = Options { monitors, replicas: self.replicas, ..Options::new(servers) };
        let journal = JetStreamJournal::open(&options).await?;
        let class = journal.promise().durability;
        let (rate, rows) = through(Arc::new(journal), lives).await?;
        Ok((rate, class, rows))
    }

    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    async fn raw(&self, account: usize, rows: &[Row]) -> anyhow::Result<f64> {
        let addresses: Result<Vec<async_nats::ServerAddr>, _> =
            self.url.split(',').map(str::parse).collect();
        let options = ConnectOptions::new().user_and_password(format!("u{account}"), "p".into());
        let context = jetstream::new(options.connect(addresses?).await?);
        let stream = Config {
            name: "raw".into(),
            subjects: vec!["ev.>".into()],
            num_replicas: self.replicas,
            discard: DiscardPolicy::New,
            allow_direct: true,
            deny_delete: true,
            deny_purge: true,
            ..Config::default()
        };
        context.create_stream(stream).await?;
        let mut streams: BTreeMap<&str, Vec<Message>> = BTreeMap::new();
        for (subject, _, id, bytes) in rows {
            let id = uuid::Uuid::from_bytes(*id).to_string();
            streams.entry(subject).or_default().push((id, bytes.clone()));
        }
        let owned = streams.into_iter().map(|(subject, messages)| (subject.to_owned(), messages));
        let streams: Arc<[(String, Vec<Message>)]> = owned.collect();
        let next = Arc::new(AtomicUsize::new(0));
        let start = Instant::now();
        let mut clients = JoinSet::new();
        for _ in 0..WINDOW {
            let (context, streams, next) =
                (context.clone(), Arc::clone(&streams), Arc::clone(&next));
            clients.spawn(async move {
                while let Some((subject, messages)) =
                    streams.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    publish(&context, subject, messages).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = clients.join_next().await {
            ended??;
        }
        Ok(rows.len() as f64 / start.elapsed().as_secs_f64())
    }
}

/// One stream's commits, each on the condition that the one before is its last.
async fn publish(context: &Context, subject: &str, messages: &[Message]) -> anyhow::Result<()> {
    let mut last = 0;
    for (id, bytes) in messages {
        let message = PublishMessage::build()
            .payload(bytes.to_vec().into())
            .message_id(id)
            .expected_last_subject_sequence(last);
        last = loop {
            let sent = context.send_publish(subject.to_owned(), message.clone()).await?;
            match sent.await {
                Ok(ack) => break ack.sequence,
                Err(error) if is_passing(&error) => tokio::task::yield_now().await,
                Err(error) => return Err(error.into()),
            }
        };
    }
    Ok(())
}

/// Of three servers, one may not know yet that the stream was made; and all may still be at the commit before, though it
/// is acknowledged.
fn is_passing(error: &PublishError) -> bool {
    let cause = error.source().and_then(|source| source.downcast_ref::<jetstream::Error>());
    let code = cause.map(jetstream::Error::error_code);
    error.kind() == PublishErrorKind::StreamNotFound
        || code == Some(ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT)
}
