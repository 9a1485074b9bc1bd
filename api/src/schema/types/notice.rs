//! What the world of a resource warns of.

use async_graphql::SimpleObject;
use domain::lifecycle::Body;

use super::Timestamp;

/// A warning of the world that a resource lives in, such as an event of Kubernetes.
#[derive(SimpleObject)]
pub(crate) struct Notice {
    /// In a word, such as FailedScheduling.
    reason: String,
    /// What it is about, such as Pod web-1.
    about: String,
    /// In a sentence.
    message: String,
    /// When it was last seen before it was noted.
    at: Timestamp,
}

impl Notice {
    pub(crate) fn all(body: &Body) -> Vec<Self> {
        let shown = body.notices.iter().map(|notice| Self {
            reason: notice.reason.clone(),
            about: notice.about.clone(),
            message: notice.message.clone(),
            at: Timestamp(notice.at),
        });
        shown.collect()
    }
}
