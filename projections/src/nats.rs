//! Wake-ups through NATS: a message a batch, after it is committed. It carries nothing that must arrive: whoever
//! misses it looks at the store a moment later.

use futures::stream::{self, BoxStream, StreamExt as _};
use journal::jetstream::Client;
use tokio::sync::broadcast::error::RecvError;
use tracing::debug;

use crate::views::Views;

/// Where changes are told.
pub const SUBJECT: &str = "view.changed";

/// Tells the others whenever the views have moved, for as long as it is polled.
pub async fn announce(client: Client, views: &Views) {
    let mut changes = views.changes();
    loop {
        match changes.recv().await {
            Ok(_) | Err(RecvError::Lagged(_)) => {
                // The connection buffers; where it cannot, the others look by themselves.
                if let Err(error) = client.publish(SUBJECT, Vec::new().into()).await {
                    debug!(%error, "the others are not told of a change");
                }
            }
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}

/// An item whenever somebody has announced a change.
#[must_use]
pub fn announced(client: Client) -> BoxStream<'static, ()> {
    let messages = async move {
        match client.subscribe(SUBJECT).await {
            Ok(messages) => messages.map(|_| ()).boxed(),
            Err(error) => {
                debug!(%error, "announcements are not heard");
                stream::pending().boxed()
            }
        }
    };
    stream::once(messages).flatten().boxed()
}
