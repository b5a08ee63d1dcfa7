//! A draft of JSON, for edits to change: names and values are texts, good or bad.
//!
//! In: a tree and edits. Out: text. Whether the text is JSON is not known here.

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    /// JSON text.
    Text(String),
    Object(Vec<(String, Tree)>),
    List(Vec<Tree>),
}

/// A change of one object in a tree, or of one of its members. Positions wrap around.
#[derive(Debug, Clone)]
pub(super) enum TreeEdit {
    Put(u8, u8, &'static str, &'static str),
    Value(u8, &'static str),
    Name(u8, &'static str),
    Remove(u8),
    Repeat(u8),
    /// Repeats the member after it, with this value.
    Again(u8, &'static str),
    Respell(u8, Spelling),
    /// Repeats the member after it, in this spelling and with this value.
    RespellAgain(u8, Spelling, &'static str),
}

/// Another way to write the name of a member.
#[derive(Debug, Clone, Copy)]
pub(super) enum Spelling {
    Upper,
    Title,
    /// U+017F for s, and U+212A for k.
    LongS,
    /// The first letter escaped.
    Escaped,
    /// Without quotes, as only YAML allows.
    Unquoted,
}

/// A string.
pub(super) fn string(text: &str) -> Tree {
    Tree::Text(serde_json::to_string(text).unwrap())
}

pub(super) fn raw(text: &str) -> Tree {
    Tree::Text(text.to_owned())
}

pub(super) fn object<const N: usize>(members: [(&str, Tree); N]) -> Tree {
    Tree::Object(members.into_iter().map(|(name, value)| (quoted(name), value)).collect())
}

fn quoted(name: &str) -> String {
    serde_json::to_string(name).unwrap()
}

type Members = Vec<(String, Tree)>;

impl Tree {
    pub(super) fn put(&mut self, name: &str, value: Tree) {
        let Self::Object(members) = self else { unreachable!() };
        members.push((quoted(name), value));
    }

    /// The JSON text, with `space` between the tokens.
    pub(super) fn text(&self, space: &str) -> String {
        let joined = |parts: Vec<String>| parts.join(&format!("{space},{space}"));
        match self {
            Self::Text(text) => text.clone(),
            Self::List(all) => {
                let parts = all.iter().map(|value| value.text(space)).collect();
                format!("[{space}{}{space}]", joined(parts))
            }
            Self::Object(members) => {
                let member = |(name, value): &(String, Self)| {
                    format!("{name}{space}:{space}{}", value.text(space))
                };
                let parts = members.iter().map(member).collect();
                format!("{{{space}{}{space}}}", joined(parts))
            }
        }
    }

    fn visit(&mut self, seen: &mut impl FnMut(&mut Members)) {
        match self {
            Self::Text(_) => {}
            Self::List(all) => all.iter_mut().for_each(|value| value.visit(seen)),
            Self::Object(members) => {
                seen(members);
                members.iter_mut().for_each(|(_, value)| value.visit(seen));
            }
        }
    }

    /// Changes one of the objects.
    fn change_object(&mut self, number: u8, change: impl Fn(&mut Members)) {
        let (mut count, mut at) = (0, 0);
        self.visit(&mut |_| count += 1);
        let wanted = usize::from(number) % count.max(1);
        self.visit(&mut |members| {
            at += 1;
            if at == wanted + 1 {
                change(members);
            }
        });
    }

    /// Changes one of the members of all objects.
    fn change_member(&mut self, number: u8, change: impl Fn(&mut Members, usize)) {
        let (mut count, mut before) = (0, 0);
        self.visit(&mut |members| count += members.len());
        let wanted = usize::from(number) % count.max(1);
        self.visit(&mut |members| {
            let length = members.len();
            if (before..before + length).contains(&wanted) {
                change(members, wanted - before);
            }
            before += length;
        });
    }
}

impl TreeEdit {
    pub(super) fn apply(&self, tree: &mut Tree) {
        match *self {
            Self::Put(object, at, name, value) => tree.change_object(object, |members| {
                let at = usize::from(at) % (members.len() + 1);
                members.insert(at, (name.to_owned(), raw(value)));
            }),
            Self::Value(number, value) => {
                tree.change_member(number, |members, at| members[at].1 = raw(value));
            }
            Self::Name(number, name) => {
                tree.change_member(number, |members, at| name.clone_into(&mut members[at].0));
            }
            Self::Remove(number) => {
                tree.change_member(number, |members, at| drop(members.remove(at)));
            }
            Self::Repeat(number) => tree.change_member(number, |members, at| {
                let member = members[at].clone();
                members.push(member);
            }),
            Self::Again(number, value) => tree.change_member(number, |members, at| {
                let name = members[at].0.clone();
                members.insert(at + 1, (name, raw(value)));
            }),
            Self::Respell(number, form) => tree.change_member(number, |members, at| {
                members[at].0 = form.of(&members[at].0);
            }),
            Self::RespellAgain(number, form, value) => tree.change_member(number, |members, at| {
                let name = form.of(&members[at].0);
                members.insert(at + 1, (name, raw(value)));
            }),
        }
    }
}

impl Spelling {
    pub(super) const ALL: [Self; 5] =
        [Self::Upper, Self::Title, Self::LongS, Self::Escaped, Self::Unquoted];

    fn of(self, name: &str) -> String {
        let inner = name.trim_matches('"');
        let mut runes = inner.chars();
        match self {
            Self::Upper => name.to_uppercase(),
            Self::Title => {
                let first = runes.next().map(|rune| rune.to_ascii_uppercase());
                format!("\"{}{}\"", first.map(String::from).unwrap_or_default(), runes.as_str())
            }
            Self::LongS => name.replace('s', "\u{17F}").replace('k', "\u{212A}"),
            Self::Escaped => match runes.next() {
                Some(first) => format!("\"\\u{:04x}{}\"", u32::from(first), runes.as_str()),
                None => name.to_owned(),
            },
            Self::Unquoted => inner.to_owned(),
        }
    }
}
