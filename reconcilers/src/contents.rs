//! What is too large for one event: put into the log in parts, and read back whole, by its digest.

use std::io::Read as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::commit::{Actor, ActorSort, Context, Hash};
use domain::content::{self, Command, Content};
use domain::lifecycle::FailureClass;
use domain::{StreamId, Tenant, Time};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use journal::{ExecuteError, Executor};
use uuid::Uuid;

use crate::clock::{Clock as _, WallClock};
use crate::reconcile::CallError;

/// What one part is made of, in bytes. Where nothing can be compressed it still fits an event.
const PART_BYTES: usize = 144 * 1024;
/// zstd's own default: a megabyte of a schema becomes a tenth in ten milliseconds.
const LEVEL: i32 = 3;
/// What is sent must fit a request: a tenth is left of five megabytes of objects, after half a second.
const LEVEL_SENT: i32 = 9;

/// How far back what was compressed may refer to: 8 MiB, which is what everybody has to support (RFC 8878, 3.1.1.1.2).
const WINDOW_LOG_MAX: u32 = 23;

/// Whoever can read what a digest names.
pub trait Contents: Send + Sync + 'static {
    /// Reads it.
    fn read<'a>(
        &'a self,
        tenant: &'a Tenant,
        digest: Hash,
    ) -> BoxFuture<'a, Result<Vec<u8>, CallError>>;

    /// Keeps it, unless it is there. Gives the digest that names it.
    fn keep<'a>(
        &'a self,
        tenant: &'a Tenant,
        bytes: &'a [u8],
    ) -> BoxFuture<'a, Result<Hash, CallError>>;
}

/// The stream that something is kept in.
///
/// # Errors
/// Never: digits are a name.
pub fn stream(tenant: &Tenant, digest: Hash) -> Result<StreamId, domain::name::InvalidName> {
    StreamId::new(tenant.clone(), content::KIND, content::name_of(digest)?)
}

/// What keeps something, in order.
///
/// # Errors
/// When it cannot be compressed.
pub fn commands(bytes: &[u8], at: Time) -> std::io::Result<Vec<Command>> {
    let parts = bytes.chunks(PART_BYTES);
    let of = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    (0..)
        .zip(parts)
        .map(|(part, bytes)| {
            let data = BASE64_STANDARD.encode(zstd::bulk::compress(bytes, LEVEL)?);
            Ok(Command::Store { part, of, data, at })
        })
        .collect()
}

/// Keeps something in the log, unless it is there.
///
/// # Errors
/// As those of whoever writes.
pub async fn keep(
    executor: &Executor,
    tenant: &Tenant,
    bytes: &[u8],
    context: impl Fn() -> Context,
) -> Result<(), ExecuteError<content::Refused>> {
    let digest = Hash::of(bytes);
    let (Ok(stream), Ok(commands)) = (stream(tenant, digest), commands(bytes, context().time))
    else {
        return Ok(());
    };
    for command in commands {
        executor.execute::<Content>(&stream, command, context()).await?;
    }
    Ok(())
}

impl Contents for Executor {
    fn read<'a>(
        &'a self,
        tenant: &'a Tenant,
        digest: Hash,
    ) -> BoxFuture<'a, Result<Vec<u8>, CallError>> {
        async move {
            let retry = |message: String| CallError { class: FailureClass::Retry, message };
            let lost = || CallError {
                class: FailureClass::Terminal,
                message: format!(
                    "the log does not have what {digest} names; apply the application's files again"
                ),
            };
            let stream = stream(tenant, digest).map_err(|error| retry(error.to_string()))?;
            let loaded = self.journal().load(&stream, 0).await;
            let loaded =
                loaded.map_err(|error| retry(format!("the log cannot be read: {error}")))?;
            let mut bytes = Vec::new();
            for recorded in &loaded.commits {
                for event in &recorded.sealed.commit.events {
                    let event = domain::schema::upcast(content::KIND, event.clone());
                    let Ok(content::Event::Stored { data, .. }) = event.decode() else {
                        return Err(lost());
                    };
                    bytes.extend(part(&data).ok_or_else(lost)?);
                }
            }
            if Hash::of(&bytes) == digest { Ok(bytes) } else { Err(lost()) }
        }
        .boxed()
    }

    fn keep<'a>(
        &'a self,
        tenant: &'a Tenant,
        bytes: &'a [u8],
    ) -> BoxFuture<'a, Result<Hash, CallError>> {
        async move {
            keep(self, tenant, bytes, found_out).await.map_err(|error| CallError {
                class: FailureClass::Retry,
                message: format!("the log does not take it: {error}"),
            })?;
            Ok(Hash::of(bytes))
        }
        .boxed()
    }
}

