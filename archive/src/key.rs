//! The keys of anchors: Ed25519. The secret one is in a file that its owner alone can read; the public one is all
//! that a verifier needs, and leaves the machine as PEM, which other tools read too.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::commit::Hash;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

/// What stands before an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410): the algorithm, and 256 bits.
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
/// Bytes of a key file that are read at most: a key has some 200.
const FILE_BYTES_MAX: u64 = 4_096;
/// Digits of a key's id.
const ID_DIGITS: usize = 16;

/// A key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Check the path and its permissions.
    #[error("the key {} cannot be used", .path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Name the right file: one that `cairn audit key` wrote.
    #[error("{} holds no {what}", .path.display())]
    Malformed {
        /// Where.
        path: PathBuf,
        /// What should be there.
        what: &'static str,
    },
    /// Take the permission from the others: `chmod 600`.
    #[error("others can read the secret key {}", .path.display())]
    Readable {
        /// Where.
        path: PathBuf,
    },
    /// There is no randomness on this machine.
    #[error("no key can be made")]
    Random,
}

/// Checks signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.id())
    }
}

impl PublicKey {
    /// Reads a PEM file.
    ///
    /// # Errors
    /// When there is none, or something else.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let text = read(path)?;
        let malformed = || KeyError::Malformed { path: path.into(), what: "public key" };
        Self::from_pem(&text).ok_or_else(malformed)
    }

    /// Reads PEM.
    #[must_use]
    pub fn from_pem(text: &str) -> Option<Self> {
        let der = from_pem("PUBLIC KEY", text)?;
        der.strip_prefix(&SPKI)?.try_into().ok().map(Self)
    }

    /// Writes PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        to_pem("PUBLIC KEY", &[&SPKI, self.0.as_slice()].concat())
    }

    /// Names the key: the beginning of its SHA-256.
    #[must_use]
    pub fn id(&self) -> String {
        let mut id = Hash::of(&self.0).to_hex();
        id.truncate(ID_DIGITS);
        id
    }

    /// Whether the signature is by this key.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

/// Signs anchors.
pub struct Signer(Ed25519KeyPair);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({:?})", self.public())
    }
}

impl Signer {
    /// Loads the secret key of a file; where there is none, makes one that only the owner can read.
    ///
    /// # Errors
    /// When the file cannot be used, or others can read it.
    pub fn load_or_make(path: &Path) -> Result<Self, KeyError> {
        if !path.exists() {
            make(path)?;
        }
        Self::load(path)
    }

    /// Loads the secret key of a file.
    ///
    /// # Errors
    /// When there is none, or others can read it.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let text = read(path)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let metadata = fs::metadata(path).map_err(|source| unusable(path, source))?;
            if metadata.permissions().mode() & 0o077 != 0 {
                return Err(KeyError::Readable { path: path.into() });
            }
        }
        let malformed = || KeyError::Malformed { path: path.into(), what: "secret key" };
        let der = from_pem("PRIVATE KEY", &text).ok_or_else(malformed)?;
        Ed25519KeyPair::from_pkcs8(&der).map(Self).map_err(|_| malformed())
    }

    /// What verifies its signatures.
    ///
    /// An Ed25519 key has 32 bytes; a shorter one cannot be made.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.public_key().as_ref().first_chunk().copied().unwrap_or_default())
    }

    /// Signs.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }
}

/// Makes a key, unless another process has made one in between.
fn make(path: &Path) -> Result<(), KeyError> {
    let document =
        Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::Random)?;
    let pem = to_pem("PRIVATE KEY", document.as_ref());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let write = || {
        fs::create_dir_all(folder)?;
        // A temporary file is readable by its owner alone from the first moment.
        let mut file = tempfile::Builder::new().prefix(".key-").tempfile_in(folder)?;
        file.write_all(pem.as_bytes())?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
            Ok(_) | Err(_) => File::open(folder)?.sync_all(),
        }
    };
    write().map_err(|source| unusable(path, source))
}

fn read(path: &Path) -> Result<String, KeyError> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = File::open(path).map_err(|source| unusable(path, source))?;
    let read = file.take(FILE_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|source| unusable(path, source))?;
    Ok(text)
}

fn unusable(path: &Path, source: io::Error) -> KeyError {
    KeyError::File { path: path.into(), source }
}

fn to_pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect::<Vec<_>>();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn from_pem(label: &str, text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    STANDARD.decode(body.split_whitespace().collect::<String>()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/anchor.key");
        let signer = Signer::load_or_make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Signer::load_or_make(&path).unwrap().public(), signer.public());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Signer::load(&path), Err(KeyError::Readable { .. })));
    }

    #[test]
    fn the_public_key_alone_verifies() {
        let folder = tempfile::tempdir().unwrap();
        let signer = Signer::load_or_make(&folder.path().join("a.key")).unwrap();
        let public = PublicKey::from_pem(&signer.public().to_pem()).unwrap();
        let signature = signer.sign(b"this");
        assert!(public.verifies(b"this", &signature));
        assert!(!public.verifies(b"that", &signature));
        let other = Signer::load_or_make(&folder.path().join("b.key")).unwrap().public();
        assert!(!other.verifies(b"this", &signature));
    }
}
