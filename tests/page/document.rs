//! A page as a browser reads it, parsed by html5ever, the parser of Servo.

use html5ever::tendril::TendrilSink;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

/// A parsed page.
pub(crate) struct Document(RcDom);

impl Document {
    pub(crate) fn parse(html: &str) -> Self {
        Self(parse_document(RcDom::default(), ParseOpts::default()).one(html))
    }

    /// The parse errors by the rules of HTML.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.0.errors.borrow().iter().map(ToString::to_string).collect()
    }

    /// Each element in order: its name, and its attributes as `name=value`.
    pub(crate) fn elements(&self) -> Vec<(String, Vec<String>)> {
        let mut all = Vec::new();
        walk(&self.0.document, &mut |node| {
            if let NodeData::Element { name, attrs, .. } = &node.data {
                let attrs = attrs.borrow();
                let attrs = attrs.iter().map(|one| format!("{}={}", one.name.local, one.value));
                all.push((name.local.to_string(), attrs.collect()));
            }
        });
        all
    }

    /// The text of each element with this name.
    pub(crate) fn texts(&self, wanted: &str) -> Vec<String> {
        let mut all = Vec::new();
        walk(&self.0.document, &mut |node| {
            if let NodeData::Element { name, .. } = &node.data
                && *name.local == *wanted
            {
                all.push(text(node));
            }
        });
        all
    }

    /// The text of the element with this id, with each run of spaces as one.
    pub(crate) fn section(&self, id: &str) -> String {
        let mut found = None;
        walk(&self.0.document, &mut |node| {
            if let NodeData::Element { attrs, .. } = &node.data
                && attrs.borrow().iter().any(|one| &*one.name.local == "id" && *one.value == *id)
            {
                found = Some(text(node));
            }
        });
        found.unwrap_or_else(|| panic!("there is no {id}"))
    }
}

fn walk(node: &Handle, visit: &mut impl FnMut(&Handle)) {
    visit(node);
    for child in node.children.borrow().iter() {
        walk(child, visit);
    }
}

/// The text of a node. Cells and list items are separated by spaces.
fn text(node: &Handle) -> String {
    let mut all = String::new();
    walk(node, &mut |node| match &node.data {
        NodeData::Text { contents } => all.push_str(&contents.borrow()),
        NodeData::Element { .. } => all.push(' '),
        _ => {}
    });
    all.split_whitespace().collect::<Vec<_>>().join(" ")
}
