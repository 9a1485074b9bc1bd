//! The terminal: data to stdout, talk to stderr, colour where it is wanted, and nothing of the server's that moves it.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, OnceLock};

use clap::ValueEnum;
use console::Term;
use domain::Time;
use reconcilers::{Clock as _, WallClock};

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where a command speaks.
#[derive(Clone, Debug)]
pub(crate) struct Terminal {
    /// Data may be coloured.
    pub(crate) colour_data: bool,
    /// Talk may be coloured.
    pub(crate) colour_talk: bool,
    /// Talk may be redrawn.
    pub(crate) live: bool,
    /// Data is kept for a program: what a person would read goes to the talk.
    talks_only: bool,
    /// Why the first data that could not be written could not.
    lost: Arc<OnceLock<String>>,
}

impl Terminal {
    /// Looks at the terminal and the environment.
    pub(crate) fn new(colour: Colour) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let plain = dumb || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let wanted = |terminal: bool| match colour {
            Colour::Auto => terminal && !plain,
            Colour::Always => true,
            Colour::Never => false,
        };
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self {
            colour_data: wanted(out),
            colour_talk: wanted(err),
            live: err && !dumb,
            talks_only: false,
            lost: Arc::default(),
        }
    }

    /// The same terminal for a part of a command whose data is not the command's.
    pub(crate) fn without_data(&self) -> Self {
        Self { talks_only: true, ..self.clone() }
    }

    /// Prints data.
    pub(crate) fn print(&self, text: &str) {
        if self.talks_only {
            return self.say(text);
        }
        if let Err(error) = writeln!(io::stdout(), "{text}")
            // Whoever reads may have gone: `cairn get … | head`.
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            let _ = self.lost.set(error.to_string());
        }
    }

    /// Why data that was printed did not arrive, such as on a full disk.
    pub(crate) fn lost(&self) -> Option<&str> {
        let _ = io::stdout().flush();
        self.lost.get().map(String::as_str)
    }

    /// Says something to the person.
    pub(crate) fn say(&self, text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Replaces the last `lines` lines of talk.
    pub(crate) fn redraw(&self, lines: usize, text: &str) {
        let term = Term::stderr();
        let _ = term.clear_last_lines(lines);
        let _ = term.write_line(text);
    }

    /// The terminal's height and width.
    pub(crate) fn size(&self) -> (usize, usize) {
        let (height, width) = Term::stderr().size();
        (usize::from(height), usize::from(width))
    }

    /// Talk in red.
    pub(crate) fn red(&self, text: &str) -> String {
        paint(self.colour_talk, "31;1", text)
    }

    /// Talk in bold.
    pub(crate) fn bold(&self, text: &str) -> String {
        paint(self.colour_talk, "1", text)
    }
}

/// Colours a text, if at all.
pub(crate) fn paint(on: bool, code: &str, text: &str) -> String {
    if on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// Takes out of a text whatever would move the cursor, set a title or colour the screen.
pub(crate) fn clean(text: &str) -> String {
    let text = console::strip_ansi_codes(text);
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// How long it is since a moment, for people: `7s`, `4m`, `3h12m`, `5d`.
pub(crate) fn age(since: Time, now: Time) -> String {
    duration(now.micros_since(since) / 1_000_000)
}

/// A number of seconds, for people.
pub(crate) fn duration(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match () {
        () if seconds < 60 => format!("{seconds}s"),
        () if minutes < 10 && seconds % 60 != 0 => format!("{minutes}m{}s", seconds % 60),
        () if hours < 1 => format!("{minutes}m"),
        () if hours < 10 && minutes % 60 != 0 => format!("{hours}h{}m", minutes % 60),
        () if days < 2 => format!("{hours}h"),
        () => format!("{days}d"),
    }
}

/// The time by this machine's clock.
pub(crate) fn now() -> Time {
    WallClock.now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_text_cannot_move_the_cursor() {
        assert_eq!(clean("a\u{1b}[2Jb\u{1b}]0;title\u{7}c\rd\ne\tf"), "abcd\ne\tf");
    }

    #[test]
    fn ages_are_short() {
        let ages: Vec<_> = [0, 59, 61, 120, 700, 3_700, 40_000, 200_000].map(duration).into();
        assert_eq!(ages, ["0s", "59s", "1m1s", "2m", "11m", "1h1m", "11h", "2d"]);
    }

    #[test]
    fn colour_is_left_out_where_it_is_not_wanted() {
        assert_eq!(paint(false, "1", "x"), "x");
        assert_eq!(paint(true, "1", "x"), "\u{1b}[1mx\u{1b}[0m");
    }
}
