//! What the gate asks of Envoy.
//!
//! In: nothing, or what to answer. Out: bytes and facts. A failure that the SDK reports is an error or
//! an absence here. (It panics on statuses that a host does not give; Envoy then starts the VM anew,
//! and denies meanwhile.)

use std::cell::Cell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::SystemTime;

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, GrpcStatusCode, MapType, Status as HostStatus};
use zonegate::gate::{Clock, ErrorDetail, Head, Reason, Refusal, UnixTime};
use zonegate::log_line::Origin;
use zonegate::roll_call::Shared;

/// The request headers, owned.
pub(super) struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// Fetches them.
    pub(super) fn fetch() -> Result<Self, HostStatus> {
        hostcalls::get_map_bytes(MapType::HttpRequestHeaders).map(Self)
    }

    /// Those that the gate judges.
    pub(super) fn head(&self) -> Head<'_> {
        let mut head = Head::default();
        for (name, value) in &self.0 {
            match name.as_str() {
                ":method" => head.method = value,
                ":path" => head.path = value,
                "content-type" => head.content_type.push(value),
                "authorization" => head.authorization.push(value),
                "client-id" => head.client_id.push(value),
                _ => {}
            }
        }
        head
    }

    /// Those that a log line needs.
    pub(super) fn into_request(self) -> Request {
        let mut request = Request::default();
        for (name, value) in self.0 {
            match name.as_str() {
                ":path" => request.path = value,
                "x-request-id" => request.id = value,
                _ => {}
            }
        }
        request
    }

    #[cfg(zonegate_fault)]
    pub(super) fn first(&self, wanted: &str) -> &[u8] {
        let found = self.0.iter().find(|(name, _)| name == wanted);
        found.map_or(&[], |(_, value)| value)
    }
}

/// What a log line says of a request.
#[derive(Default)]
pub(super) struct Request {
    path: Vec<u8>,
    id: Vec<u8>,
}

impl Request {
    /// Whose it is: of the request in effect. The host is asked only now: most refusals in a flood
    /// are not logged.
    pub(super) fn origin(&self) -> Origin {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Origin {
            // Without the query, in which someone may have put a secret.
            path: text(self.path.split(|byte| *byte == b'?').next().unwrap_or_default()),
            peer: text(&property(&["source", "address"]).unwrap_or_default()),
            request_id: text(&self.id),
        }
    }
}

thread_local! {
    static LAST_LOOK: Cell<UnixTime> = const { Cell::new(UnixTime::ZERO) };
}

/// The time of the host.
pub(super) fn clock() -> Clock {
    let now = hostcalls::get_current_time().ok();
    let now = now.and_then(|now| now.duration_since(SystemTime::UNIX_EPOCH).ok());
    LAST_LOOK.set(now.unwrap_or_default());
    Clock(now)
}

/// The time when the clock was looked at last, which is in the callback that is running.
pub(super) fn last_look() -> UnixTime {
    LAST_LOOK.get()
}

/// The first `length` bytes of the request body that the host holds.
pub(super) fn request_body(length: usize) -> Option<Vec<u8>> {
    hostcalls::get_buffer(BufferType::HttpRequestBody, 0, length).ok().flatten()
}

/// The plugin configuration.
pub(super) fn plugin_configuration() -> Option<Vec<u8>> {
    hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX).ok().flatten()
}

/// The VM configuration.
pub(super) fn vm_configuration() -> Option<Vec<u8>> {
    hostcalls::get_buffer(BufferType::VmConfiguration, 0, usize::MAX).ok().flatten()
}

/// Whether no VM has spoken of this configuration yet, the `count`th that ours has taken for
/// `gateway`. Every worker and the main thread configure a VM of their own, some later than others,
/// and one of them is to speak for all.
pub(super) fn is_news(gateway: &str, count: u64) -> bool {
    let key = format!("zonegate.{gateway}.configurations");
    // Twice is enough for a few workers; after that, the same is said more than once.
    for _ in 0..8 {
        let (known, version) = hostcalls::get_shared_data(&key).unwrap_or_default();
        let known = known.and_then(|known| known.try_into().ok()).map_or(0, u64::from_le_bytes);
        if known >= count {
            return false;
        }
        if hostcalls::set_shared_data(&key, Some(&count.to_le_bytes()), version).is_ok() {
            break;
        }
    }
    true
}

/// A number that no other VM has.
pub(super) fn vm_number() -> u64 {
    // The standard library has its keys from the host's randomness.
    RandomState::new().build_hasher().finish()
}

/// What all VMs share for the list of their open streams.
pub(super) struct RollCallAtHost;

impl Shared for RollCallAtHost {
    fn get(&self) -> Option<(Vec<u8>, u32)> {
        let (bytes, version) = hostcalls::get_shared_data(Self::KEY).ok()?;
        Some((bytes.unwrap_or_default(), version?))
    }

    fn set(&self, bytes: &[u8], version: Option<u32>) -> bool {
        hostcalls::set_shared_data(Self::KEY, Some(bytes), version).is_ok()
    }
}

impl RollCallAtHost {
    const KEY: &str = "zonegate.open";
}

/// The name of this plugin in Envoy's configuration.
pub(super) fn plugin_name() -> String {
    String::from_utf8_lossy(&property(&["plugin_name"]).unwrap_or_default()).into_owned()
}

fn property(path: &[&str]) -> Option<Vec<u8>> {
    hostcalls::get_property(path.to_vec()).ok().flatten()
}

/// Sets filter state `wasm.<name>` for access logs.
pub(super) fn set_filter_state(name: &str, value: &str) {
    // Only an access log misses it.
    let _ = hostcalls::set_property(vec![name], Some(value.as_bytes()));
}

/// How a client wants to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// gRPC: status and message in trailers.
    Grpc,
    /// Plain HTTP: status and text.
    Http,
}

/// Answers the request in effect with a refusal.
pub(super) fn reply(refusal: &Refusal, protocol: Protocol, detail: ErrorDetail) {
    let reason = refusal.reason();
    let message = match detail {
        ErrorDetail::Reason => format!("zonegate: {reason}: {refusal}"),
        ErrorDetail::None => "zonegate: denied".to_owned(),
    };
    // Should the host refuse to answer, the request stays paused and never reaches the upstream.
    let _ = match protocol {
        Protocol::Grpc => {
            hostcalls::send_grpc_response(grpc_status(reason), Some(&message), Vec::new())
        }
        Protocol::Http => hostcalls::send_http_response(
            reason.status().http,
            vec![("content-type", "text/plain")],
            Some(message.as_bytes()),
        ),
    };
}

/// [`Reason::status`] in the SDK's type.
fn grpc_status(reason: Reason) -> GrpcStatusCode {
    match reason.status().grpc {
        3 => GrpcStatusCode::InvalidArgument,
        4 => GrpcStatusCode::DeadlineExceeded,
        7 => GrpcStatusCode::PermissionDenied,
        12 => GrpcStatusCode::Unimplemented,
        14 => GrpcStatusCode::Unavailable,
        _ => GrpcStatusCode::Unauthenticated,
    }
}
