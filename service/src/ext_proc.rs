//! Envoy's external processing. It shows the first message, so the judgement is that of the filter.
//!
//! In: what Envoy shows of a request: headers, pieces of its body as they come, trailers. Out: the same bytes, once the
//! request is judged, or an answer in place of them. Messages are not read here: the core judges them.
//!
//! Envoy has to send the body as a full duplex stream, and trailers ([`is_usable`]). Then only what this service sends
//! back goes upstream. So the service holds a stream by keeping its bytes, and cuts a stream by ending the call with an
//! error. If the call ends in any other way, Envoy ends the stream too, because it lacks the bytes. This needs
//! `failure_mode_allow: false`, which is the default.

mod kept;
mod messages;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::HeaderMap;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::ExternalProcessor;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request as Part;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    HttpBody, HttpHeaders, ProcessingRequest, ProcessingResponse,
};
use futures_util::Stream as AsyncStream;
use futures_util::stream;
use tonic::{Request, Response, Status, Streaming};
use zonegate::lifecycle::{Decision, Facts, Step};

use crate::gate::{Gate, Order, Stream};
use kept::{Bytes, Kept};

/// The service.
#[derive(Debug, Clone)]
pub(crate) struct Processor(pub(crate) Arc<Gate>);

type Answers = Pin<Box<dyn AsyncStream<Item = Result<ProcessingResponse, Status>> + Send>>;

#[tonic::async_trait]
impl ExternalProcessor for Processor {
    type ProcessStream = Answers;

