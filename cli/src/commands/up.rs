//! `cairn up`: a whole Cairn in one process.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::args::{LISTEN, Role, Stores, Up};
use crate::config::{Config, Context};
use crate::failure::{Exit, Failure, Outcome};
use crate::serve::{self, Server, Settings, WorldAt};
use crate::terminal::Terminal;

/// Runs until SIGINT or SIGTERM.
pub(super) async fn run(args: Up, terminal: &Terminal) -> Outcome {
    let settings = settings(args.stores, Role::ALL.into(), WorldAt::Here(args.nature))?;
    log(terminal);
    let stop = stopped()?;
    let before = Config::load()?.current;
    let (server, context) = open(&settings, context_name).await?;
    let url = format!("http://{}", server.address);
    terminal.print(&format!("Cairn is up at {url}"));
    terminal.say(&format!("  data     {}", settings.data.display()));
    terminal.say(&format!("  world    simulated, {}x as fast as ours", args.nature.speed));
    if let Some(archive) = &settings.archive {
        terminal.say(&format!("  archive  {archive}"));
    }
    terminal.say(&format!(
        "  context  {context}, with a token in {}",
        crate::config::path()?.display()
    ));
    if let Some(before) = before.filter(|before| *before != context) {
        terminal.say(&format!(
            "\nCommands went to the context `{before}` until now, and go to `{context}` from now on.\n\
             Go back with: cairn context use {before}"
        ));
    }
    terminal.say("\nIn another terminal:");
    terminal.say("  cairn apply samples/shop/app.yaml -e dev");
    terminal.say("  cairn trace dev_shop");
    terminal.say("\nCtrl-C stops the server; nothing is lost.");
    server.run(stop).await?;
    terminal.say("Cairn is down");
    Ok(Exit::Done)
}

/// How a server is set up by its command line.
pub(super) fn settings(stores: Stores, roles: BTreeSet<Role>, world: WorldAt) -> Outcome<Settings> {
    let data = serve::data_folder(stores.data_dir)?;
    Ok(Settings {
        roles,
        secrets: stores.secrets.unwrap_or_else(|| data.join(serve::SECRETS)),
        data,
        charts: stores.charts,
        listen: stores.listen,
        world,
        keep_unneeded: stores.keep_unneeded,
        archive: stores.archive,
        journal: stores.journal,
        views: stores.views,
        require: stores.require_durability,
    })
}

/// Opens a server, and makes sure that the user's configuration leads to it.
///
/// `name` names its context by the address. A port that the system chooses is another each time, and so is the name.
pub(super) async fn open(
    settings: &Settings,
    name: impl Fn(SocketAddr) -> String,
) -> Outcome<(Server, String)> {
    let mut config = Config::load()?;
    let listener = serve::listen(settings.listen).await?;
    serve::make_folder(&settings.data)?;
    let known = config.contexts.get(&name(settings.listen)).map(|context| context.token.clone());
    let (tokens, fresh) = serve::token(&settings.data, known.as_deref())?;
    let server = Server::open(settings, listener, tokens.clone()).await?;
    let made = fresh.is_some();
    let token = fresh.map(|token| token.reveal().to_owned()).or(known).unwrap_or_default();
    let url = format!("http://{}", server.address);
    let context = name(server.address);
    config.contexts.insert(context.clone(), Context { server: url, token });
    config.current = Some(context.clone());
    config.save()?;
    if made {
        serve::save(&settings.data, &tokens)?;
    }
    Ok((server, context))
}

/// The context of a server on this machine: `local`, or `local-<port>`.
fn context_name(listen: SocketAddr) -> String {
    if listen.to_string() == LISTEN {
        "local".to_owned()
    } else {
        format!("local-{}", listen.port())
    }
}

/// Logs to stderr what CAIRN_LOG asks for; warnings otherwise.
pub(super) fn log(terminal: &Terminal) {
    let filter = EnvFilter::try_from_env("CAIRN_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    // A second call has no effect: the demo runs a server in its own process.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(terminal.colour_talk)
        .with_writer(std::io::stderr)
        .try_init();
}

/// Ends at the first SIGINT or SIGTERM.
pub(super) fn stopped() -> Outcome<impl Future<Output = ()> + Send + 'static> {
    let listen =
        |kind| signal(kind).map_err(|error| Failure::new(Exit::Unreachable, error.to_string()));
    let (mut interrupt, mut terminate) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
