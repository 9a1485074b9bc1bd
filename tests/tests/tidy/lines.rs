//! Rules that look at one line, or count them.

use super::tree::Tree;

/// The longest Rust file: what one reading takes in.
const LINES_MAX: usize = 400;

/// Words that say nothing about what is in a file.
const EMPTY_NAMES: &[&str] =
    &["core", "common", "util", "utils", "manager", "helper", "helpers", "misc", "stuff"];

/// The lock file names the registry, as it must; it is nobody's prose.
const LOCK: &str = "Cargo.lock";

/// Reports each line of a file that `is_bad`, as `path:line: what`.
fn report(path: &str, text: &str, what: &str, is_bad: impl Fn(&str) -> bool) -> Vec<String> {
    let bad = text.lines().enumerate().filter(|(_, line)| is_bad(line));
    bad.map(|(index, line)| format!("{path}:{}: {what}: {}", index + 1, line.trim())).collect()
}

/// Whether `word` is in the line, and not inside a longer word.
fn has_word(line: &str, word: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(start, _)| {
        let before = line.get(..start).and_then(|text| text.chars().next_back());
        let after = line.get(start + word.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(letter) && !after.is_some_and(letter)
    })
}

pub(crate) fn too_long(tree: &Tree) -> Vec<String> {
    let counted = tree.ending(".rs").map(|(path, text)| (path, text.lines().count()));
    counted
        .filter(|(_, count)| *count > LINES_MAX)
        .map(|(path, count)| format!("{path}: {count} lines; split it by meaning"))
        .collect()
}

pub(crate) fn left_for_later(tree: &Tree) -> Vec<String> {
    // Written in two halves, so that this file keeps the rule that it checks.
    let words =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX"), concat!("HA", "CK")];
    let marks = [
        concat!("todo", "!"),
        concat!("unimplemented", "!"),
        concat!("dbg", "!("),
        concat!("#[ig", "nore"),
    ];
    let code = tree.files().filter(|(path, _)| is_code(path));
    code.flat_map(|(path, text)| {
        report(path, text, "left for later", |line| {
            words.iter().any(|word| has_word(line, word))
                || marks.iter().any(|mark| line.contains(mark))
        })
    })
    .collect()
}

fn is_code(path: &str) -> bool {
    let ends = [".rs", ".toml", ".sh", ".sql", ".graphql"];
    ends.iter().any(|end| path.ends_with(end)) || is_script(path)
}

fn is_script(path: &str) -> bool {
    path == "Makefile" || path.starts_with(".ci/") || path.ends_with(".sh")
}

pub(crate) fn sleeping_tests(tree: &Tree) -> Vec<String> {
    let sleep = concat!("sle", "ep(");
    let rust = tree.ending(".rs").filter_map(|(path, text)| {
        let from = if is_test_file(path) { 0 } else { text.find("#[cfg(test)]")? };
        Some((path, text.get(..from)?.lines().count(), text.get(from..)?))
    });
    rust.flat_map(|(path, skipped, text)| {
        let bad = text.lines().enumerate().filter(|(_, line)| line.contains(sleep));
        bad.map(move |(index, _)| {
            format!("{path}:{}: a test waits for an event, not for a time", skipped + index + 1)
        })
    })
    .collect()
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').rev().skip(1).any(|folder| folder == "tests")
}

pub(crate) fn machine_paths(tree: &Tree) -> Vec<String> {
    let roots = [
        concat!("/wo", "rk/"),
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
        concat!("/ro", "ot/"),
    ];
    let starts_there = |line: &str, root: &str| {
        line.match_indices(root).any(|(start, _)| {
            let before = line.get(..start).and_then(|text| text.chars().next_back());
            !before.is_some_and(|c| c.is_alphanumeric() || "._-}/".contains(c))
        })
    };
    let files = tree.files().filter(|(path, _)| *path != LOCK);
    files
        .flat_map(|(path, text)| {
            report(path, text, "a path of one machine", |line| {
                roots.iter().any(|root| starts_there(line, root))
            })
        })
        .collect()
}

