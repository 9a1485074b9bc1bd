//! Wake-ups: one notification a batch, which carries nothing.

use std::future::poll_fn;
use std::time::Duration;

use futures::FutureExt as _;
use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::mpsc;
use tokio_postgres::AsyncMessage;
use tracing::debug;

use super::connect::Server;
use super::schema::Namespace;
use crate::store::StoreError;

/// The pause before a broken connection is made again. Meanwhile the checkpoint is looked at now and then.
const PAUSE: Duration = Duration::from_secs(1);

/// Gives an item for each batch of a runner anywhere, and one whenever some may have been missed.
pub(super) fn wakeups(server: Server, namespace: Namespace) -> BoxStream<'static, ()> {
    // One waiting wake-up says as much as many.
    let (wake, woken) = mpsc::channel(1);
    tokio::spawn(async move {
        while !wake.is_closed() {
            if let Err(error) = listen(&server, &namespace, &wake).await {
                debug!(%error, "wake-ups of the views are missed");
            }
            futures::future::select(Box::pin(tokio::time::sleep(PAUSE)), Box::pin(wake.closed()))
                .await;
        }
    });
    stream::unfold(woken, |mut woken| async { woken.recv().await.map(|()| ((), woken)) }).boxed()
}

async fn listen(
    server: &Server,
    namespace: &Namespace,
    wake: &mpsc::Sender<()>,
) -> Result<(), StoreError> {
    let (client, mut connection) = server.listen().await?;
    let listen = format!("LISTEN {}", namespace.as_str());
    let mut listening = Box::pin(client.batch_execute(&listen).fuse());
    let mut begun = false;
    loop {
        let message = poll_fn(|cx| {
            // The answer to LISTEN comes through the same connection.
            if !begun && listening.poll_unpin(cx).is_ready() {
                begun = true;
                let _ = wake.try_send(());
            }
            connection.poll_message(cx)
        });
        let closed = Box::pin(wake.closed());
        match futures::future::select(Box::pin(message), closed).await {
            futures::future::Either::Left((Some(Ok(AsyncMessage::Notification(_))), _)) => {
                // A full channel is a wake-up that waits already.
                let _ = wake.try_send(());
            }
            futures::future::Either::Left((Some(Ok(_)), _)) => {}
            futures::future::Either::Left((Some(Err(error)), _)) => return Err(error.into()),
            futures::future::Either::Left((None, _)) | futures::future::Either::Right(_) => {
                return Ok(());
            }
        }
    }
}
