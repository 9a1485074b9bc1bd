//! `cairn admin mirror`: the log once more, on EventStoreDB.

use std::sync::Arc;

use archive::ArchiveError;
use archive::copy::{self, Copied};
use archive::mirror::{self, Told};
use journal::eventstore::{OpenError, Options};
use journal::{Journal, Position};

use super::explain;
use crate::args::Mirror;
use crate::failure::{Exit, Failure, Outcome};
use crate::logs::LogAt;
use crate::serve;
use crate::terminal::Terminal;

pub(super) async fn mirror(args: Mirror, terminal: &Terminal) -> Outcome {
    if args.follow && matches!(args.from, LogAt::Sqlite(_)) {
        let message = "a log in a folder belongs to its server: nobody else can follow it";
        return Err(Failure::new(Exit::Invalid, message).hint(
            "leave --follow away while the server is stopped, or follow a log on NATS: --from nats://HOST:4222",
        ));
    }
    // The copy first: without the client there is nothing to do.
    let to =
        journal::eventstore::open(&args.to).await.map_err(|error| unusable(&args.to, &error))?;
    let from = args.from.open(args.data.data_dir).await?;
    let copied = pass(&from, &*to, &args.to).await?;
    tell(&copied, &args.to, terminal);
    if !args.follow {
        return Ok(Exit::Done);
    }
    terminal.say("following; Ctrl-C ends it, and the next run goes on where it was");
    let mut reached = copied.last;
    let keeping =
        mirror::keep(&*from, &*to, copied.last, |told| hear(told, &mut reached, terminal));
    tokio::select! {
        error = keeping => return Err(differs(&error, &args.to)),
        _ = tokio::signal::ctrl_c() => {}
    }
    terminal.print(&format!("the copy holds the log up to position {reached}"));
    Ok(Exit::Interrupted)
}

/// Compares what is there, and adds what lacks.
async fn pass(from: &Arc<dyn Journal>, to: &dyn Journal, at: &Options) -> Outcome<Copied> {
    let source = copy::from_log(Arc::clone(from)).await.map_err(|error| explain(&error))?;
    copy::copy(source, to).await.map_err(|error| differs(&error, at))
}

fn tell(copied: &Copied, to: &Options, terminal: &Terminal) {
    terminal.print(&format!(
        "{} commits are added to {}, up to position {}; {} were there already, byte for byte",
        copied.added,
        to.place(),
        copied.last,
        copied.present
    ));
}

fn hear(told: Told<'_>, reached: &mut Position, terminal: &Terminal) {
    match told {
        Told::Added(position) => *reached = position,
        Told::Waits(error) => {
            let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
            terminal.say(&format!("waiting: {error}{}", cause.unwrap_or_default()));
        }
    }
}

/// What keeps the copy from being one.
fn differs(error: &ArchiveError, to: &Options) -> Failure {
    let ArchiveError::Occupied { position } = error else { return explain(error) };
    let what = format!("{} is no copy of this log: they differ at position {position}", to.place());
    Failure::new(Exit::Refused, what)
        .detail("it was made from another log, somebody else appends there, or one of the two was changed")
        .hint("name a new copy with ?log=NAME; if this one was good before, check the log with `cairn admin verify`")
}

fn unusable(to: &Options, error: &OpenError) -> Failure {
    let what = format!("{} cannot be used", to.place());
    let hint = match error {
        OpenError::NotBuilt => {
            return Failure::new(Exit::Invalid, error.to_string()).hint(
                "build it with its client: cargo build --release -p cairn-cli --features eventstore",
            );
        }
        OpenError::Address { .. } => {
            "write esdb://HOST:2113?tls=false, or with the server's certificate: ?tlsCaFile=FILE"
        }
        OpenError::Denied { .. } => {
            "use a user of $admins, or give one the rights that docs/eventstore.md names"
        }
        OpenError::Journal(_) => {
            "check that the server runs, and tls=false where it has no certificate"
        }
    };
    serve::caused(Failure::new(Exit::Unreachable, what), error).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_the_client_says_how_to_get_it() {
        let failure = unusable(&Options::new("esdb://localhost"), &OpenError::NotBuilt);
        let said = format!("{failure:?}");
        assert!(said.contains("built without EventStoreDB"), "{said}");
        assert!(said.contains("--features eventstore"), "{said}");
    }
}