pub(crate) fn registry_hosts(tree: &Tree) -> Vec<String> {
    let hosts = [
        ("crates", "io"),
        ("pypi", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("proxy.golang", "org"),
    ]
    .map(|(name, end)| format!("{name}.{end}"));
    let files = tree.files().filter(|(path, _)| *path != LOCK);
    files
        .flat_map(|(path, text)| {
            report(path, text, "a registry's host", |line| {
                hosts.iter().any(|host| line.contains(host))
            })
        })
        .collect()
}

/// What a build needs comes by package name through the package managers, never from an address.
pub(crate) fn hosts_in_build_files(tree: &Tree) -> Vec<String> {
    let build = tree.files().filter(|(path, _)| path.ends_with(".toml") || is_script(path));
    let here = ["127.0.0.1", "localhost", "[::1]"];
    build
        .flat_map(|(path, text)| {
            report(path, text, "an address", |line| {
                let mut addresses = line.split(concat!(":", "//")).skip(1);
                addresses.any(|rest| !here.iter().any(|host| rest.starts_with(host)))
            })
        })
        .collect()
}

pub(crate) fn empty_names(tree: &Tree) -> Vec<String> {
    let says_nothing = |path: &str| {
        let mut parts = path.split('/').map(|part| part.split('.').next().unwrap_or(part));
        parts.any(|part| EMPTY_NAMES.contains(&part))
    };
    let empty = tree.ending(".rs").filter(|(path, _)| says_nothing(path));
    empty.map(|(path, _)| format!("{path}: name it after what is in it")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn bites(rule: fn(&Tree) -> Vec<String>, path: &str, text: &str) {
        assert_eq!(
            rule(&Tree::planted(&[(path, text)])).len(),
            1,
            "{path}: {text:?} is found once"
        );
    }

    #[track_caller]
    fn passes(rule: fn(&Tree) -> Vec<String>, path: &str, text: &str) {
        assert_eq!(rule(&Tree::planted(&[(path, text)])), Vec::<String>::new());
    }

    #[test]
    fn one_line_too_many_is_found() {
        bites(too_long, "a/src/lib.rs", &"\n".repeat(LINES_MAX + 1));
        passes(too_long, "a/src/lib.rs", &"\n".repeat(LINES_MAX));
        passes(too_long, "README.md", &"\n".repeat(LINES_MAX + 1));
    }

    #[test]
    fn what_is_left_for_later_is_found() {
        bites(left_for_later, "a.rs", concat!("// TO", "DO: all of it"));
        bites(left_for_later, "Makefile", concat!("# FIX", "ME"));
        bites(left_for_later, "a.rs", concat!("todo", "!()"));
        bites(left_for_later, "a.rs", concat!("#[ig", "nore = \"slow\"]"));
        passes(left_for_later, "a.rs", "let mastodon = HACKNEY;");
    }

    #[test]
    fn a_sleeping_test_is_found_and_a_sleeping_driver_is_not() {
        bites(sleeping_tests, "a/tests/it.rs", concat!("sle", "ep(SECOND).await;"));
        bites(sleeping_tests, "a/src/x/tests.rs", concat!("thread::sle", "ep(SECOND);"));
        let driver = concat!("time::sle", "ep(backoff).await;");
        passes(sleeping_tests, "a/src/driver.rs", driver);
        bites(
            sleeping_tests,
            "a/src/driver.rs",
            &format!("{driver}\n#[cfg(test)]\nmod tests {{ {driver} }}"),
        );
    }

    #[test]
    fn paths_and_hosts_of_one_machine_are_found() {
        bites(machine_paths, "a.md", concat!("see /wo", "rk/main"));
        bites(machine_paths, "a.rs", concat!("\"/ho", "me/ada/x\""));
        passes(machine_paths, "a.rs", concat!("https://example.org/wo", "rk/x"));
        bites(registry_hosts, "a.md", concat!("from crates", ".io"));
        bites(hosts_in_build_files, "Makefile", concat!("curl https:", "//example.org/x.tar.gz"));
        passes(hosts_in_build_files, "Makefile", concat!("curl http:", "//127.0.0.1:7000/livez"));
        passes(hosts_in_build_files, "README.md", concat!("https:", "//example.org"));
    }

    #[test]
    fn a_name_that_says_nothing_is_found() {
        bites(empty_names, "api/src/utils.rs", "");
        bites(empty_names, "core/src/lib.rs", "");
        passes(empty_names, "api/src/score.rs", "");
    }
}
