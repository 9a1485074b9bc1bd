//! `cairn demo`: the commands themselves, one after the other, on a server of its own.

use std::path::{Path, PathBuf};

use clap::Parser as _;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{Session, dispatch, up};
use crate::args::{Cli, Demo, Nature, Role};
use crate::config::{Config, Context};
use crate::failure::{Exit, Failure, Outcome};
use crate::logs::LogAt;
use crate::serve::{Settings, WorldAt};
use crate::terminal::Terminal;

/// The sample that is deployed, so that the demo runs anywhere.
const SHOP: &str = include_str!("../../../samples/shop/app.yaml");
/// Where it is found in the demo's folder, as in the repository.
const SHOP_PATH: &str = "samples/shop/app.yaml";
/// The environment of a demo on a real cluster.
const DEV: &str = include_str!("../../../docs/kubernetes/dev.yaml");
const DEV_PATH: &str = "docs/kubernetes/dev.yaml";
/// Where that environment says that the kubeconfig is kept.
const KUBECONFIG: &str = "secrets/clusters/dev-a";
/// The context that leads to the demo's server.
const CONTEXT: &str = "demo";

/// Shows all of it in a minute.
pub(super) async fn run(args: Demo, terminal: &Terminal) -> Outcome {
    up::log(terminal);
    let folder = Folder::make()?;
    let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = Settings {
        roles: Role::ALL.into(),
        data: folder.0.join("data"),
        listen,
        secrets: folder.0.join("secrets"),
        charts: crate::args::Charts::default(),
        world: WorldAt::Here(Nature { speed: args.speed, seed: 1 }),
        keep_unneeded: crate::args::KEEP_SECONDS,
        archive: None,
        journal: LogAt::Sqlite(None),
        views: None,
        require: None,
    };
    let before = Config::load()?;
    let (server, _) = up::open(&settings, |_| CONTEXT.to_owned()).await?;
    let mut config = Config::load()?;
    let context = config.contexts.get(CONTEXT).cloned();
    let context = context
        .ok_or_else(|| Failure::new(Exit::Unreachable, "the demo's server has no context"))?;
    // Other terminals keep their server, if they had one.
    config.current = before.current.or(Some(CONTEXT.to_owned()));
    config.save()?;
    say(terminal, "cairn up");
    terminal.say(&format!("Cairn is up at {}", context.server));
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async move {
        // The sender is gone: the demo is over.
        let _ = stopped.await;
    }));
    let shown = tokio::select! {
        shown = show(&context, terminal, &folder, args.kubeconfig.as_deref()) => shown,
        _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
    };
    if args.once && matches!(shown, Ok(Exit::Done)) {
        terminal.say(
            "\nThat was a plan, a deployment, a change of one image, where an object comes from, and two looks back.\n\
             Next, with a server of your own:\n  cairn up\n  cairn apply samples/shop/app.yaml -e dev",
        );
    }
    if !args.once && matches!(shown, Ok(Exit::Done)) {
        terminal.say(&format!(
            "\nThe server is still running at {}. In another terminal:",
            context.server
        ));
        terminal.say(&format!("  cairn --context {CONTEXT} trace dev_shop"));
        terminal.say(&format!(
            "  cairn --context {CONTEXT} sim break database/dev_shop_db --message 'disk is full'"
        ));
        terminal.say("\nCtrl-C ends it, and leaves nothing behind.");
        up::stopped()?.await;
    }
    drop(stop);
    let ended = running.await;
    forget()?;
    match ended {
        Ok(Err(failure)) => Err(failure),
        Ok(Ok(())) | Err(_) => shown,
    }
}

/// What is shown, in order.
async fn show(
    context: &Context,
    terminal: &Terminal,
    folder: &Folder,
    kubeconfig: Option<&Path>,
) -> Outcome {
    let stage = Stage { context, terminal };
    if let Some(kubeconfig) = kubeconfig {
        folder.take(kubeconfig)?;
        terminal.say("\n# The environment runs on a real cluster.");
        stage.play(&["env", "apply", DEV_PATH]).await?;
    }
    let image = "web=registry.example/shop/web:1.5";
    terminal.say("\n# One file: three workloads, and what they need.");
    stage.play(&["plan", SHOP_PATH, "-e", "dev"]).await?;
    terminal.say("\n# Make it so, and wait until everything is ready.");
    stage.play(&["apply", SHOP_PATH, "-e", "dev"]).await?;
    let first = stage.head().await?;
    stage.play(&["trace", "dev_shop"]).await?;
    terminal.say("\n# A new image for one workload: only that one rolls.");
    stage.play(&["plan", SHOP_PATH, "-e", "dev", "--image", image]).await?;
    stage.play(&["apply", SHOP_PATH, "-e", "dev", "--image", image]).await?;
    terminal.say("\n# Where does this object of the cloud come from?");
    let external = stage.external("workload/dev_shop_web").await?;
    stage.play(&["why", &external]).await?;
    terminal.say("\n# How was it before the new image, and when the cluster was just ready?");
    stage.play(&["get", "deployments"]).await?;
    stage.play(&["get", "deployments", "--as-of", &first]).await?;
    let cluster = stage.first_ready("cluster/dev-a").await?;
    stage.play(&["get", "resources", "--as-of", &cluster]).await?;
    Ok(Exit::Done)
}

