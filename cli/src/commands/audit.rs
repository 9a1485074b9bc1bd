//! `cairn audit`: proofs for people who do not trust us.

use std::io::Write as _;
use std::path::Path;

use archive::PublicKey;
use archive::bundle::{self, Proven, Request};
use journal::Position;

use super::admin::{explain, signer};
use crate::args::{Audit, Export, Key, Prove};
use crate::failure::{Exit, Failure, Outcome};
use crate::logs;
use crate::terminal::Terminal;

/// Makes proofs, and checks them.
pub(super) async fn run(args: Audit, terminal: &Terminal) -> Outcome {
    match args {
        Audit::Export(args) => export(args, terminal).await,
        Audit::Verify(args) => verify(&args, terminal),
        Audit::Key(args) => key(args, terminal),
    }
}

async fn export(args: Export, terminal: &Terminal) -> Outcome {
    if let Some(to) = args.to.filter(|to| *to < args.from) {
        let what = format!("--from {} is after --to {to}", args.from);
        return Err(
            Failure::new(Exit::Invalid, what).hint("write the first position, then the last")
        );
    }
    let request = Request {
        from: Position::new(args.from),
        to: args.to.map(Position::new),
        stream: args.stream,
    };
    let target = args.archive.open()?;
    let bundle = bundle::export(target, &request).await.map_err(|error| explain(&error))?;
    let written = if args.output == Path::new("-") {
        std::io::stdout().write_all(&bundle)
    } else {
        std::fs::write(&args.output, &bundle)
    };
    written.map_err(|error| {
        Failure::new(
            Exit::Invalid,
            format!("cannot write the bundle to {}: {error}", args.output.display()),
        )
    })?;
    terminal.say(&format!(
        "check it anywhere: cairn audit verify {} --key anchor.pub",
        args.output.display()
    ));
    Ok(Exit::Done)
}

fn verify(args: &Prove, terminal: &Terminal) -> Outcome {
    let key = PublicKey::load(&args.key).map_err(|error| explain(&error.into()))?;
    let bytes = std::fs::read(&args.bundle).map_err(|error| {
        Failure::new(Exit::Invalid, format!("cannot read {}: {error}", args.bundle.display()))
    })?;
    let proven = bundle::check(&bytes, &key).map_err(|error| explain(&error))?;
    terminal.print(&said(&proven));
    Ok(Exit::Done)
}

/// What a bundle proves, in words.
fn said(proven: &Proven) -> String {
    let Proven { from, to, commits, events, streams, anchor, size, time, key, .. } = proven;
    let mut lines = match &proven.stream {
        None => vec![format!(
            "proven: these are all {commits} commits from position {from} to {to}, with {events} \
             events of {streams} streams"
        )],
        Some(stream) => vec![
            format!("proven: these {commits} commits with {events} events are of {stream}"),
            format!(
                "  they are between positions {from} and {to}, and none among them is left out"
            ),
        ],
    };
    lines.push("  each is byte for byte what was sealed, in its place in the log".into());
    lines.push(format!(
        "  the key {key} signed that log, {size} commits long, in anchor {anchor}, at {time} by its clock"
    ));
    if let Some((number, size)) = proven.earlier {
        lines.push(format!("  the first {size} commits are those of anchor {number}, unchanged"));
    }
    let around = match proven.stream {
        None => "",
        Some(_) => ", whether the stream has commits before the first or after the last of these",
    };
    lines.push(format!(
        "not proven: what came after the anchor{around}, and that what was recorded is true"
    ));
    lines.join("\n")
}

fn key(args: Key, terminal: &Terminal) -> Outcome {
    let data = logs::existing(args.data.data_dir)?;
    let key = signer(&data)?.public();
    terminal.print(key.to_pem().trim_end());
    terminal.say(&format!("the key {}", key.id()));
    Ok(Exit::Done)
}
