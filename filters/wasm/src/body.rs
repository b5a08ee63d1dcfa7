//! The body of a held request, as far as it has come.
//!
//! In: how many bytes Envoy shows. Out: the first message, or the whole. In enforce mode Envoy keeps
//! the body and it is fetched once, when it is whole; in shadow mode it passes by in pieces, which
//! are copied.

use std::borrow::Cow;
use std::cell::Cell;

use zonegate::gate::{Frame, MAX_FIRST_MESSAGE, Mode, PREFIX, RequestError};

use super::host;

/// Where the bytes are.
pub(super) enum Body {
    /// With Envoy, all of them.
    Kept {
        /// How many.
        size: usize,
        /// How long the first message is, once its prefix has come.
        frame: Option<Frame>,
    },
    /// Here.
    Copied(Copied),
}

/// The most that the streams of one VM may copy together. A stranger's streams must not fill the
/// VM's memory, in the mode of all that promises to let everything through.
const MAX_COPIED: usize = 64 * 1024 * 1024;

thread_local! {
    static COPIED: Cell<usize> = const { Cell::new(0) };
}

/// How much of a body is fetched at first: a first message comes in one piece, as a rule, and then
/// this is all of it.
const FIRST_LOOK: usize = 16 * 1024;

/// Bytes that were copied, counted as long as they are there.
#[derive(Default)]
pub(super) struct Copied {
    bytes: Vec<u8>,
    /// Whether some were left out.
    too_much: bool,
}

impl Copied {
    fn add(&mut self, length: usize) {
        // A piece may hold the end of the first message and more, so the last one may go beyond.
        let enough = self.bytes.len() >= MAX_FIRST_MESSAGE.saturating_add(PREFIX);
        if self.too_much || enough || COPIED.get().saturating_add(length) > MAX_COPIED {
            self.too_much = true;
            return;
        }
        let piece = host::request_body(length).unwrap_or_default();
        COPIED.set(COPIED.get().saturating_add(piece.len()));
        self.bytes.extend(piece);
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        COPIED.set(COPIED.get().saturating_sub(self.bytes.len()));
    }
}

impl Body {
    pub(super) fn new(mode: Mode) -> Self {
        match mode {
            Mode::Enforce => Self::Kept { size: 0, frame: None },
            Mode::Shadow => Self::Copied(Copied::default()),
        }
    }

    /// Envoy shows `shown` bytes: all that it keeps, or the next piece.
    pub(super) fn add(&mut self, shown: usize) {
        match self {
            Self::Kept { size, .. } => *size = shown,
            Self::Copied(copied) => copied.add(shown),
        }
    }

    /// Whether Envoy keeps it, and nothing of it has gone upstream.
    pub(super) fn is_kept(&self) -> bool {
        matches!(self, Self::Kept { .. })
    }

    pub(super) fn size(&self) -> usize {
        match self {
            Self::Kept { size, .. } => *size,
            Self::Copied(copied) if copied.too_much => usize::MAX,
            Self::Copied(copied) => copied.bytes.len(),
        }
    }

    /// The first message; `None` while it is not whole. The five bytes before it say how long it is:
    /// only when it is whole is it fetched, however many pieces it comes in.
    pub(super) fn first_message(&mut self) -> Result<Option<Cow<'_, [u8]>>, RequestError> {
        match self {
            Self::Copied(copied) => {
                let frame = Frame::of(&copied.bytes)?;
                match frame.and_then(|frame| frame.message(&copied.bytes)) {
                    None if copied.too_much => Err(RequestError::TooLarge),
                    message => Ok(message.map(Cow::Borrowed)),
                }
            }
            Self::Kept { size, frame: Some(frame) } if *size >= frame.length => {
                let body = host::request_body(frame.length).unwrap_or_default();
                whole_message(body, *frame).ok_or(RequestError::Host).map(Some)
            }
            Self::Kept { frame: Some(_), .. } => Ok(None),
            Self::Kept { size, frame } => {
                let start = host::request_body((*size).min(FIRST_LOOK)).unwrap_or_default();
                *frame = Frame::of(&start)?;
                match frame {
                    Some(known) if start.len() >= known.length => Ok(whole_message(start, *known)),
                    Some(known) if *size >= known.length => self.first_message(),
                    _ => Ok(None),
                }
            }
        }
    }

    /// All of it, once it has ended.
    pub(super) fn whole(&self) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Kept { size: 0, .. } => Some(Cow::Borrowed(&[])),
            Self::Kept { size, .. } => host::request_body(*size).map(Cow::Owned),
            Self::Copied(copied) => Some(Cow::Borrowed(&copied.bytes)),
        }
    }
}

/// The message in `body`, which holds it to its end.
fn whole_message(mut body: Vec<u8>, frame: Frame) -> Option<Cow<'static, [u8]>> {
    frame.message(&body)?;
    body.truncate(frame.length);
    body.drain(..PREFIX);
    Some(Cow::Owned(body))
}
