//! Calls to Envoy.
//!
//! In: nothing, or what to answer. Out: bytes and facts. A failure that the SDK reports is an error or an
//! absent value here. (The SDK panics on statuses that a host does not give. Envoy then restarts the VM, and denies
//! meanwhile.)

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, GrpcStatusCode, MapType};

use zonegate::gate::{GrpcCode, Now, Status, UnixTime};
use zonegate::lifecycle::{Answer, Clocks, Protocol, RequestBody};
use zonegate::shared_data::SharedData;
use zonegate::token::{Host, SignatureBackend, host_backend};

/// Signatures verified by Envoy.
pub(super) static ENVOY: SignatureBackend = host_backend::<Envoy>();

/// The functions that Envoy offers to every VM.
pub(super) struct Envoy;

impl Host for Envoy {
    fn verify_signature(arguments: &[u8]) -> Option<Vec<u8>> {
        hostcalls::call_foreign_function("verify_signature", Some(arguments)).ok().flatten()
    }
}

impl SharedData for Envoy {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        let (bytes, version) = hostcalls::get_shared_data(key).ok()?;
        Some((bytes.unwrap_or_default(), version?))
    }

    fn set(&self, key: &str, bytes: &[u8], version: Option<u32>) -> bool {
        hostcalls::set_shared_data(key, Some(bytes), version).is_ok()
    }
}

/// The headers of the effective request. Empty if Envoy does not hand them over; then the request is refused, because
/// it has no path.
pub(super) fn request_headers() -> Vec<(String, Vec<u8>)> {
    hostcalls::get_map_bytes(MapType::HttpRequestHeaders).unwrap_or_default()
}

/// The body of the effective request, of which Envoy shows this many bytes.
pub(super) struct Body(pub(super) usize);

impl RequestBody for Body {
    fn size(&self) -> usize {
        self.0
    }

    fn read(&self, length: usize) -> Option<Cow<'_, [u8]>> {
        hostcalls::get_buffer(BufferType::HttpRequestBody, 0, length).ok()?.map(Cow::Owned)
    }
}

/// The time of day.
pub(super) fn clock() -> Now {
    Now(hostcalls::get_current_time().ok().and_then(UnixTime::of))
}

/// Both clocks.
pub(super) fn now() -> Clocks {
    static START: OnceLock<Instant> = OnceLock::new();
    Clocks { wall: clock(), monotonic: START.get_or_init(Instant::now).elapsed() }
}

/// The configuration of the plugin, or of the VM.
pub(super) fn configuration(buffer: BufferType) -> Vec<u8> {
    hostcalls::get_buffer(buffer, 0, usize::MAX).ok().flatten().unwrap_or_default()
}

/// A number that no other VM has.
pub(super) fn vm_number() -> u64 {
    // The standard library has its keys from the host's randomness.
    RandomState::new().build_hasher().finish()
}

/// The name of this plugin in Envoy's configuration.
pub(super) fn plugin_name() -> Arc<str> {
    text(&["plugin_name"]).into()
}

/// Address and port of the peer of the effective request.
pub(super) fn peer() -> String {
    text(&["source", "address"])
}

fn text(path: &[&str]) -> String {
    let bytes = hostcalls::get_property(path.to_vec()).ok().flatten();
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

/// Sets filter state of the effective request. If this fails, the access log lacks a value. The guard denies a request
/// without a verdict: see `envoy/gateway.yaml`.
pub(super) fn set_filter_state((name, value): (&str, &str)) {
    // Envoy puts the prefix before it.
    let name = name.strip_prefix("wasm.").unwrap_or(name);
    let _ = hostcalls::set_property(vec![name], Some(value.as_bytes()));
}

/// Lets the effective request continue.
pub(super) fn resume() {
    let _ = hostcalls::resume_http_request();
}

/// Resets the effective stream.
pub(super) fn reset() {
    let _ = hostcalls::reset_http_request();
}

/// Answers the effective request. If Envoy refuses the answer, the request stays paused and never reaches the upstream.
pub(super) fn answer(Answer { protocol, status: Status { grpc, http }, message }: &Answer) {
    let _ = match protocol {
        Protocol::Grpc => hostcalls::send_grpc_response(grpc_status(*grpc), Some(message), vec![]),
        Protocol::Http => {
            let headers = vec![("content-type", "text/plain")];
            hostcalls::send_http_response(*http, headers, Some(message.as_bytes()))
        }
    };
}

fn grpc_status(code: GrpcCode) -> GrpcStatusCode {
    match code {
        GrpcCode::InvalidArgument => GrpcStatusCode::InvalidArgument,
        GrpcCode::DeadlineExceeded => GrpcStatusCode::DeadlineExceeded,
        GrpcCode::PermissionDenied => GrpcStatusCode::PermissionDenied,
        GrpcCode::Unimplemented => GrpcStatusCode::Unimplemented,
        GrpcCode::Unavailable => GrpcStatusCode::Unavailable,
        GrpcCode::Unauthenticated => GrpcStatusCode::Unauthenticated,
    }
}