/// Nobody asked for it: it was found out on the way to what somebody did ask for, which names it.
fn found_out() -> Context {
    let commit_id = Uuid::now_v7();
    Context {
        commit_id,
        time: WallClock.now(),
        actor: Actor::new(ActorSort::Reconciler, content::KIND),
        causation_id: None,
        correlation_id: commit_id,
        traceparent: None,
    }
}

/// What a part holds. One that says that it holds more than a part can is none.
fn part(data: &str) -> Option<Vec<u8>> {
    let packed = BASE64_STANDARD.decode(data).ok()?;
    unpacked(&packed, PART_BYTES).ok()?
}

/// Compresses something that is sent whole.
///
/// # Errors
/// When there is no memory for it.
pub fn packed(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    zstd::bulk::compress(bytes, LEVEL_SENT)
}

/// What was compressed by Zstandard; none when it holds more than that many bytes.
///
/// # Errors
/// When it is no such thing.
pub fn unpacked(packed: &[u8], bytes_max: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    let mut reader = zstd::stream::read::Decoder::new(packed)?;
    reader.window_log_max(WINDOW_LOG_MAX)?;
    reader.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= bytes_max).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use journal::memory::MemoryJournal;

    use super::*;

    fn context() -> Context {
        let commit_id = Uuid::now_v7();
        Context {
            commit_id,
            time: Time::from_micros(1),
            actor: Actor::new(ActorSort::User, "ada"),
            causation_id: None,
            correlation_id: commit_id,
            traceparent: None,
        }
    }

    /// Bytes that cannot be compressed.
    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut last = Hash::of(b"noise");
        while bytes.len() < length {
            bytes.extend_from_slice(last.as_bytes());
            last = Hash::of(last.as_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    #[test]
    fn what_is_packed_to_do_harm_is_refused_before_it_is_unpacked() {
        let bomb = packed(&vec![0; 50_000_000]).unwrap();
        assert!(bomb.len() < 10_000);
        assert_eq!(unpacked(&bomb, 1_000_000).unwrap(), None);
        assert_eq!(unpacked(&bomb, 50_000_000).unwrap().map(|bytes| bytes.len()), Some(50_000_000));
        // It asks for 128 MiB to look back into, for twenty bytes.
        let mut wide = zstd::stream::write::Encoder::new(Vec::new(), LEVEL).unwrap();
        wide.window_log(27).unwrap();
        wide.write_all(b"twenty bytes, and so").unwrap();
        assert!(unpacked(&wide.finish().unwrap(), 1_000_000).is_err());
        let whole = packed(b"whole").unwrap();
        let cut = &whole[..whole.len() - 1];
        let twice = [whole.clone(), packed(&[0; 1_000]).unwrap()].concat();
        for broken in [b"" as &[u8], b"no such thing", cut] {
            let read = unpacked(broken, 1_000);
            assert!(read.as_ref().is_err() || broken.is_empty(), "{broken:?}: {read:?}");
        }
        assert_eq!(unpacked(&twice, 1_000).unwrap(), None, "what follows is counted as well");
    }

    #[tokio::test]
    async fn what_was_kept_is_read_back_whole_and_kept_once() {
        let executor = Executor::new(Arc::new(MemoryJournal::new()));
        let tenant: Tenant = "acme".parse().unwrap();
        for bytes in [b"{}".to_vec(), noise(1_500_000), vec![b'x'; 1_500_000]] {
            keep(&executor, &tenant, &bytes, context).await.unwrap();
            let head = executor.journal().head().await.unwrap();
            keep(&executor, &tenant, &bytes, context).await.unwrap();
            assert_eq!(executor.journal().head().await.unwrap(), head, "it was kept twice");
            assert_eq!(executor.read(&tenant, Hash::of(&bytes)).await.unwrap(), bytes);
        }
    }

    #[tokio::test]
    async fn what_is_not_there_is_said_to_be_missing() {
        let executor = Executor::new(Arc::new(MemoryJournal::new()));
        let error = executor.read(&"acme".parse().unwrap(), Hash::of(b"x")).await.unwrap_err();
        assert_eq!(error.class, FailureClass::Terminal);
    }
}
