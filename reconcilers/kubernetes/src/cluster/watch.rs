//! Follows what is ours in a cluster: one watch a kind, resumed where it ended, listed again when that is forgotten.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt as _;
use kube::core::DynamicObject;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use serde_json::Value;

use super::Shared;
use super::cache::Entry;
use super::client::{told, whole};
use super::kinds::Watched;
use crate::labels::TENANT;
use crate::objects::Key;

/// A watch is made anew after so many seconds, and found dead five later (kube: idle timeout).
const WATCH_SECONDS: u32 = 240;
/// Objects of one page when a kind is listed.
const PAGE: u32 = 500;

/// Why a watch ended.
pub(super) enum Ended {
    /// The cluster does not know us any more: the credentials have to be read again.
    Unauthorized,
    /// The cluster does not know the kind any more: its definition was deleted.
    NoSuchKind(Watched),
}

/// Follows one kind.
pub(super) async fn follow(shared: Arc<Shared>, client: Client, watched: Watched) -> Ended {
    let resource = watched.resource();
    let api: Api<DynamicObject> = Api::all_with(client, &resource);
    let config = watcher::Config::default().labels(TENANT).timeout(WATCH_SECONDS).page_size(PAGE);
    let mut events = pin!(watcher(api, config).default_backoff());
    let mut listed = BTreeSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                shared.seen(&watched);
                take(&shared, &watched, event, &mut listed, |object| whole(object, &resource).ok());
            }
            Err(error) if code(&error) == Some(401) => return Ended::Unauthorized,
            Err(error) if code(&error) == Some(404) && !watched.always => {
                return Ended::NoSuchKind(watched);
            }
            Err(error) => shared.lost(&watched, &told(&error)),
        }
    }
    // A watch that heals itself has no end.
    Ended::Unauthorized
}

fn take(
    shared: &Shared,
    watched: &Watched,
    event: watcher::Event<DynamicObject>,
    listed: &mut BTreeSet<Key>,
    read: impl Fn(DynamicObject) -> Option<Value>,
) {
    match event {
        watcher::Event::Init => listed.clear(),
        watcher::Event::InitApply(object) => {
            if let Some(object) = read(object) {
                let key = key(watched, &object);
                listed.insert(key.clone());
                shared.put(key, &object);
            }
        }
        watcher::Event::InitDone => {
            shared.listed(watched, listed);
            listed.clear();
        }
        watcher::Event::Apply(object) => {
            if let Some(object) = read(object) {
                shared.put(key(watched, &object), &object);
            }
        }
        watcher::Event::Delete(object) => {
            if let Some(object) = read(object) {
                shared.removed(&key(watched, &object), Entry::of(&object).as_ref());
            }
        }
    }
}

/// Which object it is.
pub(super) fn key(watched: &Watched, object: &Value) -> Key {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    Key {
        api_version: watched.api_version().to_owned(),
        kind: watched.kind().to_owned(),
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name").unwrap_or_default(),
    }
}

/// The status that the cluster answered with.
fn code(error: &watcher::Error) -> Option<u16> {
    if let watcher::Error::InitialListFailed(kube::Error::Api(status))
    | watcher::Error::WatchStartFailed(kube::Error::Api(status))
    | watcher::Error::WatchFailed(kube::Error::Api(status))
    | watcher::Error::WatchError(status) = error
    {
        return Some(status.code);
    }
    None
}
