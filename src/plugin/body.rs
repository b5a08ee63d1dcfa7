//! The body of a held request, as far as it has come.
//!
//! In: how many bytes Envoy shows. Out: the first message, or the whole. In enforce mode Envoy keeps
//! the body and it is fetched once, when it is whole; in shadow mode it passes by in pieces, which
//! are copied.

use std::borrow::Cow;

use super::host;
use crate::gate::{Frame, MAX_BOOTSTRAP, Mode, PREFIX, RequestError};

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
    Copied(Vec<u8>),
}

impl Body {
    pub(super) fn new(mode: Mode) -> Self {
        match mode {
            Mode::Enforce => Self::Kept { size: 0, frame: None },
            Mode::Shadow => Self::Copied(Vec::new()),
        }
    }

    /// Envoy shows `shown` bytes: all that it keeps, or the next piece.
    pub(super) fn add(&mut self, shown: usize) {
        match self {
            Self::Kept { size, .. } => *size = shown,
            // No more is copied than it takes to see that it is too much.
            Self::Copied(bytes) if bytes.len() <= MAX_BOOTSTRAP.saturating_add(PREFIX) => {
                bytes.extend(host::request_body(shown).unwrap_or_default());
            }
            Self::Copied(_) => {}
        }
    }

    pub(super) fn size(&self) -> usize {
        match self {
            Self::Kept { size, .. } => *size,
            Self::Copied(bytes) => bytes.len(),
        }
    }

    /// The first message; `None` while it is not whole. The five bytes before it say how long it is:
    /// only when it is whole is it fetched, however many pieces it comes in.
    pub(super) fn first_message(&mut self) -> Result<Option<Cow<'_, [u8]>>, RequestError> {
        match self {
            Self::Copied(bytes) => {
                let frame = Frame::of(bytes)?;
                Ok(frame.and_then(|frame| frame.message(bytes)).map(Cow::Borrowed))
            }
            Self::Kept { size, frame } => {
                if frame.is_none() {
                    *frame = Frame::of(&host::request_body(PREFIX).unwrap_or_default())?;
                }
                match frame {
                    Some(frame) if *size >= frame.length => {
                        let body = host::request_body(frame.length).unwrap_or_default();
                        let message = frame.message(&body).ok_or(RequestError::Host)?;
                        Ok(Some(Cow::Owned(message.to_vec())))
                    }
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
            Self::Copied(bytes) => Some(Cow::Borrowed(bytes)),
        }
    }
}