    async fn process(
        &self,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let mut parts = request.into_inner();
        let Some(first) = parts.message().await? else {
            return Ok(Response::new(Box::pin(stream::empty())));
        };
        let exchange = Exchange::begin(&self.0, first, parts)?;
        // Nothing is read before the caller asks for more. So a peer that does not read its answers is not read from.
        let answers = stream::unfold(exchange, |mut exchange| async {
            let answer = exchange.next().await?;
            Some((answer, exchange))
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

/// One request.
struct Exchange {
    parts: Streaming<ProcessingRequest>,
    stream: Stream,
    phase: Phase,
    kept: Kept,
    /// Facts for Envoy's access log that were not sent yet.
    facts: Option<Facts>,
    answers: VecDeque<Result<ProcessingResponse, Status>>,
}

/// The state of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not judged yet, and kept here.
    Kept,
    /// Not judged yet, but passing: shadow mode.
    Passing,
    /// Allowed.
    Allowed,
    /// Answered or cut.
    Ended,
}

impl Exchange {
    fn begin(
        gate: &Arc<Gate>,
        first: ProcessingRequest,
        parts: Streaming<ProcessingRequest>,
    ) -> Result<Self, Status> {
        is_usable(&first)?;
        let peer = messages::peer(&first);
        let Some(Part::RequestHeaders(headers)) = first.request else {
            return Err(Status::invalid_argument("the request headers must come first"));
        };
        let stream =
            gate.begin(&peer).ok_or_else(|| Status::resource_exhausted("too many streams"))?;
        let (kept, answers) = (Kept::default(), VecDeque::new());
        let mut this = Self { parts, stream, phase: Phase::Kept, kept, facts: None, answers };
        this.on_headers(&headers);
        Ok(this)
    }

    /// The next message to Envoy; `None` ends the call.
    async fn next(&mut self) -> Option<Result<ProcessingResponse, Status>> {
        loop {
            if let Some(answer) = self.answers.pop_front() {
                return Some(answer);
            }
            if self.phase == Phase::Ended {
                return None;
            }
            tokio::select! {
                biased;
                Some(order) = self.stream.orders.recv() => self.obey(order),
                part = self.parts.message() => match part {
                    Ok(Some(ProcessingRequest { request, .. })) => self.on_part(request),
                    // The request is over.
                    Ok(None) => return None,
                    Err(error) => return Some(Err(error)),
                },
            }
        }
    }

    fn on_part(&mut self, part: Option<Part>) {
        match part {
            Some(Part::RequestBody(body)) => self.on_body(body),
            Some(Part::RequestTrailers(_)) => self.on_trailers(),
            Some(
                Part::RequestHeaders(_)
                | Part::ResponseHeaders(_)
                | Part::ResponseBody(_)
                | Part::ResponseTrailers(_),
            )
            | None => self.end(Status::invalid_argument(
                "unexpected message: only the body and trailers of the request were asked for",
            )),
        }
    }

    fn on_headers(&mut self, HttpHeaders { headers, end_of_stream, .. }: &HttpHeaders) {
        let step = self.stream.on_headers(pairs(headers.as_ref()), *end_of_stream);
        self.obey_all();
        if step == Step::Continue {
            self.let_headers_go();
        }
    }

    fn on_body(&mut self, HttpBody { body, end_of_stream, .. }: HttpBody) {
        let step = match self.phase {
            Phase::Ended => return,
            Phase::Allowed => Step::Continue,
            Phase::Passing => self.stream.on_body(&Bytes(&body), end_of_stream),
            Phase::Kept => {
                self.kept.add(body, end_of_stream);
                let step = self.stream.on_body(&Bytes(&self.kept.body), end_of_stream);
                self.obey_all();
                return self.go_on(step);
            }
        };
        self.obey_all();
        if step == Step::Continue {
            self.answer(messages::body(body, end_of_stream));
        }
    }

    fn on_trailers(&mut self) {
        let step = match self.phase {
            Phase::Ended => return,
            Phase::Allowed => Step::Continue,
            Phase::Passing => self.stream.on_trailers(),
            Phase::Kept => {
                self.kept.has_trailers = true;
                let step = self.stream.on_trailers();
                self.obey_all();
                return self.go_on(step);
            }
        };
        self.obey_all();
        if step == Step::Continue {
            self.answer(messages::trailers());
        }
    }

    /// If the request continues, sends Envoy what was kept.
    fn go_on(&mut self, step: Step) {
        if step == Step::Pause || self.phase == Phase::Ended {
            return;
        }
        let Kept { body, has_body, has_ended, has_trailers } = std::mem::take(&mut self.kept);
        self.let_headers_go();
        if has_body {
            self.answer(messages::body(body, has_ended));
        }
        if has_trailers {
            self.answer(messages::trailers());
        }
    }

    fn let_headers_go(&mut self) {
        // The request is neither judged nor held: it passes.
        if self.phase == Phase::Kept {
            self.phase = Phase::Passing;
        }
        self.answer(messages::headers());
    }

    fn answer(&mut self, mut answer: ProcessingResponse) {
        answer.dynamic_metadata = self.facts.take().map(|facts| messages::metadata(&facts));
        self.answers.push_back(Ok(answer));
    }

    fn obey_all(&mut self) {
        while let Ok(order) = self.stream.orders.try_recv() {
            self.obey(order);
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Facts(facts) => {
                match facts.verdict {
                    Decision::Allow | Decision::WouldDeny => self.phase = self.phase.let_in(),
                    Decision::Deny | Decision::Pending => {}
                }
                self.facts = Some(facts);
            }
            Order::Resume => self.go_on(Step::Continue),
            Order::Answer(answer) => {
                let details = self.facts.take();
                self.kept = Kept::default();
                self.answers.push_back(Ok(messages::immediate(&answer, details.as_ref())));
                self.phase = Phase::Ended;
            }
            Order::Cut => self.end(Status::permission_denied("the stream is cut")),
        }
    }

    fn end(&mut self, status: Status) {
        self.answers.push_back(Err(status));
        self.phase = Phase::Ended;
    }
}

impl Phase {
    fn let_in(self) -> Self {
        match self {
            Self::Kept | Self::Passing | Self::Allowed => Self::Allowed,
            Self::Ended => Self::Ended,
        }
    }
}

/// Names and values, in their order.
pub(crate) fn pairs(headers: Option<&HeaderMap>) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers.into_iter().flat_map(|headers| &headers.headers).map(|header| {
        // Envoy sets one of the two.
        let value = match header.raw_value.as_slice() {
            [] => header.value.as_bytes(),
            raw => raw,
        };
        (header.key.as_bytes(), value)
    })
}

/// Whether Envoy shows the body as it comes, and sends upstream only what comes back. With other settings Envoy would
/// wait for an answer to the headers until its timeout. Such a call is refused at once, with the reason.
fn is_usable(first: &ProcessingRequest) -> Result<(), Status> {
    let Some(configured) = &first.protocol_config else { return Ok(()) };
    let is_right = configured.request_body_mode() == BodySendMode::FullDuplexStreamed;
    match is_right && !first.observability_mode {
        true => Ok(()),
        false => Err(Status::failed_precondition(
            "processing_mode must have request_body_mode: FULL_DUPLEX_STREAMED and \
             request_trailer_mode: SEND, and observability_mode must not be set",
        )),
    }
}
