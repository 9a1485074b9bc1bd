//! Transcripts: every line that begins with `$ ` is run, and what it says must be what the file says.
//!
//! Data is shown as it is, talk behind `! `, an exit code other than 0 as `[exit N]`. What differs from run to run
//! (ids, times, ages, ports, positions) is replaced, and runs of spaces are shortened because columns are as wide as
//! what stands in them. `BLESS=1` writes what was said.

use std::path::Path;
use std::process::Output;

use crate::plane::Plane;

/// Fast: a transcript is about what is said, not about how long it takes.
const SPEED: u32 = 200;

/// Runs a transcript and compares.
fn play(name: &str, plane: &Plane) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/transcripts/{name}.txt"));
    let expected = std::fs::read_to_string(&path).unwrap();
    let mut said = String::new();
    for line in expected.lines() {
        if line.starts_with('#') || line.starts_with("$ ") {
            said += &format!("{}{line}\n", if said.is_empty() { "" } else { "\n" });
        }
        if let Some(command) = line.strip_prefix("$ ") {
            said += &shown(&run(command, plane), plane);
        }
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &said).unwrap();
        return;
    }
    assert!(
        said == expected,
        "{name}.txt differs:\n{}\n`BLESS=1`, and read the diff",
        difference(&expected, &said)
    );
}

/// The first lines that differ.
fn difference(expected: &str, said: &str) -> String {
    let pairs = expected.lines().zip(said.lines());
    let same = pairs.take_while(|(a, b)| a == b).count();
    let some = |text: &str| text.lines().skip(same).take(12).collect::<Vec<_>>().join("\n");
    format!("line {}: expected\n{}\n--- said\n{}", same + 1, some(expected), some(said))
}

/// Runs a line: `VARIABLE=value cairn …`, with `'…'` around words that hold spaces.
fn run(line: &str, plane: &Plane) -> Output {
    let words = words(line);
    let variables = words.iter().take_while(|word| *word != "cairn").count();
    let mut command = plane.command(env!("CARGO_BIN_EXE_cairn"));
    for word in words.iter().take(variables) {
        let (name, value) = word.split_once('=').unwrap();
        command.env(name, value);
    }
    command.args(words.iter().skip(variables + 1)).output().unwrap()
}

fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for character in line.chars() {
        match character {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            character => word.push(character),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

fn shown(output: &Output, plane: &Plane) -> String {
    let mut text = String::new();
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        // Which step is seen at which moment is chance.
        if !line.starts_with('[') {
            text += format!("! {}", same(line, plane)).trim_end();
            text += "\n";
        }
    }
    for line in String::from_utf8_lossy(&output.stdout).lines().filter(|line| !is_activity(line)) {
        text += &format!("{}\n", same(line, plane));
    }
    match output.status.code() {
        Some(0) => text,
        code => format!("{text}[exit {}]\n", code.unwrap_or(-1)),
    }
}

/// A line of the log, as `why` and `events` show it: how many there are is chance.
fn is_activity(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.next().is_some_and(|word| word.parse::<u64>().is_ok())
        && words.next().is_some_and(|word| word.starts_with("20") && word.contains('-'))
}

/// A line without what differs from run to run.
fn same(line: &str, plane: &Plane) -> String {
    let line = line.replace(&plane.folder.path().display().to_string(), "<folder>");
    let line = line.replace(&plane.port.to_string(), "<port>");
    let indent = line.len() - line.trim_start_matches([' ', '│', '├', '└', '─']).len();
    let (start, rest) = line.split_at(indent);
    let mut text = String::new();
    let mut word = String::new();
    let mut before = String::new();
    for character in rest.chars().chain([' ']) {
        if character.is_alphanumeric() || "-:.<>_/T".contains(character) {
            word.push(character);
            continue;
        }
        if !word.is_empty() {
            text += &plain(&word, &before);
            before = std::mem::take(&mut word);
        }
        // Three spaces are as good as two.
        if character != ' ' || !text.ends_with("  ") {
            text.push(character);
        }
    }
    format!("{start}{text}").trim_end().to_owned()
}

/// A word without what differs from run to run.
fn plain(word: &str, before: &str) -> String {
    let end = word.len()
        - word.chars().rev().take_while(|c| ":.".contains(*c)).map(char::len_utf8).sum::<usize>();
    let (core, tail) = word.split_at(end);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let shape: String = core.chars().map(|c| if c.is_ascii_hexdigit() { 'x' } else { c }).collect();
    let age = || {
        let numbers: Vec<_> = core.split_inclusive(['s', 'm', 'h', 'd']).collect();
        !core.is_empty()
            && numbers.iter().all(|part| digits(part.get(..part.len() - 1).unwrap_or_default()))
            && core.ends_with(['s', 'm', 'h', 'd'])
    };
    let replaced = match () {
        () if shape == "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" => "<uuid>".to_owned(),
        () if core.starts_with("sim:") => {
            let (kind, _) = core.rsplit_once(':').unwrap();
            format!("{kind}:<id>")
        }
        () if core.rsplit_once("127.0.0.1:").is_some_and(|(_, port)| digits(port)) => {
            let (address, _) = core.rsplit_once(':').unwrap();
            format!("{address}:<port>")
        }
        () if shape == "xxxx-xx-xx" && core.starts_with("20") => "<date>".to_owned(),
        () if shape == "xx:xx:xx" => "<time>".to_owned(),
        () if core.starts_with("20") && core.contains('T') && core.contains(':') => {
            "<time>".to_owned()
        }
        () if age() => "<age>".to_owned(),
        () if digits(core) && ["position", "as-of", "--as-of"].contains(&before) => {
            "<n>".to_owned()
        }
        () => core.to_owned(),
    };
    replaced + tail
}

#[test]
fn what_differs_from_run_to_run_is_replaced() {
    let plane = Plane::new(1);
    let line = "  a 0198f0a2-0000-7000-8000-000000000000 at 2026-11-21 14:53:53 (position 171), 12s     1m3s x2s 404";
    assert_eq!(
        same(line, &plane),
        "  a <uuid> at <date> <time> (position <n>), <age>  <age> x2s 404"
    );
    assert_eq!(
        same("sim:workload:5e21d4d1fc7e is ready: 16", &plane),
        "sim:workload:<id> is ready: 16"
    );
}

#[test]
fn demo() {
    play("demo", &Plane::new(1));
}

#[test]
fn shop() {
    play("shop", &Plane::up(SPEED));
}

#[test]
fn mistakes() {
    play("mistakes", &Plane::up(SPEED));
}

#[test]
fn without_a_server() {
    play("without-a-server", &Plane::new(1));
}
