//! The commands: each a function from arguments to an exit code.

mod admin;
mod apply;
mod audit;
mod change;
mod context;
mod demo;
mod events;
mod get;
mod logs;
mod look;
mod rules;
mod serve;
mod trace;
mod up;
mod validate;
mod version;

pub(crate) use admin::signer;

use crate::args::{Cli, Command, Sim};
use crate::client::Client;
use crate::config::{Config, Context};
use crate::failure::{EXIT_CODES, Exit, Failure, Outcome};
use crate::terminal::Terminal;

/// What a command speaks through: a server and a terminal.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) terminal: Terminal,
}

impl Session {
    /// Speaks to the server of a context.
    fn to(context: Context, terminal: &Terminal) -> Outcome<Self> {
        Ok(Self { client: Client::to(context, terminal)?, terminal: terminal.clone() })
    }
}

/// Runs a command.
pub(crate) async fn run(cli: Cli, terminal: &Terminal) -> Outcome {
    // A variable that is set to nothing is as one that is not set.
    let (server, context) = (cli.server.as_deref(), cli.context.as_deref());
    let (server, context) =
        (server.filter(|it| !it.is_empty()), context.filter(|it| !it.is_empty()));
    let session = || Session::to(Config::load()?.resolve(server, context)?, terminal);
    if let Command::Demo(args) = cli.command {
        demo::run(args, terminal).await
    } else {
        dispatch(cli.command, terminal, context, session).await
    }
}

/// Runs a command that is not made of others.
async fn dispatch(
    command: Command,
    terminal: &Terminal,
    named: Option<&str>,
    session: impl Fn() -> Outcome<Session>,
) -> Outcome {
    match command {
        Command::Demo(_) => Err(Failure::new(Exit::Invalid, "a demo cannot show itself")),
        Command::Up(args) => up::run(args, terminal).await,
        Command::Serve(args) => serve::run(args, terminal).await,
        Command::Sim(Sim::Serve(args)) => serve::world(args, terminal).await,
        Command::Validate(args) => validate::run(args, terminal),
        Command::Context(args) => context::run(&args, named, terminal),
        Command::Admin(args) => admin::run(args, terminal).await,
        Command::Audit(args) => audit::run(args, terminal).await,
        Command::Version(args) => version::run(&args, session().ok(), terminal).await,
        Command::ExitCodes => {
            terminal.print(EXIT_CODES);
            Ok(Exit::Done)
        }
        Command::Plan(args) => apply::plan(&args, terminal, session).await,
        Command::Apply(args) => apply::apply(&args, terminal, session).await,
        Command::Get(args) => get::run(&args, &session()?).await,
        Command::Trace(args) => trace::run(&args, &session()?).await,
        Command::Logs(args) => logs::run(&args, &session()?).await,
        Command::Wait(args) => trace::wait(&args, &session()?).await,
        Command::Events(args) => events::run(&args, &session()?).await,
        Command::Why(args) => look::why(&args, &session()?).await,
        Command::History(args) => look::history(&args, &session()?).await,
        Command::Rollback(args) => change::rollback(&args, &session()?).await,
        Command::Delete(args) => change::delete(&args, &session()?).await,
        Command::Approve(args) => change::approve(&args, &session()?).await,
        Command::Class(args) => rules::class(&args, terminal, session).await,
        Command::Env(args) => rules::environment(&args, terminal, session).await,
        Command::Pause(args) => change::PAUSE.run(&args, &session()?).await,
        Command::Resume(args) => change::RESUME.run(&args, &session()?).await,
        Command::Promote(args) => change::promote(&args, &session()?).await,
        Command::AcceptDrift(args) => change::ACCEPT_DRIFT.run(&args, &session()?).await,
        Command::Protect(args) => change::protect(&args, true, &session()?).await,
        Command::Unprotect(args) => change::protect(&args, false, &session()?).await,
        Command::Sim(args) => change::simulate(&args, &session()?).await,
    }
}

/// A fresh idempotency key.
pub(crate) fn key() -> String {
    uuid::Uuid::new_v4().to_string()
}
