//! Every cluster that somebody uses.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::SecretRef;
use reconcilers::changes::Changes;
use reconcilers::secrets::Secrets;
use reconcilers::{CallError, Clock};

use super::{Cluster, REREAD, Reach, begin, retry};

/// Every cluster that somebody uses, by where its credentials are.
pub struct Clusters {
    secrets: Arc<dyn Secrets>,
    clock: Arc<dyn Clock>,
    changes: Arc<Changes>,
    reread: Duration,
    known: Mutex<HashMap<(String, String), Arc<Cluster>>>,
}

impl Clusters {
    /// None yet.
    #[must_use]
    pub fn new(secrets: Arc<dyn Secrets>, clock: Arc<dyn Clock>) -> Self {
        Self { secrets, clock, changes: Arc::default(), reread: REREAD, known: Mutex::default() }
    }

    /// The same, with credentials that are read again so often.
    #[must_use]
    pub fn with_reread(self, reread: Duration) -> Self {
        Self { reread, ..self }
    }

    /// The cluster that these credentials lead to. It is connected to from the first time on.
    #[must_use]
    pub fn get(&self, credentials: &SecretRef) -> Arc<Cluster> {
        let key = (credentials.store.clone(), credentials.path.clone());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let connect = || {
            let (secrets, clock) = (Arc::clone(&self.secrets), Arc::clone(&self.clock));
            let changes = Arc::clone(&self.changes);
            let credentials = credentials.clone();
            Arc::new(Cluster::connect(credentials, secrets, clock, changes, self.reread))
        };
        Arc::clone(known.entry(key).or_insert_with(connect))
    }

    /// Speaks to a cluster once. Nothing of it is watched for that.
    pub(crate) async fn client(&self, credentials: &SecretRef) -> Result<kube::Client, CallError> {
        let known = self.known(credentials);
        if let Some(Reach::Unreachable { since, reason }) = known.as_ref().map(|it| it.reached()) {
            return Err(retry(&format!("the cluster cannot be reached since {since}: {reason}")));
        }
        if let Some(Ok(requests)) = known.map(|cluster| cluster.requests()) {
            return Ok(requests.client);
        }
        match begin(credentials, &*self.secrets).await {
            Ok((_, requests, _)) => Ok(requests.client),
            Err(CallError { class, message }) => {
                let message = format!("the cluster cannot be reached: {message}");
                Err(CallError { class, message })
            }
        }
    }

    fn known(&self, credentials: &SecretRef) -> Option<Arc<Cluster>> {
        let key = (credentials.store.clone(), credentials.path.clone());
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    /// Lets go of a cluster.
    pub(crate) fn forget(&self, credentials: &SecretRef) {
        let key = (credentials.store.clone(), credentials.path.clone());
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    /// Every cluster that is known.
    pub(crate) fn all(&self) -> Vec<Arc<Cluster>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The value of a secret.
    pub(crate) async fn secret(&self, reference: &SecretRef) -> Result<String, CallError> {
        self.secrets.read(reference).await
    }

    pub(crate) fn changes(&self) -> &Changes {
        &self.changes
    }
}
