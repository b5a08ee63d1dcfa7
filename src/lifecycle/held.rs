//! Streams that wait for their first message, or their body.
//!
//! In: pieces of a body. Out: the first message or the body once it is complete, and which streams hold too much.
//! The contents of the message are not read here.
//!
//! In enforce mode the host keeps a held body, and the filter reads it once, when it is complete. In shadow mode the
//! body passes in pieces, and the filter copies them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use super::{PolicyNumber, Protocol, RequestBody, StreamId};
use crate::gate::{
    Credential, Frame, Held, MAX_BOOTSTRAP, MAX_FIRST_MESSAGE, PREFIX, RequestError,
};
use crate::log_line::Origin;

/// The limit for all held streams of a worker together, in bytes. A proxy's first message takes a few KiB and is
/// complete within milliseconds, so thousands of proxies can connect at once.
pub const HELD_BYTES: usize = 16 * 1024 * 1024;
/// The memory of a held stream besides its headers and its body, in the host and in the gate.
const HELD_OVERHEAD: usize = 2 * 1024;
/// How much of a body is read first. A first message usually comes in one piece, and is not longer than this.
const FIRST_READ: usize = 16 * 1024;

/// A stream that waits.
#[derive(Debug)]
pub(super) struct HeldStream {
    pub(super) held: Held,
    /// An earlier policy that the stream must satisfy, too.
    pub(super) also_by: Option<PolicyNumber>,
    pub(super) body: Body,
    header_bytes: usize,
    pub(super) protocol: Protocol,
    pub(super) origin: Origin,
    /// The time of the first tick after the stream began to wait.
    pub(super) since: Option<Duration>,
    /// The order in which held streams began to wait.
    order: u64,
}

impl HeldStream {
    pub(super) fn new(
        held: Held,
        also_by: Option<PolicyNumber>,
        body: Body,
        header_bytes: usize,
        protocol: Protocol,
        origin: Origin,
    ) -> Self {
        Self { held, also_by, body, header_bytes, protocol, origin, since: None, order: 0 }
    }

    /// How much the host may hold for streams that have lost and are not answered yet, for this stream to make another
    /// lose.
    pub(super) fn lost_at_most(&self) -> usize {
        match self.rank() {
            Rank::Stranger => HELD_BYTES / 2,
            Rank::Verified => HELD_BYTES,
        }
    }

    fn rank(&self) -> Rank {
        match &self.held {
            Held::FirstMessage { credential: Ok(Credential::Verified(_)), .. } => Rank::Verified,
            Held::FirstMessage { .. } | Held::Bootstrap => Rank::Stranger,
        }
    }

    /// The memory that it takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        let credential = match &self.held {
            Held::FirstMessage { credential: Ok(credential), .. } => credential.bytes(),
            Held::FirstMessage { credential: Err(_), .. } | Held::Bootstrap => 0,
        };
        [credential, self.body.size(), self.header_bytes, HELD_OVERHEAD]
            .into_iter()
            .fold(0, usize::saturating_add)
    }
}

/// The memory of the held streams of a worker, and which of them is refused first if they hold too much.
#[derive(Debug, Default)]
pub(super) struct HeldTotal {
    bytes: usize,
    /// Strangers before others, and of each the one that has waited longest. A good proxy waits for milliseconds, also
    /// when somebody with a good token floods the gateway.
    ranks: BTreeMap<(Rank, u64), StreamId>,
    last: u64,
}

/// Who is refused first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Stranger,
    Verified,
}

impl HeldTotal {
    /// Counts a stream that begins to wait.
    pub(super) fn enter(&mut self, id: StreamId, stream: &mut HeldStream) {
        self.last = self.last.saturating_add(1);
        stream.order = self.last;
        self.ranks.insert((stream.rank(), stream.order), id);
        self.bytes = self.bytes.saturating_add(stream.weight());
    }

    /// No longer counts a stream.
    pub(super) fn leave(&mut self, stream: &HeldStream) {
        self.ranks.remove(&(stream.rank(), stream.order));
        self.bytes = self.bytes.saturating_sub(stream.weight());
    }

    /// Adds what has come of the body of a stream that waits.
    pub(super) fn grow(&mut self, stream: &mut HeldStream, body: &dyn RequestBody) {
        let before = stream.weight();
        stream.body.add(body);
        self.bytes = self.bytes.saturating_sub(before).saturating_add(stream.weight());
    }

    /// Whether they hold too much.
    pub(super) fn is_over(&self) -> bool {
        self.bytes > HELD_BYTES
    }

    /// The stream that is refused first.
    pub(super) fn first(&self) -> Option<StreamId> {
        self.ranks.values().next().copied()
    }

