//! What a host tells the lifecycle.
//!
//! In: the host's own data. Out: the types of events. This file decides nothing.

use std::borrow::Cow;
use std::time::Duration;

use crate::gate::{Head, Now};

/// A stream, by the host's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(
    /// The host's number. No two streams that live at the same time share one.
    pub u32,
);

/// The number of a policy that a worker was given: the first is 1, the next is 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyNumber(pub(super) u64);

/// The host's clocks.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    /// The time of day, for judging tokens. It can be set back, and it can be missing.
    pub wall: Now,
    /// The time since some moment in the past, for deadlines. It cannot go back.
    pub monotonic: Duration,
}

/// The headers of a request.
pub struct Request<'a> {
    /// The stream of the request.
    pub stream: StreamId,
    /// The policy that the host had in force when it began the stream, if that is known.
    pub under: Option<PolicyNumber>,
    /// The headers.
    pub head: Head<'a>,
    /// `x-request-id`, for the log.
    pub request_id: &'a [u8],
    /// The size of all headers together, in bytes.
    pub header_bytes: usize,
    /// Whether the request ends here, without body and trailers.
    pub is_end: bool,
}

impl<'a> Request<'a> {
    /// The request of `stream` with these headers, whose names are in lower case, as HTTP/2 has them.
    pub fn new(
        stream: StreamId,
        under: Option<PolicyNumber>,
        headers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        is_end: bool,
    ) -> Self {
        let (mut request_id, mut header_bytes) = (None, 0_usize);
        let head = headers
            .inspect(|(name, value)| {
                header_bytes = header_bytes.saturating_add(name.len()).saturating_add(value.len());
                if *name == b"x-request-id" {
                    request_id.get_or_insert(*value);
                }
            })
            .collect();
        let request_id = request_id.unwrap_or_default();
        Self { stream, under, head, request_id, header_bytes, is_end }
    }
}

/// A request body, as a host shows it.
pub trait RequestBody {
    /// How many bytes the host shows: all that it keeps if the stream is held, otherwise the next piece.
    fn size(&self) -> usize;

    /// The first `length` bytes of these; `None` if the host does not hand them over.
    fn read(&self, length: usize) -> Option<Cow<'_, [u8]>>;
}

/// What the host does with the stream of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// It continues.
    Continue,
    /// It waits, with all that has come of it.
    Pause,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_what_matters_of_its_headers() {
        let headers: [(&[u8], &[u8]); 6] = [
            (b":method", b"POST"),
            (b":path", b"/bootstrap"),
            (b"x-request-id", b"first"),
            (b"x-request-id", b"second"),
            (b"\xff", b"\xff\xff"),
            (b"authorization", b"token"),
        ];
        let request = Request::new(StreamId(7), Some(PolicyNumber(2)), headers.into_iter(), true);
        let authorization = vec![&b"token"[..]];
        let head = Head { method: b"POST", path: b"/bootstrap", authorization, ..Head::default() };
        assert_eq!(request.head, head);
        assert_eq!(request.request_id, b"first");
        assert_eq!(request.header_bytes, 7 + 4 + 5 + 10 + 12 + 5 + 12 + 6 + 1 + 2 + 13 + 5);
        assert_eq!((request.stream, request.under), (StreamId(7), Some(PolicyNumber(2))));
        assert!(request.is_end);
    }

    #[test]
    fn a_request_without_headers_has_nothing() {
        let request = Request::new(StreamId(1), None, std::iter::empty(), false);
        assert_eq!((request.head, request.request_id), (Head::default(), &b""[..]));
        assert_eq!((request.header_bytes, request.under, request.is_end), (0, None, false));
    }
}
