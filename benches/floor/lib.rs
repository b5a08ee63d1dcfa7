//! The floor of the measurement: a module that makes the calls to Envoy that the filter must make, and ignores the
//! results. No filter in a VM can cost less. The filter's own cost is the difference.
//!
//! The plugin configuration is one word; see [`Step`]. The module lets everything pass, or refuses everything. Never
//! use it in a gateway.
#![cfg(target_family = "wasm")]
#![allow(missing_docs, unsafe_code)] // in the entry point that the SDK generates

use std::rc::Rc;

use prost::encoding::{bytes, string};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, GrpcStatusCode, MapType, MetricType};
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::pkcs8::EncodePublicKey;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::<Root>::default());
}}

/// The calls that the module makes. Each of the first five steps adds to the one before.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// None: Envoy calls the module.
    #[default]
    Nothing,
    /// It reads the headers.
    Headers,
    /// It holds the request until the first message has come, and reads the message.
    Message,
    /// It reads the clock, sets the values for the access log, and counts.
    Facts,
    /// It has Envoy verify a signature, always the same one.
    Signature,
    /// It reads the headers and the clock, sets the values of a refusal, counts, and refuses.
    Refusal,
}

#[derive(Default)]
struct Root {
    step: Step,
    counters: [u32; 2],
    signature: Rc<[u8]>,
}

struct Stream {
    step: Step,
    counters: [u32; 2],
    signature: Rc<[u8]>,
}

/// The arguments of Envoy's `verify_signature` for a good signature.
fn known_signature() -> Option<Rc<[u8]>> {
    let key = include_str!("../../src/token/self_test/key.pem");
    let key = rsa::PublicKey::from_pkcs1_pem(key).ok()?.to_public_key_der().ok()?;
    let signature = include_bytes!("../../src/token/self_test/signature.bin");
    let mut arguments = Vec::new();
    string::encode(1, &"sha256".to_owned(), &mut arguments);
    bytes::encode(2, &key.into_vec(), &mut arguments);
    bytes::encode(3, &signature.to_vec(), &mut arguments);
    bytes::encode(4, &b"zonegate: known text".to_vec(), &mut arguments);
    Some(arguments.into())
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let word = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX);
        let word = word.ok().flatten().unwrap_or_default();
        self.step = match word.as_slice() {
            b"nothing" => Step::Nothing,
            b"headers" => Step::Headers,
            b"message" => Step::Message,
            b"facts" => Step::Facts,
            b"signature" => Step::Signature,
            b"refusal" => Step::Refusal,
            _ => return false,
        };
        for (counter, name) in self.counters.iter_mut().zip(["floor.all", "floor.some"]) {
            *counter = hostcalls::define_metric(MetricType::Counter, name).unwrap_or_default();
        }
        self.signature = known_signature().unwrap_or_default();
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        let Self { step, counters, signature } = self;
        Some(Box::new(Stream { step: *step, counters: *counters, signature: Rc::clone(signature) }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        if self.step >= Step::Headers {
            let _ = hostcalls::get_map_bytes(MapType::HttpRequestHeaders);
        }
        if self.step >= Step::Facts {
            let _ = hostcalls::get_current_time();
        }
        if self.step == Step::Signature {
            let answer =
                hostcalls::call_foreign_function("verify_signature", Some(&self.signature));
            // The signature is good. If Envoy refuses it, the measurement is wrong, so the request hangs.
            if answer.ok().flatten().as_deref() != Some(&[8, 1]) {
                return Action::Pause;
            }
        }
        if self.step == Step::Refusal {
            self.facts(&[("verdict", "deny"), ("reason", "unknown_kid")], 1);
            let status = GrpcStatusCode::Unauthenticated;
            let text = "zonegate: unknown_kid: no configured key has this kid; rotated out?";
            let _ = hostcalls::send_grpc_response(status, Some(text), Vec::new());
        }
        match self.step {
            Step::Nothing | Step::Headers => Action::Continue,
            Step::Message | Step::Facts | Step::Signature | Step::Refusal => Action::Pause,
        }
    }

    fn on_http_request_body(&mut self, size: usize, _: bool) -> Action {
        let passes = matches!(self.step, Step::Facts | Step::Signature);
        if passes || self.step == Step::Message {
            let _ = hostcalls::get_buffer(BufferType::HttpRequestBody, 0, size);
        }
        if passes {
            let _ = hostcalls::get_current_time();
            let token = "kind=zoneToken kid=1 jti=6b8d1c1e-53c5-4f5e-9f0c-7f3d0a1c2b3d zone=east";
            let facts = [("verdict", "allow"), ("token", token)];
            self.facts(&facts, 2);
        }
        Action::Continue
    }
}

impl Stream {
    fn facts(&self, facts: &[(&str, &str)], count: usize) {
        for (name, value) in facts {
            let _ = hostcalls::set_property(vec![name], Some(value.as_bytes()));
        }
        for counter in self.counters.iter().take(count) {
            let _ = hostcalls::increment_metric(*counter, 1);
        }
    }
}
