//! What one document may ask: refused before it is run, by its size once every fragment is in place.

use std::collections::{BTreeMap, BTreeSet};

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, FragmentDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned};

/// The longest document in bytes. Ours have below 3,000.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 16 * 1024;
/// The most tokens in a document: parsing costs by the token.
pub(crate) const TOKENS_MAX: usize = 2_000;
/// The deepest nesting of fields.
pub(crate) const DEPTH_MAX: usize = 10;
/// The most fields at the root: each is a query of its own.
pub(crate) const ROOT_FIELDS_MAX: usize = 10;
/// The most aliases: they multiply one field.
pub(crate) const ALIASES_MAX: usize = 20;
/// The most fields with every fragment in place.
pub(crate) const FIELDS_MAX: usize = 400;
/// The most complexity, as the schema counts it: roughly the rows that are read.
pub(crate) const COMPLEXITY_MAX: usize = 60_000;

/// Why a document is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooMuch {
    /// Ask for less at once.
    #[error("the document has {found} {what}; at most {max} are allowed")]
    Of { what: &'static str, found: usize, max: usize },
    /// Fragments must not contain themselves.
    #[error("the fragment `{0}` contains itself")]
    Cycle(String),
}

/// Counts tokens without parsing: names, numbers, strings and punctuators.
pub(crate) fn check_text(text: &str) -> Result<(), TooMuch> {
    within("bytes", text.len(), DOCUMENT_BYTES_MAX)?;
    let mut tokens = 0;
    let mut in_word = false;
    for character in text.chars() {
        let word = character.is_alphanumeric() || character == '_';
        if word && !in_word || !word && !character.is_whitespace() && character != ',' {
            tokens += 1;
        }
        in_word = word;
    }
    within("tokens", tokens, TOKENS_MAX)
}

/// Measures a parsed document.
pub(crate) fn check_document(document: &ExecutableDocument) -> Result<(), TooMuch> {
    let mut measure =
        Measure { fragments: &document.fragments, known: BTreeMap::new(), open: BTreeSet::new() };
    let operations: Vec<_> = match &document.operations {
        DocumentOperations::Single(operation) => vec![operation],
        DocumentOperations::Multiple(operations) => operations.values().collect(),
    };
    within("operations", operations.len(), ROOT_FIELDS_MAX)?;
    for operation in operations {
        let size = measure.set(&operation.node.selection_set.node)?;
        within("root fields", size.top, ROOT_FIELDS_MAX)?;
        within("levels", size.depth, DEPTH_MAX)?;
        within("aliases", size.aliases, ALIASES_MAX)?;
        within("fields", size.fields, FIELDS_MAX)?;
    }
    Ok(())
}

fn within(what: &'static str, found: usize, max: usize) -> Result<(), TooMuch> {
    if found > max { Err(TooMuch::Of { what, found, max }) } else { Ok(()) }
}

#[derive(Clone, Copy, Default)]
struct Size {
    top: usize,
    fields: usize,
    aliases: usize,
    depth: usize,
}

impl Size {
    fn add(self, other: Self) -> Self {
        Self {
            top: self.top.saturating_add(other.top),
            fields: self.fields.saturating_add(other.fields),
            aliases: self.aliases.saturating_add(other.aliases),
            depth: self.depth.max(other.depth),
        }
    }
}

/// Each fragment is measured once, so that fragments within fragments cost nothing.
struct Measure<'a> {
    fragments: &'a std::collections::HashMap<Name, Positioned<FragmentDefinition>>,
    known: BTreeMap<&'a str, Size>,
    open: BTreeSet<&'a str>,
}

impl<'a> Measure<'a> {
    // The parser bounds the nesting of a text to 64; fragments are bounded by `open`.
    fn set(&mut self, set: &'a SelectionSet) -> Result<Size, TooMuch> {
        let mut size = Size::default();
        for item in &set.items {
            size = size.add(match &item.node {
                Selection::Field(field) => {
                    let inner = self.set(&field.node.selection_set.node)?;
                    Size {
                        top: 1,
                        fields: inner.fields.saturating_add(1),
                        aliases: inner
                            .aliases
                            .saturating_add(usize::from(field.node.alias.is_some())),
                        depth: inner.depth.saturating_add(1),
                    }
                }
                Selection::InlineFragment(inline) => self.set(&inline.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => {
                    self.fragment(&spread.node.fragment_name.node)?
                }
            });
        }
        Ok(size)
    }

    fn fragment(&mut self, name: &Name) -> Result<Size, TooMuch> {
        let fragments = self.fragments;
        // An unknown fragment is the validation's matter.
        let Some((name, fragment)) = fragments.get_key_value(name) else {
            return Ok(Size::default());
        };
        if let Some(size) = self.known.get(name.as_str()) {
            return Ok(*size);
        }
        if !self.open.insert(name.as_str()) {
            return Err(TooMuch::Cycle(name.to_string()));
        }
        let size = self.set(&fragment.node.selection_set.node)?;
        self.open.remove(name.as_str());
        self.known.insert(name.as_str(), size);
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), TooMuch> {
        check_text(text)?;
        check_document(&async_graphql::parser::parse_query(text).unwrap())
    }

    #[test]
    fn a_common_document_passes() {
        check("query($id: ID!) { resource(id: $id) { id ready spec } }").unwrap();
    }

    #[test]
    fn each_limit_refuses_one_too_many() {
        let deep = format!("{}a{}", "{a".repeat(10), "}".repeat(10)).replacen("a{", "a {", 1);
        assert!(matches!(
            check(&format!("{{{}}}", "a ".repeat(11))),
            Err(TooMuch::Of { what: "root fields", .. })
        ));
        assert!(matches!(
            check(&format!("{{{deep}}}").replace("{{", "{a{")),
            Err(TooMuch::Of { what: "levels", .. })
        ));
        let aliases =
            format!("{{r{{{}}}}}", (0..21).map(|n| format!("a{n}:x ")).collect::<String>());
        assert!(matches!(check(&aliases), Err(TooMuch::Of { what: "aliases", .. })));
        assert!(matches!(
            check(&format!("{{r{{{}}}}}", "x ".repeat(401))),
            Err(TooMuch::Of { what: "fields", .. })
        ));
        assert!(matches!(check(&"a ".repeat(2_001)), Err(TooMuch::Of { what: "tokens", .. })));
        assert!(matches!(
            check(&" ".repeat(DOCUMENT_BYTES_MAX + 1)),
            Err(TooMuch::Of { what: "bytes", .. })
        ));
    }

    #[test]
    fn fragments_that_double_are_counted_without_being_walked() {
        let mut text = "{...f0}".to_owned();
        for n in 0..60 {
            text += &format!("fragment f{n} on Query{{...f{0} ...f{0}}}", n + 1);
        }
        text += "fragment f60 on Query{a}";
        assert!(matches!(check(&text), Err(TooMuch::Of { .. })));
    }

    #[test]
    fn a_fragment_within_itself_is_named() {
        let text = "{...a} fragment a on Query{...b} fragment b on Query{...a}";
        assert_eq!(check(text), Err(TooMuch::Cycle("a".into())));
    }
}
