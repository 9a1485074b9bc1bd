//! `cairn admin verify`.

use std::path::Path;
use std::time::Instant;

use archive::{Anchor, PublicKey, Subject, Verified};

use super::explain;
use crate::archives::ArchiveAt;
use crate::args::Verify;
use crate::failure::{Exit, Failure, Outcome};
use crate::logs;
use crate::terminal::Terminal;

pub(super) async fn verify(args: Verify, terminal: &Terminal) -> Outcome {
    let started = Instant::now();
    let mut subject = Subject::default();
    if args.archive_only {
        subject.key = key(args.key.as_deref(), None)?;
    } else {
        let (data, journal) = super::open(&args.log).await?;
        subject.journal = Some(journal);
        subject.key = key(args.key.as_deref(), Some(&logs::key_files(&data).1))?;
    }
    subject.kept = args.kept.as_deref().map(kept).transpose()?;
    subject.archive = args.archive.as_ref().map(ArchiveAt::open).transpose()?;
    let (signed, archived) = (subject.key.clone(), subject.archive.is_some());
    let verified = archive::verify(subject).await.map_err(|error| explain(&error))?;
    let what = if args.archive_only { "archive" } else { "log" };
    terminal.print(&format!(
        "the {what} is whole: {} commits with {} events of {} streams, up to position {}",
        verified.commits, verified.events, verified.streams, verified.head
    ));
    if archived {
        tell_archive(&verified, signed.as_ref(), args.archive_only, terminal);
    }
    let seconds = started.elapsed().as_secs_f64();
    let rate = (u32::try_from(verified.events).map_or(f64::MAX, f64::from) / seconds).round();
    terminal.say(&format!("{seconds:.1}s, {rate:.0} events/s"));
    Ok(Exit::Done)
}

fn tell_archive(verified: &Verified, key: Option<&PublicKey>, alone: bool, terminal: &Terminal) {
    let count =
        |number: u64, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let same = if alone { "it holds" } else { "the archive holds the same, byte for byte:" };
    terminal.print(&format!(
        "{same} {} up to position {}",
        count(verified.segments, "segment"),
        verified.archived
    ));
    let by = match key {
        Some(key) => format!("signed by the key {}", key.id()),
        None => "their signatures not checked: name the public key with --key".to_owned(),
    };
    terminal.print(&format!(
        "{} up to position {}, {by}",
        count(verified.anchors, "anchor"),
        verified.anchored
    ));
}

/// The public key that was named, or the one of the data folder if there is one.
fn key(named: Option<&Path>, own: Option<&Path>) -> Outcome<Option<PublicKey>> {
    let path = named.or_else(|| own.filter(|own| own.exists()));
    path.map(PublicKey::load).transpose().map_err(|error| explain(&error.into()))
}

fn kept(path: &Path) -> Outcome<Anchor> {
    let unusable = |reason: String| {
        Failure::new(Exit::Invalid, format!("{} is no anchor", path.display())).detail(reason)
    };
    let bytes = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    Anchor::read(&bytes).map_err(|finding| unusable(finding.to_string()))
}
