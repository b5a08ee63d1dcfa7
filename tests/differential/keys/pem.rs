//! PEM around a key, piece by piece, and the edits of each piece.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A part of the text, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    Before,
    Begin,
    Label,
    Dashes,
    LineEnd,
    Headers,
    Body,
    BodyEnd,
    End,
    EndLabel,
    EndDashes,
    LastLineEnd,
    After,
}

impl Piece {
    pub(super) const ALL: [Self; 13] = [
        Self::Before,
        Self::Begin,
        Self::Label,
        Self::Dashes,
        Self::LineEnd,
        Self::Headers,
        Self::Body,
        Self::BodyEnd,
        Self::End,
        Self::EndLabel,
        Self::EndDashes,
        Self::LastLineEnd,
        Self::After,
    ];
}

/// An edit of the text.
#[derive(Debug, Clone)]
pub(super) enum PemEdit {
    Prepend(Piece, &'static str),
    Append(Piece, &'static str),
    Replace(Piece, &'static str),
    /// Replaces the label on both lines.
    Labels(&'static str),
    Width(usize),
    /// Replaces every line end.
    LineEnds(&'static str),
    /// Replaces every other line end.
    SomeLineEnds(&'static str),
    Indent(&'static str),
    /// As YAML folds a scalar: line ends become spaces, except the last one.
    Folded,
    Quoted(&'static str),
    /// Adds another block, or a part of one, before or after the whole.
    BlockBefore(&'static str),
    BlockAfter(&'static str),
    /// Repeats the whole, with this text between.
    Twice(&'static str),
    Base64,
    /// Edits the base64; the place is in 1/65536 of the whole.
    BodyReplace(u16, char),
    BodyInsert(u16, &'static str),
    BodyDelete(u16),
    /// Changes the last character of the base64 that is not padding.
    SpareBits,
    Padding(&'static str),
    /// Edits any place in the whole text.
    Insert(u16, &'static str),
    Delete(u16, u8),
}

/// PEM in pieces, and edits of the whole.
pub(super) struct Pem {
    pieces: [String; 13],
    whole: Vec<PemEdit>,
}

impl Pem {
    pub(super) fn good(is_pkcs1: bool, der: &[u8]) -> Self {
        let label = if is_pkcs1 { "RSA PUBLIC KEY" } else { "PUBLIC KEY" };
        let body = lines(&STANDARD.encode(der), 64);
        let pieces = [
            "",
            "-----BEGIN ",
            label,
            "-----",
            "\n",
            "",
            &body,
            "\n",
            "-----END ",
            label,
            "-----",
            "\n",
            "",
        ];
        Self { pieces: pieces.map(str::to_owned), whole: Vec::new() }
    }

    pub(super) fn finish(&self) -> Vec<u8> {
        let mut text = self.pieces.concat();
        self.whole.iter().for_each(|edit| edit.apply_to_whole(&mut text));
        text.into_bytes()
    }

    fn piece(&mut self, piece: Piece) -> &mut String {
        &mut self.pieces[piece as usize]
    }
}

fn lines(base64: &str, width: usize) -> String {
    let characters: Vec<char> = base64.chars().collect();
    let lines = characters.chunks(width.max(1)).map(|line| line.iter().collect::<String>());
    lines.collect::<Vec<_>>().join("\n")
}

/// An index into `text` at the border of a character.
fn at(text: &str, part: u16) -> usize {
    let mut at = usize::from(part) * (text.len() + 1) / 65_536;
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn delete(text: &mut String, part: u16) {
    let at = at(text, part);
    if at < text.len() {
        text.remove(at);
    }
}

impl PemEdit {
    pub(super) fn apply(&self, pem: &mut Pem) {
        match self.clone() {
            Self::Prepend(piece, text) => pem.piece(piece).insert_str(0, text),
            Self::Append(piece, text) => pem.piece(piece).push_str(text),
            Self::Replace(piece, text) => *pem.piece(piece) = text.to_owned(),
            Self::Labels(label) => {
                *pem.piece(Piece::Label) = label.to_owned();
                *pem.piece(Piece::EndLabel) = label.to_owned();
            }
            Self::Width(width) => {
                let body = pem.piece(Piece::Body);
                *body = lines(&body.replace('\n', ""), width);
            }
            Self::BodyReplace(part, with) => {
                let body = pem.piece(Piece::Body);
                let at = at(body, part);
                delete(body, part);
                body.insert(at.min(body.len()), with);
            }
            Self::BodyInsert(part, text) => {
                let body = pem.piece(Piece::Body);
                body.insert_str(at(body, part), text);
            }
            Self::BodyDelete(part) => delete(pem.piece(Piece::Body), part),
            Self::SpareBits => {
                let body = pem.piece(Piece::Body);
                let padding = body.len() - body.trim_end_matches('=').len();
                body.truncate(body.len() - padding);
                // Two neighbours in the alphabet differ only in the lowest bit, if the first has an even index.
                let last = body.pop().map(|last| match last {
                    'A'..='Y' | 'a'..='y' | '0'..='8' => char::from_u32(last as u32 + 1).unwrap(),
                    other => other,
                });
                body.extend(last);
                body.extend(std::iter::repeat_n('=', padding));
            }
            Self::Padding(padding) => {
                let body = pem.piece(Piece::Body);
                *body = format!("{}{padding}", body.trim_end_matches('='));
            }
            whole => pem.whole.push(whole),
        }
    }

    fn apply_to_whole(&self, text: &mut String) {
        match self {
            Self::LineEnds(end) => *text = text.replace('\n', end),
            Self::SomeLineEnds(end) => {
                let mut count = 0;
                let ends = text.split_inclusive('\n').map(|line| {
                    count += 1;
                    if count % 2 == 0 { line.replace('\n', end) } else { line.to_owned() }
                });
                *text = ends.collect();
            }
            Self::Indent(by) => {
                *text = text.split_inclusive('\n').map(|line| format!("{by}{line}")).collect();
            }
            Self::Folded => {
                let folded = text.trim_end_matches('\n').replace('\n', " ");
                *text = folded + "\n";
            }
            Self::Quoted(mark) => *text = format!("{mark}{text}{mark}"),
            Self::BlockBefore(block) => text.insert_str(0, block),
            Self::BlockAfter(block) => text.push_str(block),
            Self::Twice(between) => *text = format!("{text}{between}{text}"),
            Self::Base64 => *text = STANDARD.encode(&*text),
            Self::Insert(part, piece) => text.insert_str(at(text, *part), piece),
            Self::Delete(part, count) => (0..*count).for_each(|_| delete(text, *part)),
            _ => {}
        }
    }
}
