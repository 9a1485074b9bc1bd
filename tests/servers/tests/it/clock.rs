//! A clock that jumps.

use std::path::Path;
use std::time::{Duration, SystemTime};

use servers::clock::{Jump, WallClock};
use servers::{Place, Process, until};

const HOUR: Duration = Duration::from_secs(3_600);

/// The last time that a process wrote down, as seconds since 1970.
fn seen(log: &Path) -> Option<u64> {
    std::fs::read_to_string(log).ok()?.lines().last()?.parse().ok()
}

#[test]
fn a_running_process_sees_it_jump_and_nobody_else_does() {
    let (place, clock) = (Place::new(), WallClock::new());
    let log = place.join("times");
    let script = "while :; do date +%s; done";
    let process = Process::new(Path::new("/bin/bash"), &["-c", script], None, &log);
    let process = process.with_environment(&clock.environment());
    process.start();
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let near = |wanted: u64| seen(&log).filter(|seen| seen.abs_diff(wanted) < 60);
    until("the time", || near(now()));
    for (jump, wanted) in [
        (Jump::Ahead(HOUR), now() + HOUR.as_secs()),
        (Jump::Behind(HOUR), now() - HOUR.as_secs()),
        (Jump::Back, now()),
    ] {
        clock.jump(jump);
        until("the jump", || near(wanted));
    }
    process.stop();
}