struct Stage<'a> {
    context: &'a Context,
    terminal: &'a Terminal,
}

impl Stage<'_> {
    /// Shows a command, and runs it.
    async fn play(&self, words: &[&str]) -> Outcome<()> {
        say(self.terminal, &format!("cairn {}", words.join(" ")));
        let cli = Cli::try_parse_from(std::iter::once("cairn").chain(words.iter().copied()))
            .map_err(|error| Failure::new(Exit::Invalid, error.to_string()))?;
        let session = || Session::to(self.context.clone(), self.terminal);
        let exit = Box::pin(dispatch(cli.command, self.terminal, None, session)).await?;
        if exit == Exit::Done { Ok(()) } else { Err(Failure::silent(exit)) }
    }

    async fn ask(&self, query: &str, pointer: &str) -> Outcome<String> {
        let session = Session::to(self.context.clone(), self.terminal)?;
        let data: Value = session.client.ask(query, json!({})).await?;
        let text = data.pointer(pointer).and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| Failure::not_found(format!("answer to {query}")))
    }

    /// The end of the log.
    async fn head(&self) -> Outcome<String> {
        self.ask("{ serverInfo { head } }", "/serverInfo/head").await
    }

    /// The provider's name for a resource.
    async fn external(&self, id: &str) -> Outcome<String> {
        self.ask(&format!("{{ resource(id: \"{id}\") {{ external }} }}"), "/resource/external")
            .await
    }

    /// The position at which a resource became ready for the first time.
    async fn first_ready(&self, id: &str) -> Outcome<String> {
        let session = Session::to(self.context.clone(), self.terminal)?;
        let query = "query($id: String!) { history(id: $id, first: 100) { nodes { ready commit { position } } } }";
        let data: Value = session.client.ask(query, json!({ "id": id })).await?;
        let nodes = data.pointer("/history/nodes").and_then(Value::as_array);
        let mut ready = nodes
            .into_iter()
            .flatten()
            .filter(|node| node.get("ready") == Some(&Value::Bool(true)));
        let position = ready
            .next_back()
            .and_then(|node| node.pointer("/commit/position"))
            .and_then(Value::as_str);
        position
            .map(str::to_owned)
            .ok_or_else(|| Failure::not_found(format!("moment at which {id} was ready")))
    }
}

fn say(terminal: &Terminal, command: &str) {
    terminal.say(&format!("\n{} {}", terminal.bold("$"), terminal.bold(command)));
}

/// Takes the demo's context out of the configuration.
fn forget() -> Outcome<()> {
    let mut config = Config::load()?;
    config.contexts.remove(CONTEXT);
    config.current = config.current.filter(|current| current != CONTEXT);
    config.save().map(|_| ())
}

/// The demo's own folder, with the sample in it; gone when the demo is.
struct Folder(PathBuf);

impl Folder {
    fn make() -> Outcome<Self> {
        let folder = Self(
            std::env::temp_dir().join(format!("cairn-demo-{}", uuid::Uuid::new_v4().simple())),
        );
        folder.put(SHOP_PATH, SHOP)?;
        folder.put(DEV_PATH, DEV)?;
        std::env::set_current_dir(&folder.0).map_err(|error| folder.failed(&error))?;
        Ok(folder)
    }

    /// Keeps a kubeconfig where the server looks for it.
    fn take(&self, kubeconfig: &Path) -> Outcome<()> {
        let text = std::fs::read_to_string(kubeconfig).map_err(|error| {
            Failure::new(Exit::Invalid, format!("cannot read {}: {error}", kubeconfig.display()))
        })?;
        self.put(KUBECONFIG, &text)
    }

    fn put(&self, path: &str, text: &str) -> Outcome<()> {
        let file = self.0.join(path);
        let folder = file.parent().unwrap_or(&self.0);
        std::fs::create_dir_all(folder).map_err(|error| self.failed(&error))?;
        std::fs::write(&file, text).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &std::io::Error) -> Failure {
        Failure::new(Exit::Invalid, format!("cannot use {}: {error}", self.0.display()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
