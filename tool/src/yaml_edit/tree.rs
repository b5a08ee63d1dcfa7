//! A tree of a YAML text with the place of each node.
//!
//! In: the text of one document, YAML or JSON. Out: its nodes with their places in bytes, or nothing if it is not YAML.
//! [`crate::readers::text`] reads the values, and also limits the depth; aliases are not resolved here.

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

/// A node and its place.
#[derive(Debug)]
pub(super) struct Node {
    /// A scalar includes its quotes. A block scalar goes from the content of its first line to the line of the next
    /// node.
    pub(super) span: Range<usize>,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Scalar {
        value: String,
        style: ScalarStyle,
    },
    Sequence {
        is_flow: bool,
        items: Vec<Node>,
    },
    Mapping {
        is_flow: bool,
        fields: Vec<Field>,
    },
    /// An alias. Its value is elsewhere.
    Alias,
}

/// The fields of a policy with keys. A policy has at least one. New fields are added before the first of them.
pub(super) const ANCHORS: [&str; 3] = ["publicKeys", "dpToken", "serviceAccountToken"];

/// A name and its value.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: Node,
    pub(super) value: Node,
}

impl Node {
    /// The text of a scalar.
    pub(super) fn scalar(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { value, .. } => Some(value),
            _ => None,
        }
    }

    /// The field of a mapping.
    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        match &self.content {
            Content::Mapping { fields, .. } => {
                fields.iter().find(|field| field.name.scalar() == Some(name))
            }
            _ => None,
        }
    }

    /// Finds the outermost nodes that may be policies: mappings with one of the fields with keys.
    pub(super) fn policies<'a>(&'a self, found: &mut Vec<&'a Node>) {
        match &self.content {
            _ if self.first_of(&ANCHORS).is_some() => found.push(self),
            Content::Sequence { items, .. } => items.iter().for_each(|item| item.policies(found)),
            Content::Mapping { fields, .. } => {
                fields.iter().for_each(|field| field.value.policies(found));
            }
            Content::Scalar { .. } | Content::Alias => {}
        }
    }

    /// The first of its fields with one of these names.
    pub(super) fn first_of(&self, names: &[&str]) -> Option<&Field> {
        match &self.content {
            Content::Mapping { fields, .. } => fields
                .iter()
                .find(|field| field.name.scalar().is_some_and(|name| names.contains(&name))),
            _ => None,
        }
    }

    /// The first field of a mapping that is not empty.
    pub(super) fn first_field(&self) -> Option<&Field> {
        match &self.content {
            Content::Mapping { fields, .. } => fields.first(),
            _ => None,
        }
    }

    /// Finds all nodes for which `is_it` is true: this node and those below it.
    pub(super) fn all<'a>(&'a self, is_it: &impl Fn(&Node) -> bool, found: &mut Vec<&'a Node>) {
        if is_it(self) {
            found.push(self);
        }
        match &self.content {
            Content::Sequence { items, .. } => items.iter().for_each(|item| item.all(is_it, found)),
            Content::Mapping { fields, .. } => {
                fields.iter().for_each(|field| field.value.all(is_it, found));
            }
            Content::Scalar { .. } | Content::Alias => {}
        }
    }
}

/// The first document of `text`.
pub(super) fn parse(text: &str) -> Option<Node> {
    let mut events = Events(Parser::new_from_str(text));
    loop {
        match events.next()? {
            (Event::StreamStart | Event::DocumentStart(..), _) => {}
            (event, span) => return events.node(event, span),
        }
    }
}

struct Events<'a>(Parser<'a, granit_parser::StrInput<'a>>);

impl<'a> Events<'a> {
    /// The next event, without comments.
    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        loop {
            match self.0.next()?.ok()? {
                (Event::Comment(..) | Event::Anchor(..), _) => {}
                event => return Some(event),
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Option<Node> {
        let start = span.start.byte_offset()?;
        let mut end = span.end.byte_offset()?;
        let content = match event {
            Event::Scalar(value, style, ..) => Content::Scalar { value: value.into_owned(), style },
            Event::SequenceStart(style, ..) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, span) => {
                            end = span.end.byte_offset()?;
                            break;
                        }
                        (event, span) => items.push(self.node(event, span)?),
                    }
                }
                Content::Sequence { is_flow: style == StructureStyle::Flow, items }
            }
            Event::MappingStart(style, ..) => {
                let mut fields = Vec::new();
                loop {
                    match self.next()? {
                        (Event::MappingEnd, span) => {
                            end = span.end.byte_offset()?;
                            break;
                        }
                        (event, span) => {
                            let name = self.node(event, span)?;
                            let (event, span) = self.next()?;
                            fields.push(Field { name, value: self.node(event, span)? });
                        }
                    }
                }
                Content::Mapping { is_flow: style == StructureStyle::Flow, fields }
            }
            Event::Alias(_) => Content::Alias,
            _ => return None,
        };
        Some(Node { span: start..end, content })
    }
}

/// Changes to a text, in any order. They must not overlap.
#[derive(Debug, Default)]
pub(super) struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    /// Whether there are no changes.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Replaces the bytes at `range` by `new`.
    pub(super) fn replace(&mut self, range: Range<usize>, new: impl Into<String>) {
        self.0.push((range, new.into()));
    }

    /// Inserts `new` at `place`.
    pub(super) fn insert(&mut self, place: usize, new: impl Into<String>) {
        self.replace(place..place, new);
    }

    /// The text with all changes; `None` if they do not fit.
    pub(super) fn applied(mut self, text: &str) -> Option<String> {
        self.0.sort_by_key(|(range, _)| (range.start, range.end));
        let mut new = String::with_capacity(text.len());
        let mut done = 0;
        for (range, part) in &self.0 {
            new.push_str(text.get(done..range.start)?);
            new.push_str(part);
            done = range.end;
        }
        new.push_str(text.get(done..)?);
        Some(new)
    }
}

/// The place after the last byte of a node, which may contain other nodes.
pub(super) fn last_byte(node: &Node) -> usize {
    match &node.content {
        Content::Sequence { is_flow: false, items } => {
            items.last().map_or(node.span.end, last_byte)
        }
        Content::Mapping { is_flow: false, fields } => {
            fields.last().map_or(node.span.end, |field| last_byte(&field.value))
        }
        _ => node.span.end,
    }
}

/// The start of the line of `place`.
pub(super) fn line_start(text: &str, place: usize) -> usize {
    let before = text.get(..place).unwrap_or_default();
    before.rfind('\n').map_or(0, |feed| feed.saturating_add(1))
}

/// The end of the line of `place`, after its line break.
pub(super) fn line_end(text: &str, place: usize) -> usize {
    let after = text.get(place..).unwrap_or_default();
    after.find('\n').map_or(text.len(), |feed| place.saturating_add(feed).saturating_add(1))
}

/// The line break of the line of `place`, or of the file if the line has none.
pub(super) fn line_break(text: &str, place: usize) -> &'static str {
    let line = text.get(line_start(text, place)..line_end(text, place)).unwrap_or_default();
    let has_return = match line.ends_with('\n') {
        true => line.ends_with("\r\n"),
        false => text.contains("\r\n"),
    };
    if has_return { "\r\n" } else { "\n" }
}
