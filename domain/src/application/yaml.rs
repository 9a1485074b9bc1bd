//! YAML as a tree in which every node knows its place.
//!
//! The parser's events are turned into nodes here, with limits on everything that grows, before anybody reads them.
//! Aliases are expanded and merge keys (`<<`) applied; what is expanded counts as if it had been written out.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::findings::{Findings, Place};

/// How much of a file is read.
pub(super) struct Limits {
    /// The largest file.
    pub(super) bytes: usize,
    /// The most documents in one file.
    pub(super) documents: usize,
    /// The deepest nesting.
    pub(super) depth: usize,
    /// The most nodes of one file, with its aliases expanded.
    pub(super) nodes: usize,
    /// Of a key that stands twice, the later counts, as for Helm. Otherwise that is a mistake.
    pub(super) repeats: bool,
}

/// What an application's file may hold: twice the longest one known, and still read in a blink; Score nests 7 deep,
/// parameters may be as deep as they need to.
pub(super) const LIMITS: Limits =
    Limits { bytes: 128 * 1024, documents: 64, depth: 32, nodes: 20_000, repeats: false };

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// Text, and whether it may be anything but text.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Neither quoted nor a block nor tagged `!!str`: a number, a boolean or null if it looks like one.
    pub(super) plain: bool,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Place,
    pub(super) value: Node,
}

impl Node {
    /// Nodes in this tree, itself included.
    fn size(&self) -> usize {
        1 + match &self.value {
            Value::Scalar(_) => 0,
            Value::Sequence(items) => items.iter().map(Self::size).sum(),
            Value::Mapping(entries) => entries.iter().map(|entry| 1 + entry.value.size()).sum(),
        }
    }

    /// The value under a key, when this is a mapping that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Mapping(entries) => {
                entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
            }
            Value::Scalar(_) | Value::Sequence(_) => None,
        }
    }
}

/// A collection that is still open.
struct Open {
    place: Place,
    anchor: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping {
        entries: Vec<Entry>,
        key: Option<(String, Place)>,
        /// Key → where it stands, to find those written twice.
        keys: HashMap<String, Place>,
        merged: Vec<Node>,
    },
}

/// Why reading stops.
struct Stop {
    span: Range<usize>,
    message: String,
    hint: &'static str,
}

struct Builder<'a, 'f> {
    findings: &'a mut Findings<'f>,
    limits: &'a Limits,
    file: usize,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    documents: Vec<Node>,
}

/// Reads the documents of a file; empty ones are left out. What is wrong goes to `findings`.
pub(super) fn documents(file: usize, findings: &mut Findings<'_>) -> Vec<Node> {
    documents_within(file, findings, &LIMITS)
}

/// The same, within other limits.
pub(super) fn documents_within(
    file: usize,
    findings: &mut Findings<'_>,
    limits: &Limits,
) -> Vec<Node> {
    let text = findings.text(file);
    if text.len() > limits.bytes {
        let message =
            format!("the file has {} bytes; at most {} are read", text.len(), limits.bytes);
        let hint = "put large contents into files of their own (`files.<path>.source`), or split the application";
        findings.error(Place::new(file, 0..0), message).hint(hint);
        return Vec::new();
    }
    let offsets = Offsets::of(text);
    let mut builder = Builder {
        findings,
        limits,
        file,
        open: Vec::new(),
        anchors: BTreeMap::new(),
        nodes: 0,
        documents: Vec::new(),
    };
    let mut parser = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    loop {
        let stop = match parser.next_event() {
            None | Some(Ok((Event::StreamEnd, _))) => break,
            Some(Ok((event, span))) => builder.take(event, offsets.range(span)).err(),
            Some(Err(error)) => Some(unreadable(&error, &offsets)),
        };
        if let Some(stop) = stop {
            let place = Place::new(file, stop.span);
            builder.findings.error(place, stop.message).hint(stop.hint);
            break;
        }
    }
    builder.documents
}

fn unreadable(error: &saphyr_parser::ScanError, offsets: &Offsets) -> Stop {
    let at = offsets.byte(error.marker().index());
    let info = error.info();
    let hint = if info.contains("tab") {
        "YAML is indented with spaces; replace the tab"
    } else if info.contains("mapping values are not allowed") {
        "put a text that holds `: ` in quotes, and check the indentation"
    } else if info.contains("unknown anchor") {
        "an anchor (`&name`) must stand before its alias (`*name`), in the same document"
    } else if info.contains("quoted scalar") || info.contains("end of stream") {
        "look for a quote or bracket that is opened and never closed"
    } else {
        "check the indentation, and that quotes and brackets are closed"
    };
    Stop { span: at..at + 1, message: format!("this is not YAML: {info}"), hint }
}

