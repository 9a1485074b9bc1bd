//! Which server, and with which token: contexts in the user's configuration, readable by the user alone.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use domain::planning::nearest;
use serde::{Deserialize, Serialize};

use crate::failure::{Exit, Failure, Outcome};

/// The contexts of a user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Config {
    /// The context that is meant when none is named.
    #[serde(default)]
    pub(crate) current: Option<String>,
    /// By name.
    #[serde(default)]
    pub(crate) contexts: BTreeMap<String, Context>,
}

/// A server, and a token for it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Context {
    /// Its URL.
    pub(crate) server: String,
    /// The token; empty where none is known, of which the server has the first word.
    pub(crate) token: String,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("server", &self.server).finish_non_exhaustive()
    }
}

/// Where the configuration is: `CAIRN_CONFIG`, or `cairn/config.json` in the user's configuration folder.
pub(crate) fn path() -> Outcome<PathBuf> {
    if let Some(path) = std::env::var_os("CAIRN_CONFIG") {
        return Ok(path.into());
    }
    let folder =
        std::env::var_os("XDG_CONFIG_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")));
    let folder = folder.ok_or_else(|| {
        Failure::new(Exit::Invalid, "there is no place for the configuration")
            .hint("set HOME, or CAIRN_CONFIG to a file")
    })?;
    Ok(folder.join("cairn").join("config.json"))
}

impl Config {
    /// Reads the configuration; an empty one when there is no file yet.
    pub(crate) fn load() -> Outcome<Self> {
        let path = path()?;
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Failure::new(Exit::Invalid, format!("{} is not a configuration", path.display()))
                    .detail(error.to_string())
                    .hint("correct it, or remove it and run `cairn up` again")
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(unusable(&path, &error)),
        }
    }

    /// Writes it back, readable by the user alone.
    pub(crate) fn save(&self) -> Outcome<PathBuf> {
        let path = path()?;
        let failed = |error: io::Error| unusable(&path, &error);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let beside = path.with_extension("new");
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&beside).map_err(failed)?;
        let json = serde_json::to_vec_pretty(self).unwrap_or_default();
        file.write_all(&json).map_err(failed)?;
        fs::rename(&beside, &path).map_err(failed)?;
        Ok(path)
    }

    /// A context by its name.
    pub(crate) fn context(&self, name: &str) -> Outcome<&Context> {
        self.contexts.get(name).ok_or_else(|| {
            let known: Vec<_> = self.contexts.keys().map(String::as_str).collect();
            let hint = match nearest(name, known.iter().copied()) {
                _ if known.is_empty() => "there are none yet: `cairn up` makes one".to_owned(),
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are: {}", known.join(", ")),
            };
            Failure::not_found(format!("context `{name}`")).hint(hint)
        })
    }

    /// The server and the token to use: from the environment first, then from a context.
    pub(crate) fn resolve(&self, server: Option<&str>, context: Option<&str>) -> Outcome<Context> {
        let token = std::env::var("CAIRN_TOKEN").ok().filter(|token| !token.is_empty());
        let chosen = match context {
            Some(name) => Some(self.context(name)?),
            None => self.current.as_ref().and_then(|name| self.contexts.get(name)),
        };
        let server = server
            .map(|it| it.trim_end_matches('/').to_owned())
            .or_else(|| chosen.map(|context| context.server.clone()));
        let Some(server) = server else {
            return Err(Failure::new(Exit::Unreachable, "no server is known")
                .hint("start one with `cairn up`, or set CAIRN_SERVER and CAIRN_TOKEN"));
        };
        // A token goes only to the server that it was made for.
        let stored =
            chosen.filter(|context| context.server == server).map(|context| context.token.clone());
        Ok(Context { server, token: token.or(stored).unwrap_or_default() })
    }
}

fn unusable(path: &std::path::Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Unreachable, format!("cannot use {}: {error}", path.display()))
        .hint("check its permissions, or name another file with CAIRN_CONFIG")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let context = Context { server: "http://127.0.0.1:1".into(), token: "t".into() };
        Config {
            current: Some("local".into()),
            contexts: BTreeMap::from([("local".into(), context)]),
        }
    }

    #[test]
    fn the_current_context_is_meant() {
        let context = config().resolve(None, None).unwrap();
        assert_eq!((context.server.as_str(), context.token.as_str()), ("http://127.0.0.1:1", "t"));
    }

    #[test]
    fn a_token_is_not_sent_to_another_server() {
        let context = config().resolve(Some("http://elsewhere"), None).unwrap();
        assert_eq!(context.token, "");
    }

    #[test]
    fn an_unknown_context_is_not_found() {
        assert_eq!(config().resolve(None, Some("prod")).unwrap_err().exit, Exit::NotFound);
    }

    #[test]
    fn where_there_is_no_context_it_is_said_how_one_is_made() {
        let failure = Config::default().resolve(None, Some("prod")).unwrap_err();
        assert!(format!("{failure:?}").contains("`cairn up` makes one"), "{failure:?}");
        let failure = config().resolve(None, Some("locla")).unwrap_err();
        assert!(format!("{failure:?}").contains("did you mean `local`?"), "{failure:?}");
    }

    #[test]
    fn a_token_is_not_printed() {
        assert!(!format!("{:?}", config()).contains("\"t\""));
    }
}
