//! Reads nodes as what they should be, and says so when they are not.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::findings::{Findings, Place};
use super::keys::{advice, listed, nearest};
use super::scalar::{self, Meaning};
use super::yaml::{Entry, Node, Scalar, Value, is_null};
use crate::text::Text;

/// Where a value is: in words, and in the file.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    /// Such as `containers.web.image`; empty at the top.
    pub(super) path: String,
    /// Its key; what is missing is missed there.
    pub(super) place: Place,
}

impl Spot {
    pub(super) fn key(&self, entry: &Entry) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self { path: format!("{}{dot}{}", self.path, entry.key), place: entry.key_place }
    }

    fn item(&self, index: usize, node: &Node) -> Self {
        Self { path: format!("{}[{index}]", self.path), place: node.place }
    }

    /// The path in backticks, or words for the top.
    pub(super) fn words(&self) -> String {
        if self.path.is_empty() { "this document".into() } else { format!("`{}`", self.path) }
    }
}

/// The entries of a mapping.
#[derive(Clone, Copy)]
pub(super) struct Fields<'n> {
    entries: &'n [Entry],
    /// False for the stand-in for something else, which was complained of already.
    is_mapping: bool,
}

impl<'n> Fields<'n> {
    pub(super) const fn from_entries(entries: &'n [Entry]) -> Self {
        Self { entries, is_mapping: true }
    }

    pub(super) fn get(self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(super) fn has(self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(super) const fn entries(self) -> &'n [Entry] {
        self.entries
    }

    pub(super) const fn is_mapping(self) -> bool {
        self.is_mapping
    }
}

/// A text with placeholders, to be checked once everything it may refer to is known.
#[derive(Clone, Debug)]
pub(super) struct Use {
    pub(super) place: Place,
    pub(super) text: String,
    /// The resource whose parameter it is.
    pub(super) param_of: Option<String>,
}

/// What has been read besides the model itself.
pub(super) struct Reader<'a> {
    pub(super) findings: Findings<'a>,
    /// Contents of files that application files name.
    pub(super) companions: &'a BTreeMap<String, Vec<u8>>,
    /// Digest → what is named by it.
    pub(super) contents: BTreeMap<String, Vec<u8>>,
    /// The files that are named.
    pub(super) sources: Vec<String>,
    pub(super) uses: Vec<Use>,
    /// Keys that are none, and the ones that were probably meant: those are not missed as well.
    pub(super) misspelt: Vec<(Place, String)>,
}

