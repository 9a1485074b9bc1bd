//! `cairn serve`: one process of many. `cairn sim serve`: the world that they share while it is simulated.

use crate::args::{Role, Serve, SimServe};
use crate::failure::{Exit, Failure, Outcome};
use crate::logs::LogAt;
use crate::serve::{self, Server, WorldAt};
use crate::terminal::Terminal;

use super::up;

/// Runs until SIGINT or SIGTERM.
pub(super) async fn run(args: Serve, terminal: &Terminal) -> Outcome {
    let roles = args.roles();
    let Serve { world, stores, .. } = args;
    if matches!(stores.journal, LogAt::Sqlite(_)) {
        let message = "the embedded log belongs to one process, and this is one of many";
        return Err(Failure::new(Exit::Invalid, message)
            .hint("name a log that all can use: --journal nats://..., or run `cairn up`"));
    }
    let shows = roles.contains(&Role::Api) || roles.contains(&Role::Projector);
    if shows && stores.views.is_none() {
        let message = "views in a data folder belong to one process, and this is one of many";
        return Err(Failure::new(Exit::Invalid, message)
            .hint("name views that all can use: --views postgres://..., or run `cairn up`"));
    }
    if roles == [Role::Archiver].into() && stores.archive.is_none() {
        return Err(Failure::new(Exit::Invalid, "there is no archive to be kept")
            .hint("name its place with --archive"));
    }
    let acts = roles.contains(&Role::Api) || roles.contains(&Role::Reconciler);
    let world = match world {
        Some(url) => WorldAt::Elsewhere(url),
        None if acts => {
            return Err(Failure::new(Exit::Invalid, "there is no world to act on")
                .hint("run `cairn sim serve`, and name it with --world http://127.0.0.1:7119"));
        }
        None => WorldAt::Nowhere,
    };
    let serves_api = roles.contains(&Role::Api);
    let settings = up::settings(stores, roles, world)?;
    up::log(terminal);
    let listener = serve::listen(settings.listen).await?;
    serve::make_folder(&settings.data)?;
    let tokens = serve::tokens(&settings.data)?;
    if serves_api && tokens.is_empty() {
        let message = format!("nobody has a token for this server in {}", settings.data.display());
        return Err(Failure::new(Exit::NotAllowed, message)
            .hint("make one with `cairn admin token NAME --data-dir FOLDER`"));
    }
    let stop = up::stopped()?;
    let server = Server::open(&settings, listener, tokens).await?;
    let roles: Vec<String> =
        settings.roles.iter().map(|role| format!("{role:?}").to_lowercase()).collect();
    terminal.print(&format!("Cairn ({}) is up at http://{}", roles.join(", "), server.address));
    server.run(stop).await?;
    terminal.say("Cairn is down");
    Ok(Exit::Done)
}

/// Serves a simulated world until SIGINT or SIGTERM.
pub(super) async fn world(args: SimServe, terminal: &Terminal) -> Outcome {
    let data = serve::data_folder(args.data_dir)?;
    serve::make_folder(&data)?;
    up::log(terminal);
    let stop = up::stopped()?;
    let listener = serve::listen_for_world(args.listen).await?;
    let world = serve::make_world(&data, args.nature)?;
    let address = listener.local_addr().unwrap_or(args.listen);
    terminal.print(&format!(
        "The simulated world is at http://{address}, {}x as fast as ours",
        args.nature.speed
    ));
    serve::serve_world(world, listener, stop).await?;
    Ok(Exit::Done)
}
