//! Why a server cannot start: what is in the way, and what to do about it. The same cause ends the same way, whichever
//! command meets it: what has to be corrected in the command line or in a file is [`Exit::Invalid`], what has to be
//! changed on the machine is [`Exit::Unreachable`], and a log that is not whole is [`Exit::Damaged`].

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;

use api::TokensError;
use journal::JournalError;
use journal::sqlite::OpenError;
use projections::StoreError;

use super::caused;
use crate::failure::{Exit, Failure};

/// What to do about a log that is not whole.
pub(crate) const DAMAGED: &str = "keep the folder as it is, and restore the log from its archive: \
     `cairn admin restore --from ARCHIVE --data-dir NEW-FOLDER`";

/// A folder or a file that cannot be used.
pub(crate) fn folder(path: &Path, error: &io::Error) -> Failure {
    let (exit, hint) = remedy(error);
    Failure::new(exit, format!("cannot use {}: {error}", path.display())).hint(hint)
}

/// An address that cannot be listened on.
pub(crate) fn address(address: SocketAddr, error: &io::Error) -> Failure {
    let hint = if error.kind() == ErrorKind::AddrInUse {
        "is another Cairn running there? stop it, or choose another address with --listen"
    } else if error.kind() == ErrorKind::PermissionDenied {
        "choose a port above 1023 with --listen"
    } else {
        "choose an address of this machine with --listen, such as 127.0.0.1:7117"
    };
    Failure::new(Exit::Unreachable, format!("cannot listen on {address}: {error}")).hint(hint)
}

/// The log of a data folder that cannot be opened.
pub(super) fn log(folder: &Path, error: &OpenError) -> Failure {
    let failed = |exit| {
        let failure = Failure::new(exit, format!("cannot use {}: {error}", folder.display()));
        // What lies behind SQLite's word is its number.
        super::causes(error).skip(1).take(1).map(ToString::to_string).fold(failure, Failure::detail)
    };
    let stuck = failed(Exit::Unreachable);
    match error {
        OpenError::InUse { .. } => {
            stuck.hint("stop the other one first, or name another folder with --data-dir")
        }
        OpenError::Directory { source, .. } => {
            let (exit, hint) = remedy(source);
            failed(exit).hint(hint)
        }
        OpenError::Newer { .. } => stuck.hint("start the Cairn that wrote it, or a newer one"),
        OpenError::Foreign(_) => failed(Exit::Invalid)
            .hint("it is another program's: name another folder with --data-dir"),
        OpenError::Unreadable(_) | OpenError::Journal(JournalError::Damaged { .. }) => {
            failed(Exit::Damaged).hint(DAMAGED)
        }
        OpenError::Journal(_) | OpenError::Sqlite(_) => {
            stuck.hint("check that the disk has room, and that the folder's files can be written")
        }
        OpenError::Thread(_) => stuck.hint("stop other programs, or raise the limit of threads"),
    }
}

/// Views of a data folder that cannot be opened. They are made anew from the log, so nothing is lost with them.
pub(super) fn views(folder: &Path, error: &StoreError) -> Failure {
    let failure = Failure::new(Exit::Unreachable, format!("cannot use {}", folder.display()));
    let failure = caused(failure, error);
    let anew = format!("remove {}: the views are built anew from the log", folder.display());
    match error {
        StoreError::Shape | StoreError::Schema { .. } | StoreError::Unavailable { .. } => {
            failure.hint(anew)
        }
        StoreError::Fenced | StoreError::Replaced => failure.hint("start again"),
    }
}

/// Tokens that cannot be read or written.
pub(super) fn tokens(error: &TokensError) -> Failure {
    match error {
        TokensError::File { path, source } => folder(path, source),
        TokensError::Unreadable { path, source } => {
            let what = format!("{} is not a file of tokens: {source}", path.display());
            Failure::new(Exit::Invalid, what).hint(
                "correct it, or remove it: `cairn up` makes a new token, and the old ones end",
            )
        }
        TokensError::TooMany => Failure::new(Exit::Invalid, error.to_string())
            .hint("take those that nobody uses out of tokens.json"),
    }
}

/// The simulated world of a data folder that cannot be opened.
pub(super) fn world(error: &sim::StoreError) -> Failure {
    match error {
        sim::StoreError::File { path, source } => folder(path, source),
        sim::StoreError::Damaged { path, .. } => {
            let remove = format!("remove {}: the simulated world begins anew", path.display());
            caused(Failure::new(Exit::Invalid, "the simulated world cannot be read"), error)
                .hint(remove)
        }
    }
}

/// What to do about a file system's refusal, and how it ends the command.
fn remedy(error: &io::Error) -> (Exit, &'static str) {
    let is = |kinds: &[ErrorKind]| kinds.contains(&error.kind());
    if is(&[ErrorKind::AlreadyExists, ErrorKind::NotADirectory]) {
        let hint = "a file stands where the folder should be: name a folder with --data-dir";
        return (Exit::Invalid, hint);
    }
    let hint = if is(&[ErrorKind::PermissionDenied]) {
        "give yourself the right to write there, or name another folder with --data-dir"
    } else if is(&[ErrorKind::ReadOnlyFilesystem]) {
        "the disk can only be read: name another folder with --data-dir"
    } else if is(&[ErrorKind::StorageFull, ErrorKind::QuotaExceeded]) {
        "make room on the disk, or name another folder with --data-dir"
    } else {
        "check the path, or name another folder with --data-dir"
    };
    (Exit::Unreachable, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_cause_ends_the_same_way_whoever_meets_it() {
        let denied = || io::Error::from(ErrorKind::PermissionDenied);
        let path = Path::new("/data");
        let directory = path.to_owned();
        for failure in [
            folder(path, &denied()),
            log(path, &OpenError::Directory { directory, source: denied() }),
            tokens(&TokensError::File { path: path.join("tokens.json"), source: denied() }),
        ] {
            assert_eq!(failure.exit, Exit::Unreachable, "{failure:?}");
            assert!(format!("{failure:?}").contains("give yourself the right"), "{failure:?}");
        }
        assert_eq!(folder(path, &ErrorKind::NotADirectory.into()).exit, Exit::Invalid);
    }
}
