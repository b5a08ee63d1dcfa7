//! Bodies that report the data that passes through them.
//!
//! In: hyper's request body and an answer's body. Out: the same bodies. The recorder gets every byte of the request,
//! gRPC framing included, and how the stream ended. Nothing is changed or held back.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Version;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::recorder::{Ended, Recorder};

/// One open request. Its stream has ended when the last holder of the ticket drops it.
pub(super) struct Ticket {
    recorder: Recorder,
    id: u64,
    answered: AtomicBool,
    broken_off: AtomicBool,
}

impl Ticket {
    /// A ticket for the request with this head.
    pub(super) fn new(
        recorder: &Recorder,
        connection: u64,
        head: &http::request::Parts,
    ) -> Arc<Self> {
        Arc::new(Self {
            recorder: recorder.clone(),
            id: recorder.arrived(connection, head),
            answered: AtomicBool::new(false),
            broken_off: AtomicBool::new(false),
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let answered = self.answered.load(Ordering::Relaxed);
        let broken_off = self.broken_off.load(Ordering::Relaxed);
        let how = if answered && !broken_off { Ended::Cleanly } else { Ended::Reset };
        self.recorder.ended(self.id, how);
    }
}

/// A request's body.
pub(super) struct RequestBody {
    inner: Incoming,
    ticket: Arc<Ticket>,
    version: Version,
    complete: bool,
}

impl RequestBody {
    pub(super) fn new(inner: Incoming, version: Version, ticket: Arc<Ticket>) -> Self {
        let mut body = Self { inner, ticket, version, complete: false };
        body.look_for_end();
        body
    }

    fn look_for_end(&mut self) {
        if self.inner.is_end_stream() {
            self.finish();
        }
    }

    fn finish(&mut self) {
        if !self.complete {
            self.complete = true;
            self.ticket.recorder.body_complete(self.ticket.id);
        }
    }

    /// hyper reports a stream that was reset with CANCEL as the end of the body. In h2, the stream is not at its end
    /// then.
    fn finish_or_break_off(&mut self) {
        if self.version == Version::HTTP_2 && !self.inner.is_end_stream() {
            self.ticket.broken_off.store(true, Ordering::Relaxed);
        } else {
            self.finish();
        }
    }

    fn saw(&mut self, frame: &Frame<Bytes>) {
        let Ticket { recorder, id, .. } = &*self.ticket;
        if let Some(piece) = frame.data_ref() {
            recorder.body(*id, piece);
        }
        if let Some(trailers) = frame.trailers_ref() {
            recorder.trailers(*id, trailers);
        }
        self.look_for_end();
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => self.saw(frame),
            Poll::Ready(Some(Err(_))) => self.ticket.broken_off.store(true, Ordering::Relaxed),
            Poll::Ready(None) if !self.complete => self.finish_or_break_off(),
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An answer's body.
pub(super) struct AnswerBody {
    inner: tonic::body::Body,
    ticket: Arc<Ticket>,
}

impl AnswerBody {
    pub(super) fn new(inner: tonic::body::Body, ticket: Arc<Ticket>) -> Self {
        let body = Self { inner, ticket };
        body.look_for_end();
        body
    }

    /// hyper does not poll again once the body reports its end.
    fn look_for_end(&self) {
        if self.inner.is_end_stream() {
            self.ticket.answered.store(true, Ordering::Relaxed);
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(None) => self.ticket.answered.store(true, Ordering::Relaxed),
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => {
                self.ticket.answered.store(true, Ordering::Relaxed);
            }
            Poll::Ready(Some(_)) => self.look_for_end(),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
