//! No dead module files: every Rust file is reached from a target by `mod` lines.

use std::collections::BTreeSet;

use super::tree::Tree;

/// Where the kinds are registered; a macro elsewhere that makes a module a kind takes the names from it.
const REGISTRY: &str = "domain/src/kinds.rs";

pub(crate) fn unreachable(tree: &Tree) -> Vec<String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<String> = tree
        .ending(".rs")
        .map(|(path, _)| path)
        .filter(|path| is_target(tree, path))
        .map(str::to_owned)
        .collect();
    while let Some(path) = open.pop() {
        let Some(text) = tree.text(&path) else { continue };
        if reached.insert(path.clone()) {
            open.extend(children(tree, &path, text));
        }
    }
    let dead = tree.ending(".rs").filter(|(path, _)| !reached.contains(*path));
    dead.map(|(path, _)| format!("{path}: no `mod` line reaches it")).collect()
}

/// What cargo compiles by itself: libraries, programs, tests, build scripts.
fn is_target(tree: &Tree, path: &str) -> bool {
    let Some((folder, name)) = path.rsplit_once('/') else { return path == "build.rs" };
    let has_manifest = |folder: &str| tree.text(&format!("{folder}/Cargo.toml")).is_some();
    let (parent, last) = folder.rsplit_once('/').unwrap_or(("", folder));
    let targets = ["tests", "examples", "benches"];
    match (last, name) {
        ("src", "lib.rs" | "main.rs") => has_manifest(parent),
        (_, "build.rs") if has_manifest(folder) => true,
        (last, _) if targets.contains(&last) => has_manifest(parent),
        ("bin", _) => parent.strip_suffix("/src").is_some_and(has_manifest),
        (_, "main.rs") => {
            let (above, sort) = parent.rsplit_once('/').unwrap_or(("", parent));
            targets.contains(&sort) && has_manifest(above)
        }
        _ => false,
    }
}

/// The files that the `mod` lines of a file name.
fn children(tree: &Tree, path: &str, text: &str) -> Vec<String> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = name.trim_end_matches(".rs");
    let own = is_target(tree, path) || stem == "mod";
    let inside = if own { folder.to_owned() } else { format!("{folder}/{stem}") };
    let named = declared(tree, text)
        .into_iter()
        .flat_map(|module| [format!("{inside}/{module}.rs"), format!("{inside}/{module}/mod.rs")]);
    let placed = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("#[path = \"")?.split('"').next())
        .map(|place| format!("{folder}/{place}"));
    named.chain(placed).collect()
}

/// The names after `mod`, those that a macro makes of the registry included.
fn declared(tree: &Tree, text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or(line);
        if let Some(name) = line.split("mod ").nth(1).and_then(|rest| rest.split(';').next()) {
            names.push(name.trim().to_owned());
        }
    }
    if names.iter().any(|name| name.starts_with('$')) {
        let registry = tree.text(REGISTRY).unwrap_or_default();
        for line in text.lines().chain(registry.lines()) {
            names.extend(line.split_once("=>").map(|(name, _)| name.trim().to_owned()));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_mod_line_is_found() {
        let planted = Tree::planted(&[
            ("a/Cargo.toml", ""),
            ("a/src/lib.rs", "pub mod live;\n// mod dead;\n"),
            ("a/src/live.rs", "mod inner;\n"),
            ("a/src/live/inner.rs", ""),
            ("a/src/dead.rs", ""),
            ("a/tests/it.rs", ""),
            ("a/tests/whole/main.rs", "mod part;"),
            ("a/tests/whole/part.rs", ""),
            ("a/tests/whole/lost.rs", ""),
        ]);
        let found = unreachable(&planted);
        assert_eq!(
            found,
            [
                "a/src/dead.rs: no `mod` line reaches it",
                "a/tests/whole/lost.rs: no `mod` line reaches it"
            ]
        );
    }

    #[test]
    fn a_kind_is_reached_through_the_registry() {
        let planted = Tree::planted(&[
            ("domain/Cargo.toml", ""),
            ("domain/src/lib.rs", "pub mod kinds;"),
            (REGISTRY, "bucket => Bucket,\n$(pub mod $module;)*"),
            ("domain/src/kinds/bucket.rs", ""),
            ("domain/src/kinds/cache.rs", ""),
        ]);
        assert_eq!(unreachable(&planted), ["domain/src/kinds/cache.rs: no `mod` line reaches it"]);
    }
}
