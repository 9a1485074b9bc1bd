//! Who may ask: bearer tokens, of which the server keeps only digests.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use domain::Actor;
use domain::commit::{ActorSort, Hash};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The most tokens of one server: each is compared on every request.
const TOKENS_MAX: usize = 64;

/// The tokens that are accepted, as digests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tokens {
    accepted: Vec<Accepted>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Accepted {
    sha256: Hash,
    actor: Actor,
}

/// A bearer token in clear. It is shown once, to whoever it is made for.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The file of tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// See there.
    #[error("cannot use {}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Remove the file: new tokens are made at the next start.
    #[error("{} is not a file of tokens", .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Remove some.
    #[error("there are {TOKENS_MAX} tokens already")]
    TooMany,
}

impl Token {
    /// Makes a token of 244 random bits.
    #[must_use]
    pub fn generate() -> Self {
        // Two version 4 UUIDs: 122 bits each from the operating system's generator.
        Self(format!("cairn_{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()))
    }

    /// The text to send.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Tokens {
    /// Whether nobody is let in.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.accepted.is_empty()
    }

    /// Reads the tokens of a data folder; none when there is no file yet.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn load(path: &Path) -> Result<Self, TokensError> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|source| TokensError::Unreadable { path: path.into(), source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(TokensError::File { path: path.into(), source }),
        }
    }

    /// Writes them back, readable by the owner alone.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), TokensError> {
        let failed = |source| TokensError::File { path: path.into(), source };
        let json = serde_json::to_vec_pretty(self).unwrap_or_default();
        let beside = path.with_extension("new");
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&beside).map_err(failed)?;
        io::Write::write_all(&mut file, &json).map_err(failed)?;
        fs::rename(&beside, path).map_err(failed)
    }

    /// Accepts a token from now on.
    ///
    /// # Errors
    /// [`TokensError::TooMany`].
    pub fn accept(&mut self, token: &Token, id: &str) -> Result<(), TokensError> {
        if self.accepted.len() >= TOKENS_MAX {
            return Err(TokensError::TooMany);
        }
        let actor = Actor::new(ActorSort::User, id);
        self.accepted.push(Accepted { sha256: Hash::of(token.0.as_bytes()), actor });
        Ok(())
    }

    /// Who sends this token; none when nobody we know. Takes as long for a wrong token as for a right one.
    #[must_use]
    pub fn actor(&self, token: &str) -> Option<Actor> {
        let digest = Hash::of(token.as_bytes());
        let mut found = None;
        for accepted in &self.accepted {
            // Digests of random tokens tell nothing, yet no comparison ends early.
            let pairs = accepted.sha256.as_bytes().iter().zip(digest.as_bytes());
            if pairs.fold(0_u8, |differs, (a, b)| differs | (a ^ b)) == 0 {
                found = Some(accepted.actor.clone());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_accepted_token_has_an_actor() {
        let (token, other) = (Token::generate(), Token::generate());
        let mut tokens = Tokens::default();
        tokens.accept(&token, "anna").unwrap();
        assert_eq!(tokens.actor(token.reveal()).unwrap().to_string(), "user:anna");
        assert_eq!(tokens.actor(other.reveal()), None);
        assert_eq!(tokens.actor(""), None);
    }

    #[test]
    fn the_file_holds_no_token_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        let token = Token::generate();
        let mut tokens = Tokens::load(&path).unwrap();
        tokens.accept(&token, "anna").unwrap();
        tokens.save(&path).unwrap();
        assert!(!fs::read_to_string(&path).unwrap().contains(token.reveal()));
        assert_eq!(Tokens::load(&path).unwrap(), tokens);
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_token_is_not_printed() {
        assert_eq!(format!("{:?}", Token::generate()), "Token(…)");
    }
}