    /// How many bytes they hold together.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Who keeps the bytes of a body.
#[derive(Debug)]
pub(super) enum Body {
    /// The host keeps all of them.
    Kept {
        /// How many bytes.
        size: usize,
        /// The length of the first message, once its prefix has come.
        frame: Option<Frame>,
    },
    /// They are copied here, because the host has let them pass.
    Copied {
        /// The first bytes.
        bytes: Vec<u8>,
        /// Whether later bytes were left out.
        is_cut_off: bool,
    },
}

impl Body {
    /// A body that the host keeps; no byte of it has gone upstream.
    pub(super) const KEPT: Self = Self::Kept { size: 0, frame: None };
    /// A body that the host lets pass.
    pub(super) const COPIED: Self = Self::Copied { bytes: Vec::new(), is_cut_off: false };

    pub(super) fn is_kept(&self) -> bool {
        matches!(self, Self::Kept { .. })
    }

    fn size(&self) -> usize {
        match self {
            Self::Kept { size, .. } => *size,
            Self::Copied { bytes, .. } => bytes.capacity(),
        }
    }

    fn add(&mut self, shown: &dyn RequestBody) {
        match self {
            Self::Kept { size, .. } => *size = shown.size(),
            Self::Copied { bytes, is_cut_off } => {
                // A piece may have the end of the first message and more, so the last piece may exceed the limit.
                let is_enough = bytes.len() >= MAX_FIRST_MESSAGE.saturating_add(PREFIX);
                *is_cut_off |= is_enough;
                if *is_cut_off || shown.size() == 0 {
                    return;
                }
                match shown.read(shown.size()) {
                    Some(piece) => bytes.extend_from_slice(&piece),
                    None => *is_cut_off = true,
                }
            }
        }
    }

    /// The first message; `None` while it is incomplete. The five bytes before it have its length. It is read only
    /// once, when it is complete, however many pieces it comes in.
    pub(super) fn first_message<'a>(
        &'a mut self,
        shown: &'a dyn RequestBody,
    ) -> Result<Option<Cow<'a, [u8]>>, RequestError> {
        match self {
            Self::Copied { bytes, is_cut_off } => {
                let frame = Frame::of(bytes)?;
                match frame.and_then(|frame| frame.message(bytes)) {
                    None if *is_cut_off => Err(RequestError::TooLarge),
                    message => Ok(message.map(Cow::Borrowed)),
                }
            }
            Self::Kept { size, frame } => {
                if frame.is_none() {
                    let start = shown.read((*size).min(FIRST_READ)).unwrap_or_default();
                    *frame = Frame::of(&start)?;
                    if let Some(known) = frame
                        && start.len() >= known.length
                    {
                        return Ok(whole_message(start, *known));
                    }
                }
                match frame {
                    Some(frame) if *size >= frame.length => {
                        let body = shown.read(frame.length).unwrap_or_default();
                        whole_message(body, *frame).ok_or(RequestError::Host).map(Some)
                    }
                    _ => Ok(None),
                }
            }
        }
    }

    /// The whole body, once it has ended.
    ///
    /// # Errors
    /// It is longer than a bootstrap request may be, or the host does not hand it over.
    pub(super) fn bootstrap<'a>(
        &'a self,
        shown: &'a dyn RequestBody,
        is_end: bool,
    ) -> Result<Option<Cow<'a, [u8]>>, RequestError> {
        match self {
            Self::Kept { size, .. } if *size > MAX_BOOTSTRAP => Err(RequestError::TooLarge),
            Self::Copied { bytes, is_cut_off } if *is_cut_off || bytes.len() > MAX_BOOTSTRAP => {
                Err(RequestError::TooLarge)
            }
            _ if !is_end => Ok(None),
            Self::Kept { size: 0, .. } => Ok(Some(Cow::Borrowed(&[]))),
            Self::Kept { size, .. } => shown.read(*size).ok_or(RequestError::Host).map(Some),
            Self::Copied { bytes, .. } => Ok(Some(Cow::Borrowed(bytes))),
        }
    }
}

/// The message in `body`, which is complete.
fn whole_message(body: Cow<'_, [u8]>, frame: Frame) -> Option<Cow<'_, [u8]>> {
    match body {
        Cow::Borrowed(bytes) => frame.message(bytes).map(Cow::Borrowed),
        Cow::Owned(mut bytes) => {
            frame.message(&bytes)?;
            bytes.truncate(frame.length);
            bytes.drain(..PREFIX);
            Some(Cow::Owned(bytes))
        }
    }
}

#[cfg(test)]
mod tests;
