//! Edits: each breaks, respells or changes one thing of a token or of its surroundings.

use super::draft::{Draft, Headers, Part};
use super::keys::{self, Scheme};
use super::pools::Value;

/// One change.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Member(Half, MemberEdit),
    Space(Half, &'static str),
    Json(Half, TextEdit),
    Base64(Half, Base64Edit),
    Signer(&'static str),
    Scheme(Scheme),
    Signature(SignatureEdit),
    SignatureText(Base64Edit),
    Token(TextEdit),
    Headers(Headers),
    Revocations(String),
    Zone(&'static str),
    Nanoseconds(u32),
}

/// One of the two JSON objects.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Half {
    Header,
    Claims,
}

/// A change of a member. Positions wrap around.
#[derive(Debug, Clone)]
pub(crate) enum MemberEdit {
    Put(u8, &'static [u8], Value),
    Value(u8, Value),
    Name(u8, &'static [u8]),
    Remove(u8),
    Repeat(u8),
}

/// A change of text. Positions wrap around.
#[derive(Debug, Clone)]
pub(crate) enum TextEdit {
    Insert(u16, &'static [u8]),
    Replace(u16, &'static [u8]),
    Delete(u16),
    Truncate(u16),
    Prepend(&'static [u8]),
    Append(&'static [u8]),
    /// `DropPiece` removes the piece between two dots; `RepeatPiece` repeats it.
    DropPiece(u8),
    RepeatPiece(u8),
}

/// A change of base64.
#[derive(Debug, Clone)]
pub(crate) enum Base64Edit {
    Text(TextEdit),
    /// `+` and `/` in place of `-` and `_`.
    StandardAlphabet,
    /// Changes the spare bits of the last character.
    SpareBits(u8),
    Empty,
}

/// A change of the signature's bytes.
#[derive(Debug, Clone)]
pub(crate) enum SignatureEdit {
    FlipBit(u16),
    PrependZero,
    AppendZero,
    DropFirst,
    DropLast,
    Zeroed,
    Empty,
    PlusModulus,
}

impl Edit {
    pub(super) fn apply(&self, draft: &mut Draft) {
        match self {
            Self::Member(half, edit) => edit.apply(&mut draft.part(*half).members),
            Self::Space(half, space) => draft.part(*half).space = space,
            Self::Json(half, edit) => draft.part(*half).json.push(edit.clone()),
            Self::Base64(half, edit) => draft.part(*half).base64.push(edit.clone()),
            Self::Signer(name) => draft.signer = name,
            Self::Scheme(scheme) => draft.scheme = *scheme,
            Self::Signature(edit) => draft.signature.push(edit.clone()),
            Self::SignatureText(edit) => draft.signature_text.push(edit.clone()),
            Self::Token(edit) => draft.token.push(edit.clone()),
            Self::Headers(headers) => draft.headers = *headers,
            Self::Revocations(text) => draft.revocations.clone_from(text),
            Self::Zone(zone) => (*zone).clone_into(&mut draft.zone),
            Self::Nanoseconds(nanos) => {
                draft.now = std::time::Duration::new(draft.now.as_secs(), *nanos);
            }
        }
    }
}

impl Draft {
    fn part(&mut self, half: Half) -> &mut Part {
        match half {
            Half::Header => &mut self.header,
            Half::Claims => &mut self.claims,
        }
    }
}

impl MemberEdit {
    fn apply(&self, members: &mut Vec<(Vec<u8>, Value)>) {
        let count = members.len();
        let place = |at: &u8| usize::from(*at) % count.max(1);
        match self {
            Self::Put(at, name, value) => {
                members.insert(usize::from(*at) % (count + 1), (name.to_vec(), value.clone()));
            }
            _ if count == 0 => {}
            Self::Value(at, value) => members[place(at)].1 = value.clone(),
            Self::Name(at, name) => members[place(at)].0 = name.to_vec(),
            Self::Remove(at) => drop(members.remove(place(at))),
            Self::Repeat(at) => members.push(members[place(at)].clone()),
        }
    }
}

impl TextEdit {
    pub(crate) fn apply(&self, text: &mut Vec<u8>) {
        let length = text.len();
        let place = |at: &u16| usize::from(*at) % length.max(1);
        match self {
            Self::Insert(at, piece) => {
                let at = usize::from(*at) % (length + 1);
                drop(text.splice(at..at, piece.iter().copied()));
            }
            Self::Prepend(piece) => drop(text.splice(0..0, piece.iter().copied())),
            Self::Append(piece) => text.extend(*piece),
            _ if length == 0 => {}
            Self::Replace(at, piece) => {
                drop(text.splice(place(at)..=place(at), piece.iter().copied()));
            }
            Self::Delete(at) => drop(text.remove(place(at))),
            Self::Truncate(at) => text.truncate(place(at)),
            Self::DropPiece(at) => edit_pieces(text, |pieces| {
                pieces.remove(usize::from(*at) % pieces.len());
            }),
            Self::RepeatPiece(at) => edit_pieces(text, |pieces| {
                let piece = pieces[usize::from(*at) % pieces.len()].clone();
                pieces.push(piece);
            }),
        }
    }
}

fn edit_pieces(text: &mut Vec<u8>, edit: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let mut pieces: Vec<Vec<u8>> = text.split(|byte| *byte == b'.').map(<[u8]>::to_vec).collect();
    edit(&mut pieces);
    *text = pieces.join(&b'.');
}

impl Base64Edit {
    pub(super) fn apply(&self, text: &mut Vec<u8>) {
        match self {
            Self::Text(edit) => edit.apply(text),
            Self::Empty => text.clear(),
            Self::StandardAlphabet => {
                for byte in text.iter_mut() {
                    *byte = match *byte {
                        b'-' => b'+',
                        b'_' => b'/',
                        other => other,
                    };
                }
            }
            Self::SpareBits(bits) => spare_bits(text, *bits),
        }
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn spare_bits(text: &mut [u8], bits: u8) {
    let mask = match text.len() % 4 {
        2 => 0b1111,
        3 => 0b11,
        _ => return,
    };
    let Some(last) = text.last_mut() else { return };
    if let Some(value) = ALPHABET.iter().position(|other| other == last) {
        *last = ALPHABET[value ^ usize::from(bits & mask)];
    }
}

impl SignatureEdit {
    pub(super) fn apply(&self, signature: &mut Vec<u8>, signer: &str) {
        let last = signature.len().saturating_sub(1);
        match self {
            Self::PrependZero => signature.insert(0, 0),
            Self::AppendZero => signature.push(0),
            Self::Empty => signature.clear(),
            Self::PlusModulus => *signature = keys::plus_modulus(signer, signature),
            _ if signature.is_empty() => {}
            Self::FlipBit(at) => {
                let at = usize::from(*at) % (signature.len() * 8);
                signature[at / 8] ^= 1 << (at % 8);
            }
            Self::DropFirst => drop(signature.remove(0)),
            Self::DropLast => signature.truncate(last),
            Self::Zeroed => signature.fill(0),
        }
    }
}
