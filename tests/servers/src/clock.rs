//! A wall clock that jumps under a process, by Debian's libfaketime: it answers in place of the system, as a file says.
//! The clock that only counts on is left alone, as it is where somebody sets a machine's time.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Place, installed};

/// The wall clock of the processes that were given it.
#[derive(Debug)]
pub struct WallClock {
    library: PathBuf,
    place: Place,
}

/// In which direction a clock jumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jump {
    /// It shows a later time than it is.
    Ahead(Duration),
    /// It shows an earlier time than it is.
    Behind(Duration),
    /// It shows the time again.
    Back,
}

impl WallClock {
    /// A clock that shows the time.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "it looks for the library, and makes a file")]
    pub fn new() -> Self {
        let clock = Self { library: installed("libfaketime.so"), place: Place::new() };
        clock.jump(Jump::Back);
        clock
    }

    /// What a process is started with so that it looks at this clock.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("LD_PRELOAD", self.library.clone()),
            ("FAKETIME_TIMESTAMP_FILE", self.file()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("FAKETIME_NO_CACHE", "1".into()),
        ]
    }

    /// Jumps, for all of the processes at once. Processes that run see it with their next look.
    pub fn jump(&self, jump: Jump) {
        let offset = match jump {
            Jump::Ahead(by) => format!("+{}", by.as_secs()),
            Jump::Behind(by) => format!("-{}", by.as_secs()),
            Jump::Back => "+0".to_owned(),
        };
        let next = self.place.join("next");
        std::fs::write(&next, offset).expect("a file");
        // At once, so that nobody reads half of it.
        std::fs::rename(&next, self.file()).expect("a file");
    }

    fn file(&self) -> PathBuf {
        self.place.join("offset")
    }
}
