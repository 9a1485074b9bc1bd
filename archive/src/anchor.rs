//! Anchors: signed statements about the whole log up to a position, kept outside of it.

use domain::Time;
use domain::commit::Hash;
use journal::Position;
use serde::{Deserialize, Serialize};

use crate::Finding;
use crate::key::{PublicKey, Signer};

/// Said before what is signed, so that a signature of something else by the same key is none of an anchor.
const DOMAIN: &[u8] = b"cairn anchor 1\n";
/// `,"signature":"` + 128 hex digits + `"}`.
const SEAL_LENGTH: usize = 14 + 128 + 2;
/// The only format so far.
const FORMAT: u32 = 1;

/// What an anchor states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The format.
    #[serde(rename = "v")]
    format: u32,
    /// Anchors are counted from 1.
    pub number: u64,
    /// How many commits the tree has.
    pub size: u64,
    /// The position of the last of them. Positions have no gaps: it is the same number.
    pub position: Position,
    /// The root of the Merkle tree over them.
    pub root: Hash,
    /// SHA-256 of the previous anchor's bytes; zeros in the first.
    pub previous: Hash,
    /// When it was signed, by the signer's clock. Never before the previous one.
    pub time: Time,
    /// The id of the key.
    pub key: String,
}

/// A signed statement, with the bytes that are kept: JSON whose last field is the signature of all before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// What is stated.
    pub statement: Statement,
    /// Exactly what is kept.
    pub bytes: Vec<u8>,
}

impl Anchor {
    /// Signs a statement about a tree, as the successor of `previous`.
    #[must_use]
    pub fn sign(
        signer: &Signer,
        previous: Option<&Self>,
        size: u64,
        root: Hash,
        now: Time,
    ) -> Self {
        let before = previous.map(|anchor| &anchor.statement);
        let statement = Statement {
            format: FORMAT,
            number: before.map_or(0, |before| before.number) + 1,
            size,
            position: Position::new(size),
            root,
            previous: previous.map(Self::digest).unwrap_or_default(),
            // A clock that was set back does not make anchors that look forged.
            time: before.map_or(now, |before| before.time.max(now)),
            key: signer.public().id(),
        };
        // Numbers, hashes and a time: this cannot fail.
        let mut bytes = serde_json::to_vec(&statement).unwrap_or_default();
        bytes.pop();
        let signature = signer.sign(&[DOMAIN, &bytes].concat());
        let (first, second) = signature.split_at(signature.len() / 2);
        let half = |half: &[u8]| {
            half.try_into().map(|half| Hash::from_bytes(half).to_hex()).unwrap_or_default()
        };
        bytes.extend_from_slice(b",\"signature\":\"");
        bytes.extend_from_slice(half(first).as_bytes());
        bytes.extend_from_slice(half(second).as_bytes());
        bytes.extend_from_slice(b"\"}");
        Self { statement, bytes }
    }

    /// Reads what is kept. The signature is not checked.
    ///
    /// # Errors
    /// When it is no anchor, or of a newer format.
    pub fn read(bytes: &[u8]) -> Result<Self, Finding> {
        let unreadable = |why: &dyn ToString| Finding::Unreadable(why.to_string());
        let statement: Statement =
            serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
        if statement.format != FORMAT {
            return Err(unreadable(&format!("it has format {}", statement.format)));
        }
        if statement.size != statement.position.get() {
            return Err(unreadable(&"its size is not its position"));
        }
        Ok(Self { statement, bytes: bytes.to_vec() })
    }

    /// SHA-256 of the bytes, which the next anchor states.
    #[must_use]
    pub fn digest(&self) -> Hash {
        Hash::of(&self.bytes)
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`Finding::Signature`] when it is not by this key.
    pub fn check(&self, key: &PublicKey) -> Result<(), Finding> {
        let signed = || {
            let middle = self.bytes.len().checked_sub(SEAL_LENGTH)?;
            let (body, seal) = self.bytes.split_at_checked(middle)?;
            let digits = seal.strip_prefix(b",\"signature\":\"")?.strip_suffix(b"\"}")?;
            let digits = std::str::from_utf8(digits).ok()?;
            let (first, second) = digits.split_at_checked(64)?;
            let (first, second) = (Hash::from_hex(first)?, Hash::from_hex(second)?);
            let signature = [first.as_bytes().as_slice(), second.as_bytes()].concat();
            key.verifies(&[DOMAIN, body].concat(), &signature).then_some(())
        };
        signed().ok_or_else(|| Finding::Signature { key: key.id() })
    }

    /// Checks that it continues the anchors from `previous`.
    ///
    /// # Errors
    /// When one between them is missing, doubled or replaced.
    pub fn continues(&self, previous: Option<&Self>) -> Result<(), Finding> {
        let stated = |what, stated: &dyn ToString, actual: &dyn ToString| {
            Err(Finding::Stated { what, stated: stated.to_string(), actual: actual.to_string() })
        };
        let number = previous.map_or(0, |anchor| anchor.statement.number) + 1;
        if self.statement.number != number {
            return stated("the number", &self.statement.number, &number);
        }
        let actual = previous.map(Self::digest).unwrap_or_default();
        if self.statement.previous != actual {
            return Err(Finding::Previous { stated: self.statement.previous, actual });
        }
        if let Some(previous) = previous {
            let (before, after) = (&previous.statement, &self.statement);
            if after.size <= before.size {
                return stated("a size of", &after.size, &format!("after one of {}", before.size));
            }
            if after.time < before.time {
                return stated("the time", &after.time, &format!("after {}", before.time));
            }
        }
        Ok(())
    }
}
