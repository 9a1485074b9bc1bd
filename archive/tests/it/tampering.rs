//! Tampering: each kind is a named case, done to a log, an archive or a bundle that is whole, and each is found.

mod archives;
mod bundles;
mod logs;

use std::error::Error;

use archive::ArchiveError;

/// Everything that an error says.
fn said(error: &ArchiveError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

/// Checks that a case was found, and for the reason that it should be.
#[track_caller]
fn assert_found<T: std::fmt::Debug>(case: &str, result: Result<T, ArchiveError>, expected: &str) {
    match result {
        Ok(accepted) => panic!("{case}: it was not found: {accepted:?}"),
        Err(error) => {
            let said = said(&error);
            assert!(said.contains(expected), "{case}: {said:?} does not say {expected:?}");
        }
    }
}
