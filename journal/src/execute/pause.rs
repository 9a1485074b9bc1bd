//! How long a command waits before it is tried again.

use std::time::Duration;

use domain::commit::Context;

/// The first pause between tries; each is twice the one before.
const PAUSE_MS_FIRST: u64 = 10;

/// Waits longer after each conflict, by a length that differs between commands: two that collided do not again.
pub(super) async fn pause_after_conflict(attempt: u32, context: &Context) {
    let longest = PAUSE_MS_FIRST << attempt;
    let share = u64::from(context.commit_id.as_bytes().last().copied().unwrap_or_default());
    pause_for(longest / 2 + longest * share / 512).await;
}

/// Waits longer after each try whose outcome is not known.
pub(super) async fn pause_in_doubt(attempt: u32) {
    pause_for(PAUSE_MS_FIRST << attempt).await;
}

/// Without a runtime there is nobody to wait for: tests on one thread go on at once.
async fn pause_for(pause_ms: u64) {
    if tokio::runtime::Handle::try_current().is_ok() {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
    }
}
