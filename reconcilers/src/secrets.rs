//! Where secret values are kept, and how one is read at the last moment. No value goes into the log (invariant 12).

mod pod;

use std::io::Read as _;
use std::path::PathBuf;

use domain::SecretRef;
use domain::commit::Hash;
use domain::lifecycle::FailureClass;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::reconcile::CallError;
pub use pod::Account;

/// The store of files in a folder of the server's.
pub const FILES: &str = "file";
/// The store that is the account of the pod that the server runs in.
pub const IN_CLUSTER: &str = "in-cluster";
/// The store of the simulated world, whose values mean nothing.
const SIMULATED: &str = "sim";
/// The largest secret in bytes: Kubernetes takes no more (1 MiB for the whole object).
const BYTES_MAX: u64 = 1024 * 1024;
/// The longest path in bytes.
const PATH_MAX: usize = 200;

/// Whoever can read secret values.
pub trait Secrets: Send + Sync + 'static {
    /// Reads the value that is there now. It may be a newer one than the reference's version.
    fn read<'a>(&'a self, reference: &'a SecretRef) -> BoxFuture<'a, Result<String, CallError>>;
}

/// The stores that a server has: a folder, in which whoever runs it puts a file for each secret, the account of its pod,
/// and the simulated one.
#[derive(Clone, Debug)]
pub struct Stores {
    folder: PathBuf,
    account: Account,
}

impl Stores {
    /// Reads files from a folder, which need not exist.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, account: Account::of_pod() }
    }

    /// The same with another account.
    #[must_use]
    pub fn with_account(self, account: Account) -> Self {
        Self { account, ..self }
    }

    fn file(&self, path: &str) -> Result<String, String> {
        if !is_path(path) {
            return Err(
                "its path must be names of a-z, 0-9, `.`, `_` and `-`, joined by `/`".into()
            );
        }
        let place = self.folder.join(path);
        let missing = |error: std::io::Error| {
            format!("{error}; whoever runs the server puts it at {}", place.display())
        };
        let root = self.folder.canonicalize().map_err(missing)?;
        let real = place.canonicalize().map_err(missing)?;
        if !real.starts_with(root) {
            return Err("it leads out of the folder of secrets".into());
        }
        let file = std::fs::File::open(&real).map_err(missing)?;
        if !file.metadata().map_err(missing)?.is_file() {
            return Err("it is not a file".into());
        }
        let mut text = String::new();
        let read = file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(missing)?;
        if read as u64 > BYTES_MAX {
            return Err(format!("it has more than {BYTES_MAX} bytes"));
        }
        Ok(text)
    }
}

/// Names joined by `/`, none of which leads elsewhere.
fn is_path(path: &str) -> bool {
    let named = |name: &str| {
        !name.is_empty()
            && !name.starts_with('.')
            && name.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte)
            })
    };
    path.len() <= PATH_MAX && path.split('/').all(named)
}

impl Secrets for Stores {
    fn read<'a>(&'a self, reference: &'a SecretRef) -> BoxFuture<'a, Result<String, CallError>> {
        let refused = move |why: String| CallError {
            class: FailureClass::Retry,
            message: format!("{reference} cannot be read: {why}"),
        };
        async move {
            match reference.store.as_str() {
                FILES => {
                    let (stores, path) = (self.clone(), reference.path.clone());
                    let reading = tokio::task::spawn_blocking(move || stores.file(&path));
                    reading.await.map_err(|error| refused(error.to_string()))?.map_err(refused)
                }
                IN_CLUSTER => {
                    let account = self.account.clone();
                    let reading = tokio::task::spawn_blocking(move || account.kubeconfig());
                    reading.await.map_err(|error| refused(error.to_string()))?.map_err(refused)
                }
                SIMULATED => Ok(simulated(reference)),
                other => Err(refused(format!("there is no store `{other}` here"))),
            }
        }
        .boxed()
    }
}

/// A value that is the same whenever it is asked for.
fn simulated(reference: &SecretRef) -> String {
    let digest = Hash::of(reference.to_string().as_bytes()).to_hex();
    digest.chars().take(24).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_nowhere_else() {
        for good in ["clusters/eu", "a", "eu-west.yaml"] {
            assert!(is_path(good), "{good}");
        }
        for bad in [
            "",
            "/etc/passwd",
            "..",
            "a/../b",
            "a//b",
            "A",
            "a\\b",
            "a/.ssh",
            "a\n",
            &"x".repeat(201),
        ] {
            assert!(!is_path(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_link_out_of_the_folder_is_not_followed() {
        let (folder, outside) =
            (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
        std::fs::write(folder.path().join("inside"), "value").unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("outside")).unwrap();
        let stores = Stores::new(folder.path().to_owned());
        let read = async |path: &str| {
            let reference =
                SecretRef { store: FILES.into(), path: path.into(), version: "1".into() };
            stores.read(&reference).await
        };
        assert_eq!(read("inside").await.unwrap(), "value");
        assert!(read("outside").await.unwrap_err().message.contains("leads out"));
        assert!(read("missing").await.unwrap_err().message.contains("whoever runs the server"));
    }

    #[tokio::test]
    async fn the_account_of_the_pod_is_a_kubeconfig() {
        let folder = tempfile::tempdir().unwrap();
        let reference =
            SecretRef { store: IN_CLUSTER.into(), path: String::new(), version: "1".into() };
        let stores = Stores::new(folder.path().to_owned());
        let nowhere = stores.read(&reference).await.unwrap_err();
        assert!(nowhere.message.contains("runs in no pod"), "{}", nowhere.message);
        let stores = stores.with_account(Account::at(folder.path(), "https://10.0.0.1:443"));
        let unmounted = stores.read(&reference).await.unwrap_err();
        assert!(
            unmounted.message.contains("automountServiceAccountToken"),
            "{}",
            unmounted.message
        );
        std::fs::write(folder.path().join("ca.crt"), "authority").unwrap();
        std::fs::write(folder.path().join("token"), "secret\n").unwrap();
        let config: serde_json::Value =
            serde_json::from_str(&stores.read(&reference).await.unwrap()).unwrap();
        let said = |pointer: &str| config.pointer(pointer).cloned().unwrap();
        assert_eq!(said("/clusters/0/cluster/server"), "https://10.0.0.1:443");
        assert_eq!(said("/users/0/user/token"), "secret");
    }
}
