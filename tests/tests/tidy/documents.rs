//! What the documents promise is there: links, make targets, guards of invariants, decision records.

use super::tree::Tree;

/// How many invariants the design has.
const INVARIANTS: usize = 15;
/// The longest decision record.
const RECORD_LINES_MAX: usize = 40;

pub(crate) fn broken_links(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in tree.ending(".md") {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for link in links(text) {
            if !tree.has(&resolve(folder, link)) {
                found.push(format!("{path}: the link to {link} leads nowhere"));
            }
        }
    }
    found
}

/// The relative targets of links outside code, without their fragments.
fn links(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if !fenced {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            let targets = targets.map(|target| target.split('#').next().unwrap_or(target));
            found.extend(targets.filter(|target| !target.is_empty() && !target.contains(':')));
        }
    }
    found
}

fn resolve(folder: &str, link: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

pub(crate) fn missing_targets(tree: &Tree) -> Vec<String> {
    let makefile = tree.text("Makefile").unwrap_or_default();
    let rules: Vec<&str> = makefile
        .lines()
        .filter(|line| !line.starts_with(['\t', '#', '.', ' ']))
        .filter_map(|line| line.split_once(':').filter(|(_, rest)| !rest.starts_with('=')))
        .flat_map(|(names, _)| names.split_whitespace())
        .collect();
    let mut found = Vec::new();
    for (path, text) in tree.ending(".md") {
        for target in named_targets(text) {
            if !rules.contains(&target.as_str()) {
                found.push(format!("{path}: `make {target}` is not in the Makefile"));
            }
        }
    }
    found
}

/// The targets of `make` at the start of a piece of code: after a backtick, a prompt or a line's indent.
fn named_targets(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            found.extend(target(line.trim_start().trim_start_matches("$ ")));
        } else {
            found.extend(line.split('`').skip(1).step_by(2).filter_map(target));
        }
    }
    found
}

fn target(code: &str) -> Option<String> {
    let name = code.strip_prefix("make ")?.split_whitespace().next()?;
    Some(name.to_owned()).filter(|name| !name.contains('='))
}

pub(crate) fn unguarded_invariants(tree: &Tree) -> Vec<String> {
    let text = tree.text("ARCHITECTURE.md").unwrap_or_default();
    let rows: Vec<&str> = (1..=INVARIANTS)
        .filter_map(|number| text.lines().find(|line| line.starts_with(&format!("| {number} |"))))
        .collect();
    let mut found = Vec::new();
    if rows.len() != INVARIANTS {
        found.push(format!("ARCHITECTURE.md lists {} of {INVARIANTS} invariants", rows.len()));
    }
    for row in rows {
        let guards: Vec<&str> = row.split('`').skip(1).step_by(2).filter_map(guard).collect();
        if guards.is_empty() && !row.contains("not yet:") {
            found.push(format!("neither a guard nor `not yet:` and why: {row}"));
        }
        let missing = guards.into_iter().filter(|guard| !is_defined(tree, guard));
        found.extend(missing.map(|guard| format!("ARCHITECTURE.md: no test is called {guard}")));
    }
    found
}

/// The test's name in `crate::test_name`.
fn guard(code: &str) -> Option<&str> {
    code.contains("::").then(|| code.rsplit("::").next()).flatten()
}

fn is_defined(tree: &Tree, test: &str) -> bool {
    let definition = format!("fn {test}(");
    tree.ending(".rs").any(|(_, text)| text.contains(&definition))
}

pub(crate) fn untidy_records(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in tree.ending(".md").filter(|(path, _)| path.starts_with("docs/adr/")) {
        for part in ["## Context", "## Decision", "## Rejected", "## Consequences"] {
            if !text.contains(part) {
                found.push(format!("{path}: {part} is missing"));
            }
        }
        if text.lines().count() > RECORD_LINES_MAX {
            found.push(format!("{path}: longer than {RECORD_LINES_MAX} lines"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let text = "[a](../README.md#top) [b](gone.md) [c](#here) [d](https://example.org)\n```\n[e](code)\n```\n";
        let planted = Tree::planted(&[("docs/x.md", text), ("README.md", "[docs](docs)")]);
        assert_eq!(broken_links(&planted), ["docs/x.md: the link to gone.md leads nowhere"]);
    }

    #[test]
    fn a_make_target_that_does_not_exist_is_found() {
        let text =
            "`make test` and `make peace`\n```sh\nmake test\nmake war ONCE=1\n```\nThey make do.";
        let planted = Tree::planted(&[
            ("README.md", text),
            ("Makefile", "X := 1\ntest: build\n\tmake war\n"),
        ]);
        let found = missing_targets(&planted);
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn an_invariant_without_a_guard_is_found() {
        let row = |number: usize, guard: &str| format!("| {number} | pure | {guard} |\n");
        let mut text: String = (1..=13).map(|number| row(number, "not yet: no code")).collect();
        text += &row(14, "`a::it_settles`");
        text += &row(15, "`a::it_is_lost`");
        let planted =
            Tree::planted(&[("ARCHITECTURE.md", &text), ("a/src/lib.rs", "fn it_settles() {}")]);
        assert_eq!(
            unguarded_invariants(&planted),
            ["ARCHITECTURE.md: no test is called it_is_lost"]
        );
        let planted = Tree::planted(&[("ARCHITECTURE.md", "| 1 | pure | nobody |\n")]);
        assert_eq!(unguarded_invariants(&planted).len(), 2);
    }

    #[test]
    fn a_record_without_its_parts_is_found() {
        let whole = "## Context\n## Decision\n## Rejected\n## Consequences\n";
        assert_eq!(untidy_records(&Tree::planted(&[("docs/adr/1.md", whole)])).len(), 0);
        assert_eq!(untidy_records(&Tree::planted(&[("docs/adr/1.md", "## Context")])).len(), 3);
        let long = format!("{whole}{}", "\n".repeat(RECORD_LINES_MAX));
        assert_eq!(untidy_records(&Tree::planted(&[("docs/adr/1.md", &long)])).len(), 1);
    }
}
