//! Versions and lints are said once, in the root manifest.

use super::tree::Tree;

pub(crate) fn own_versions(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in members(tree) {
        let mut section = "";
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                section = line;
            } else if section.ends_with("dependencies]") && line.contains('=') && !inherits(line) {
                found.push(format!("{path}: {line}: say the version in the root Cargo.toml"));
            }
        }
    }
    found
}

fn inherits(line: &str) -> bool {
    let line: String = line.chars().filter(|c| !c.is_whitespace()).collect();
    line.starts_with('#') || line.contains("workspace=true")
}

pub(crate) fn without_lints(tree: &Tree) -> Vec<String> {
    let bare = members(tree).filter(|(_, text)| !text.contains("[lints]\nworkspace = true"));
    bare.map(|(path, _)| format!("{path}: [lints] workspace = true is missing")).collect()
}

fn members(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.ending("/Cargo.toml").filter(|(_, text)| text.contains("[package]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_in_a_member_is_found() {
        let text =
            "[package]\nname = \"a\"\n[dependencies]\nserde.workspace = true\nrand = \"0.9\"\n";
        assert_eq!(own_versions(&Tree::planted(&[("a/Cargo.toml", text)])).len(), 1);
    }

    #[test]
    fn a_member_without_lints_is_found() {
        assert_eq!(without_lints(&Tree::planted(&[("a/Cargo.toml", "[package]\n")])).len(), 1);
        let whole = "[package]\n[lints]\nworkspace = true\n";
        assert_eq!(without_lints(&Tree::planted(&[("a/Cargo.toml", whole)])).len(), 0);
    }
}
