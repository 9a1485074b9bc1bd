//! Documents that were asked before: read and measured once, for clients ask the same ones again and again.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::parser::parse_query;
use async_graphql::parser::types::{ExecutableDocument, OperationType};
use lru::LruCache;

use crate::limits;

/// The most documents that are remembered: more than a portal and the CLI have together.
const KNOWN_MAX: NonZeroUsize = NonZeroUsize::new(256).unwrap();
/// The longest document that is remembered, in bytes. Once read it takes some twenty times as much memory, so that
/// all together stay below 20 MiB, whoever asks.
const REMEMBERED_BYTES_MAX: usize = 4 * 1024;

/// A document within the limits of [`crate::limits`].
pub(super) struct Document {
    /// As it was read.
    pub(super) parsed: ExecutableDocument,
    /// It asks, and changes nothing.
    asks: bool,
    fits: AtomicBool,
}

impl Document {
    fn read(text: &str) -> Result<Self, String> {
        limits::check_text(text).map_err(|error| error.to_string())?;
        let parsed = parse_query(text).map_err(|error| error.to_string())?;
        limits::check_document(&parsed).map_err(|error| error.to_string())?;
        let asks = parsed.operations.iter().all(|(_, it)| it.node.ty == OperationType::Query);
        Ok(Self { parsed, asks, fits: AtomicBool::new(false) })
    }

    /// It asks, and was answered before: so it fits the schema. Its variables may not.
    pub(super) fn was_answered(&self) -> bool {
        self.asks && self.fits.load(Ordering::Relaxed)
    }

    /// It was answered without an error.
    pub(super) fn answered(&self) {
        self.fits.store(true, Ordering::Relaxed);
    }
}

/// The documents asked last, by their text.
pub(super) struct Documents(Mutex<LruCache<String, Arc<Document>>>);

impl Default for Documents {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(KNOWN_MAX)))
    }
}

impl Documents {
    /// Reads a document, or finds it.
    pub(super) fn read(&self, text: &str) -> Result<Arc<Document>, String> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(document) = known().get(text) {
            return Ok(Arc::clone(document));
        }
        let document = Arc::new(Document::read(text)?);
        if text.len() <= REMEMBERED_BYTES_MAX {
            known().put(text.to_owned(), Arc::clone(&document));
        }
        Ok(document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_once_and_a_long_one_each_time() {
        let documents = Documents::default();
        let (short, long) = ("{ a }".to_owned(), format!("{{ a }}{}", " ".repeat(5_000)));
        let read = |text: &str| documents.read(text).unwrap();
        assert!(Arc::ptr_eq(&read(&short), &read(&short)));
        assert!(!Arc::ptr_eq(&read(&long), &read(&long)));
    }

    #[test]
    fn what_is_refused_is_refused_again_and_is_not_remembered() {
        let documents = Documents::default();
        for _ in 0..2 {
            assert!(documents.read("{ a").is_err());
            assert!(documents.read(&"a ".repeat(2_001)).is_err());
        }
        assert_eq!(documents.0.lock().unwrap().len(), 0);
    }

    #[test]
    fn only_what_asks_counts_as_answered() {
        let documents = Documents::default();
        for (text, asks) in
            [("{ a }", true), ("mutation { a }", false), ("subscription { a }", false)]
        {
            let document = documents.read(text).unwrap();
            assert!(!document.was_answered());
            document.answered();
            assert_eq!(document.was_answered(), asks, "{text}");
        }
    }

    #[test]
    fn the_one_asked_least_lately_is_forgotten() {
        let documents = Documents::default();
        let first = documents.read("{ a }").unwrap();
        for number in 0..KNOWN_MAX.get() {
            documents.read(&format!("{{ a{number} }}")).unwrap();
        }
        assert!(!Arc::ptr_eq(&first, &documents.read("{ a }").unwrap()));
    }
}
