//! Who wants to be told of changes, and what each has yet to be told: each thing once, however often it changed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use domain::StreamId;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::sync::Notify;

/// Everybody who listens.
#[derive(Debug, Default)]
pub struct Changes(Mutex<Vec<Weak<Listener>>>);

#[derive(Debug)]
struct Listener {
    /// None for every kind.
    kind: Option<&'static str>,
    /// Bounded by the number of things there are.
    untold: Mutex<BTreeSet<StreamId>>,
    told: Notify,
}

impl Changes {
    /// Tells whoever listens to the kind. Nobody does: nobody needs to know.
    pub fn tell(&self, stream: &StreamId) {
        let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| {
            let Some(listener) = listener.upgrade() else { return false };
            if listener.kind.is_none_or(|kind| kind == stream.kind()) {
                let mut untold = listener.untold.lock().unwrap_or_else(PoisonError::into_inner);
                untold.insert(stream.clone());
                listener.told.notify_one();
            }
            true
        });
    }

    /// Listens to a kind, or to all.
    pub fn listen(&self, kind: Option<&'static str>) -> BoxStream<'static, StreamId> {
        let (untold, told) = (Mutex::default(), Notify::new());
        let listener = Arc::new(Listener { kind, untold, told });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&listener));
        futures::stream::unfold(listener, |listener| async {
            loop {
                let next =
                    listener.untold.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
                if let Some(stream) = next {
                    return Some((stream, listener));
                }
                listener.told.notified().await;
            }
        })
        .boxed()
    }
}