impl Builder<'_, '_> {
    fn take(&mut self, event: Event<'_>, span: Range<usize>) -> Result<(), Stop> {
        let place = Place::new(self.file, span.clone());
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.anchors.clear();
                let most = self.limits.documents;
                if self.documents.len() < most {
                    return Ok(());
                }
                let message = format!("the file has more than {most} documents");
                Err(Stop { span, message, hint: "split the application" })
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(1, &span)?;
                let plain = style == ScalarStyle::Plain && self.is_untyped(tag.as_deref(), place);
                let scalar = Scalar { text: text.into_owned(), plain };
                let node = Node { place, value: Value::Scalar(scalar) };
                self.anchor(anchor, &node);
                self.place(node)
            }
            Event::SequenceStart(anchor, tag) => {
                self.is_untyped(tag.as_deref(), place);
                self.begin(Open { place, anchor, content: Content::Sequence(Vec::new()) }, &span)
            }
            Event::MappingStart(anchor, tag) => {
                self.is_untyped(tag.as_deref(), place);
                let content = Content::Mapping {
                    entries: Vec::new(),
                    key: None,
                    keys: HashMap::new(),
                    merged: Vec::new(),
                };
                self.begin(Open { place, anchor, content }, &span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    let message = "this alias refers to a value that contains it".to_owned();
                    return Err(Stop { span, message, hint: "write the value out" });
                };
                self.count(node.size(), &span)?;
                self.place(node)
            }
        }
    }

    /// Counts nodes before they are made: an alias of an alias of an alias is refused before it costs anything.
    fn count(&mut self, nodes: usize, span: &Range<usize>) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(nodes);
        let most = self.limits.nodes;
        if self.nodes <= most {
            return Ok(());
        }
        let message = format!("the file has more than {most} values, aliases written out");
        Err(Stop {
            span: span.clone(),
            message,
            hint: "split the application, or use fewer aliases",
        })
    }

    /// False for `!!str`; any other tag is refused.
    fn is_untyped(&mut self, tag: Option<&Tag>, place: Place) -> bool {
        let Some(tag) = tag else { return true };
        match (tag.is_yaml_core_schema(), tag.suffix.as_str()) {
            (true, "str") => false,
            (true, "int" | "float" | "bool" | "null" | "map" | "seq") => true,
            _ if tag.handle.is_empty() && tag.suffix == "!" => false,
            _ => {
                let message = format!("the tag `{tag}` has no meaning here");
                self.findings.error(place, message).hint("remove the tag");
                true
            }
        }
    }

    fn anchor(&mut self, anchor: usize, node: &Node) {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
    }

    fn begin(&mut self, open: Open, span: &Range<usize>) -> Result<(), Stop> {
        self.count(1, span)?;
        let most = self.limits.depth;
        if self.open.len() >= most {
            let message = format!("values are nested more than {most} deep");
            return Err(Stop { span: span.clone(), message, hint: "nest less deeply" });
        }
        self.open.push(open);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Stop> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.content {
            Content::Sequence(items) => Value::Sequence(items),
            Content::Mapping { mut entries, keys, merged, .. } => {
                for node in merged {
                    self.merge(&mut entries, &keys, node);
                }
                Value::Mapping(entries)
            }
        };
        let node = Node { place: open.place, value };
        self.anchor(open.anchor, &node);
        self.place(node)
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node) -> Result<(), Stop> {
        let Some(open) = self.open.last_mut() else {
            let empty = matches!(&node.value, Value::Scalar(scalar) if scalar.plain && is_null(&scalar.text));
            if !empty {
                self.documents.push(node);
            }
            return Ok(());
        };
        match &mut open.content {
            Content::Sequence(items) => items.push(node),
            Content::Mapping { entries, key, keys, merged } => match key.take() {
                None => {
                    let Value::Scalar(scalar) = node.value else {
                        let message = "a key must be text, not a list or a mapping".to_owned();
                        let span = node.place.range();
                        return Err(Stop {
                            span,
                            message,
                            hint: "a text that starts with `{` or `[` needs quotes",
                        });
                    };
                    *key = Some((scalar.text, node.place));
                }
                Some((key, _)) if key == "<<" => merged.push(node),
                Some((key, key_place)) => {
                    if self.limits.repeats && keys.contains_key(&key) {
                        entries.retain(|entry| entry.key != key);
                        entries.push(Entry { key, key_place, value: node });
                    } else if let Some(first) = keys.get(&key) {
                        let first = self.findings.position(*first);
                        let message = format!("the key `{key}` stands here twice");
                        let hint = format!("remove one of them; the first is at {first}");
                        self.findings.error(key_place, message).hint(hint);
                    } else {
                        keys.insert(key.clone(), key_place);
                        entries.push(Entry { key, key_place, value: node });
                    }
                }
            },
        }
        Ok(())
    }

    /// Adds the entries of a mapping, or of each mapping of a list, that are not there already.
    fn merge(&mut self, entries: &mut Vec<Entry>, own: &HashMap<String, Place>, node: Node) {
        match node.value {
            Value::Mapping(more) => {
                for entry in more {
                    if !own.contains_key(&entry.key) && !entries.iter().any(|e| e.key == entry.key)
                    {
                        entries.push(entry);
                    }
                }
            }
            Value::Sequence(items) => {
                items.into_iter().for_each(|item| self.merge(entries, own, item));
            }
            Value::Scalar(_) => {
                let message = "`<<` merges mappings, and this is none".to_owned();
                self.findings.error(node.place, message).hint("write `<<: *name` of a mapping");
            }
        }
    }
}

/// True for the ways to write nothing (YAML 1.2 core schema).
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// From positions in characters to positions in bytes.
struct Offsets {
    bytes: Vec<usize>,
    length: usize,
}

impl Offsets {
    fn of(text: &str) -> Self {
        let mark = usize::from(text.starts_with('\u{feff}'));
        let bytes = text.char_indices().map(|(offset, _)| offset).skip(mark).collect();
        Self { bytes, length: text.len() }
    }

    fn byte(&self, character: usize) -> usize {
        self.bytes.get(character).copied().unwrap_or(self.length)
    }

    fn range(&self, span: Span) -> Range<usize> {
        let start = self.byte(span.start.index());
        start..self.byte(span.end.index()).max(start)
    }
}
