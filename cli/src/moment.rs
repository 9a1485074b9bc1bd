//! Moments of the past, as people write them.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, civil};

/// Reads a moment for `--as-of`: a position of the log, a time as any command prints it, a date, or how long ago.
/// What the server is told is a position or RFC 3339.
///
/// # Errors
/// It is none of these.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    moment(text, Timestamp::now()).ok_or_else(|| {
        "a moment is a position such as 42, a time such as 2026-11-21T12:00:00Z or `2026-11-21 12:00:00` (UTC), \
         a date, or how long ago, such as 10m or 2h"
            .to_owned()
    })
}

fn moment(text: &str, now: Timestamp) -> Option<String> {
    let text = text.trim();
    if text.parse::<u64>().is_ok() {
        return Some(text.to_owned());
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.to_string());
    }
    // What is printed without a zone is UTC.
    if let Ok(time) = text.parse::<civil::DateTime>() {
        return Some(TimeZone::UTC.to_timestamp(time).ok()?.to_string());
    }
    let ago = text.strip_suffix("ago").unwrap_or(text).trim();
    let ago: SignedDuration = ago.parse().ok().filter(|ago: &SignedDuration| !ago.is_negative())?;
    Some(now.checked_sub(ago).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_in_many_ways() {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("42", "42"),
            ("2026-11-21T11:00:00.5Z", "2026-11-21T11:00:00.5Z"),
            ("2026-11-21T11:00:00+02:00", "2026-11-21T09:00:00Z"),
            ("2026-11-21 11:00:00", "2026-11-21T11:00:00Z"),
            ("2026-11-20", "2026-11-20T00:00:00Z"),
            ("10m", "2026-11-21T11:50:00Z"),
            ("1h30m", "2026-11-21T10:30:00Z"),
            ("2h ago", "2026-11-21T10:00:00Z"),
        ] {
            assert_eq!(moment(text, now).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "yesterday", "-5m", "2026-13-01"] {
            assert_eq!(moment(text, now), None, "{text}");
        }
    }
}
