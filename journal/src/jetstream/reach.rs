//! Sees to it that the process talks to a server that reaches the log's leader. One that was parted from the others
//! goes on answering pings: the client stays with it, and nothing that needs the others is ever answered.

use std::time::Duration;

use tokio::time::timeout;
use tracing::warn;

use super::SUBJECTS;
use super::wire::{ANSWER_MAX, Wire, trouble};
use crate::JournalError;

/// How long nothing may come of the log before its leader is asked whether it is there.
pub(super) const SILENT_MAX: Duration = Duration::from_secs(2);

impl Wire {
    /// Asks the log's leader. Where no answer comes in time, the process goes to another of the servers, if it was
    /// told of several: which one that is the client draws, so whoever calls this does so until there is an answer.
    ///
    /// A leader that was deposed and does not know it yet may answer, some ten seconds long (nats-server:
    /// `lostQuorumInterval`).
    pub(super) async fn reach_leader(&self) -> Result<(), JournalError> {
        let error = match timeout(ANSWER_MAX, self.last(SUBJECTS)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => trouble("the log's leader does not answer"),
        };
        if self.has_others() && self.connected() {
            let client = self.context().client();
            let server = client.server_info().server_name;
            warn!(server, %error, "the log's leader cannot be reached by this server: another is asked");
            // Without its task the client is at its end, as the next call says.
            let _ = client.force_reconnect().await;
        }
        Err(error)
    }
}
