//! Moments of the past, as people write them.

use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp, civil};

/// Reads a moment for `--as-of`: a position of the log, a time as any command prints it, a date, or how long ago.
/// What the server is told is a position or RFC 3339.
///
/// # Errors
/// It is none of these.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    moment(text, Timestamp::now()).ok_or_else(|| {
        "a moment is a position such as 42, a time such as 2026-11-21T12:00:00Z or `2026-11-21 12:00:00` (UTC), \
         a date, or how long ago, such as 10m, 2h, 3d or 1w"
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
    // Months and years are not all of one length: whoever means them writes the date.
    let ago = ago.parse::<Span>().ok()?.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    if ago.is_negative() {
        return None;
    }
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
            ("10d", "2026-11-11T12:00:00Z"),
            ("1w2d", "2026-11-12T12:00:00Z"),
            ("3 days ago", "2026-11-18T12:00:00Z"),
        ] {
            assert_eq!(moment(text, now).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "yesterday", "-5m", "2026-13-01", "1mo", "2 years"] {
            assert_eq!(moment(text, now), None, "{text}");
        }
    }
}
