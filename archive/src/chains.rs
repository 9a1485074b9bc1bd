//! The end of every stream, to check that the next commit continues it.

use std::collections::HashMap;

use domain::commit::Hash;
use journal::Breakage;

use crate::outline::{Outline, StreamKey};

/// Some 100 bytes a stream.
#[derive(Default)]
pub(crate) struct Chains(HashMap<StreamKey, (u64, Hash)>);

impl Chains {
    /// Checks that a commit continues its stream, and takes it as the end.
    pub(crate) fn extend(&mut self, outline: &Outline) -> Result<(), Breakage> {
        let end = self.0.entry(outline.stream).or_default();
        continues(*end, outline)?;
        *end = (outline.last_version(), outline.hash);
        Ok(())
    }

    /// As [`Chains::extend`], but the first commit of a stream that is seen may be any.
    pub(crate) fn extend_from_anywhere(&mut self, outline: &Outline) -> Result<(), Breakage> {
        let before = (outline.first_version.saturating_sub(1), outline.prev_hash);
        let end = self.0.entry(outline.stream).or_insert(before);
        continues(*end, outline)?;
        *end = (outline.last_version(), outline.hash);
        Ok(())
    }

    pub(crate) fn streams(&self) -> u64 {
        self.0.len() as u64
    }
}

fn continues((version, hash): (u64, Hash), next: &Outline) -> Result<(), Breakage> {
    let expected = version.saturating_add(1);
    if next.first_version != expected {
        return Err(Breakage::Version { expected, found: next.first_version });
    }
    if next.prev_hash != hash {
        return Err(Breakage::Chain { stated: next.prev_hash, actual: hash });
    }
    Ok(())
}