impl Reader<'_> {
    /// The entries of any mapping. Nothing at all is an empty one.
    pub(super) fn mapping<'n>(&mut self, node: &'n Node, spot: &Spot) -> Fields<'n> {
        match &node.value {
            Value::Mapping(entries) => return Fields::from_entries(entries),
            Value::Scalar(scalar) if scalar.plain && is_null(&scalar.text) => {
                return Fields::from_entries(&[]);
            }
            Value::Scalar(_) | Value::Sequence(_) => {
                let message = format!("{} must be a mapping, not {}", spot.words(), describe(node));
                self.findings
                    .error(node.place, message)
                    .hint("write `key: value` lines, indented below it");
            }
        }
        Fields { entries: &[], is_mapping: false }
    }

    /// The entries of a mapping whose keys are known; others are refused.
    pub(super) fn fields<'n>(&mut self, node: &'n Node, spot: &Spot, known: &[&str]) -> Fields<'n> {
        let fields = self.mapping(node, spot);
        for entry in fields.entries().iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let within =
                if spot.path.is_empty() { String::new() } else { format!(" in {}", spot.words()) };
            let message = format!("unknown key `{}`{within}", entry.key);
            let hint = advice(&entry.key, &spot.path, known);
            if let Some(meant) = nearest(&entry.key, known.iter().copied()) {
                self.misspelt.push((entry.key_place, meant.to_owned()));
            }
            self.findings.error(entry.key_place, message).hint(hint);
        }
        fields
    }

    /// A field that must be there.
    pub(super) fn required<'n>(
        &mut self,
        fields: Fields<'n>,
        key: &str,
        spot: &Spot,
        example: &str,
    ) -> Option<&'n Entry> {
        let found = fields.get(key);
        let misspelt = fields.entries.iter().any(|entry| {
            self.misspelt.iter().any(|(place, meant)| *place == entry.key_place && meant == key)
        });
        if found.is_none() && fields.is_mapping && !misspelt {
            let message = format!("{} has no `{key}`", spot.words());
            self.findings.error(spot.place, message).hint(format!("add `{key}: {example}`"));
        }
        found
    }

    pub(super) fn scalar<'n>(
        &mut self,
        node: &'n Node,
        spot: &Spot,
        wanted: &str,
    ) -> Option<&'n Scalar> {
        if let Value::Scalar(scalar) = &node.value {
            return Some(scalar);
        }
        let message = format!("{} must be {wanted}, not {}", spot.words(), describe(node));
        self.findings.error(node.place, message);
        None
    }

    /// Text. What looks like a number, a boolean or nothing must be quoted.
    pub(super) fn text(&mut self, node: &Node, spot: &Spot) -> Option<String> {
        let scalar = self.scalar(node, spot, "text")?;
        let text = scalar.text.clone();
        if !scalar.plain {
            return Some(text);
        }
        match scalar::meaning(&text) {
            Meaning::Text => {}
            Meaning::Disputed(other) => {
                let message =
                    format!("`{text}` is taken as text; older YAML readers take it for {other}");
                self.findings.warning(node.place, message).hint(format!("quote it: \"{text}\""));
            }
            Meaning::Null => {
                let message = format!("{} must be text, but nothing stands here", spot.words());
                self.findings.error(node.place, message).hint("write \"\" for an empty text");
                return None;
            }
            Meaning::Boolean(_) | Meaning::Integer(_) | Meaning::Float(_) => {
                let kind = describe(node);
                let message = format!("{} must be text, but `{text}` is {kind}", spot.words());
                self.findings.error(node.place, message).hint(format!("quote it: \"{text}\""));
                return None;
            }
        }
        Some(text)
    }

    /// Text that may hold placeholders.
    pub(super) fn raw(&mut self, node: &Node, spot: &Spot) -> Option<String> {
        let text = self.text(node, spot)?;
        self.uses.push(Use { place: node.place, text: text.clone(), param_of: None });
        Some(text)
    }

    /// Text in which placeholders are not filled in; what looks like one is pointed out.
    pub(super) fn literal(&mut self, node: &Node, spot: &Spot) -> Option<String> {
        let text = self.text(node, spot)?;
        if text.contains("${resources.") || text.contains("${metadata.") {
            let message = format!("placeholders are not filled in in {}", spot.words());
            self.findings.warning(node.place, message).hint(
                "they are in variables, files, volumes and params: set a variable and use that",
            );
        }
        Some(text)
    }

    /// A list of texts.
    pub(super) fn literals(&mut self, node: &Node, spot: &Spot) -> Vec<Text> {
        let items = self.items(node, spot);
        let texts = items.iter().enumerate().filter_map(|(index, item)| {
            self.literal(item, &spot.item(index, item)).map(Text::literal)
        });
        texts.collect()
    }

    /// The items of a list.
    pub(super) fn items<'n>(&mut self, node: &'n Node, spot: &Spot) -> &'n [Node] {
        match &node.value {
            Value::Sequence(items) => items,
            Value::Scalar(scalar) => {
                let message = format!("{} must be a list, not {}", spot.words(), describe(node));
                let words: Vec<String> =
                    scalar.text.split_whitespace().map(|word| format!("{word:?}")).collect();
                let hint = format!("write a list: [{}]", words.join(", "));
                self.findings.error(node.place, message).hint(hint);
                &[]
            }
            Value::Mapping(_) => {
                let message = format!("{} must be a list, not a mapping", spot.words());
                self.findings.error(node.place, message).hint("begin each item with `- `");
                &[]
            }
        }
    }

    /// A list of mappings, each with its spot.
    pub(super) fn spots<'n>(&mut self, node: &'n Node, spot: &Spot) -> Vec<(&'n Node, Spot)> {
        let items = self.items(node, spot);
        items.iter().enumerate().map(|(index, item)| (item, spot.item(index, item))).collect()
    }

    /// A whole number within a range.
    pub(super) fn integer(
        &mut self,
        node: &Node,
        spot: &Spot,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        let scalar = self.scalar(node, spot, &wanted)?;
        let number = match scalar::meaning(&scalar.text) {
            Meaning::Integer(number) => Some(number),
            Meaning::Float(number) => scalar::whole(number),
            Meaning::Text | Meaning::Disputed(_) | Meaning::Null | Meaning::Boolean(_) => None,
        };
        let fitting = number.and_then(|n| u32::try_from(n).ok()).filter(|n| range.contains(n));
        if fitting.is_some() && scalar.plain {
            return fitting;
        }
        let message = format!("{} must be {wanted}, not {}", spot.words(), quoted(scalar));
        let found = self.findings.error(node.place, message);
        if fitting.is_some() {
            found.hint(format!("remove the quotes: {}", scalar.text));
        }
        None
    }

    /// True or false.
    pub(super) fn boolean(&mut self, node: &Node, spot: &Spot) -> Option<bool> {
        let scalar = self.scalar(node, spot, "true or false")?;
        if let (true, Meaning::Boolean(value)) = (scalar.plain, scalar::meaning(&scalar.text)) {
            return Some(value);
        }
        let message = format!("{} must be true or false, not {}", spot.words(), quoted(scalar));
        let yes = matches!(scalar.text.to_lowercase().as_str(), "yes" | "on" | "y" | "true" | "1");
        self.findings.error(node.place, message).hint(format!("write {yes}, without quotes"));
        None
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        node: &Node,
        spot: &Spot,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(node, spot)?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let message = format!("{} must be one of {}, not `{text}`", spot.words(), listed(&words));
        let found = self.findings.error(node.place, message);
        if let Some(word) = nearest(&text, words.iter().copied()) {
            found.hint(format!("did you mean `{word}`?"));
        }
        None
    }
}

fn quoted(scalar: &Scalar) -> String {
    let text: String = scalar.text.chars().take(80).collect();
    match (scalar.plain, text.is_empty()) {
        (true, true) => "nothing".into(),
        (true, false) => format!("`{text}`"),
        (false, _) => format!("the text {text:?}"),
    }
}

/// What a node is, in a word.
pub(super) fn describe(node: &Node) -> &'static str {
    match &node.value {
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a mapping",
        Value::Scalar(scalar) if !scalar.plain => "text",
        Value::Scalar(scalar) => match scalar::meaning(&scalar.text) {
            Meaning::Text | Meaning::Disputed(_) => "text",
            Meaning::Null => "nothing",
            Meaning::Boolean(_) => "a boolean",
            Meaning::Integer(_) | Meaning::Float(_) => "a number",
        },
    }
}
