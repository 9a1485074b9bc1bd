//! `cairn version`.

use serde_json::{Value, json};

use super::Session;
use crate::args::{Output, Version};
use crate::failure::{Exit, Outcome};
use crate::terminal::Terminal;

/// Shows the client's version, and the server's where one is reached.
pub(super) async fn run(args: &Version, session: Option<Session>, terminal: &Terminal) -> Outcome {
    let client = env!("CARGO_PKG_VERSION");
    let answer = match &session {
        Some(session) => {
            let query = "{ serverInfo { version position durability simulated } }";
            Some(session.client.ask::<Value>(query, json!({})).await)
        }
        None => None,
    };
    let (server, failure) = match answer {
        Some(Ok(server)) => (Some(server), None),
        Some(Err(failure)) => (None, Some(failure)),
        None => (None, None),
    };
    let info = server.as_ref().and_then(|data| data.get("serverInfo"));
    match args.output {
        Output::Json => terminal.print(&json!({ "client": client, "server": info }).to_string()),
        Output::Table => {
            terminal.print(&format!("client {client}"));
            let text = |name| {
                info.and_then(|info| info.get(name)).and_then(Value::as_str).unwrap_or_default()
            };
            match (info, &session) {
                (Some(_), Some(session)) => terminal.print(&format!(
                    "server {} at {}, position {}, durability {}",
                    text("version"),
                    session.client.server(),
                    text("position"),
                    text("durability")
                )),
                _ => match &failure {
                    Some(failure) => failure.print(terminal),
                    None => terminal.say("no server is known"),
                },
            }
        }
    }
    Ok(Exit::Done)
}
