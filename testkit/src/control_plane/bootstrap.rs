//! The HTTP side of Kuma's port: `/bootstrap`, and nothing else.
//!
//! In: a request that is not gRPC. Out: the bootstrap of a proxy, or Kuma's refusal (`pkg/xds/bootstrap/handler.go`,
//! `generator.go`). As in Kuma's handler, any token that is not empty is accepted.
//!
//! The JSON is deliberately not read by the gate's own reader: a stand-in that shares the code under test could not
//! show a difference. Unlike Go, it does not redirect unclean paths or check the types of unused fields.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Value, json};
use tonic::body::Body;

use super::recorded_body::RequestBody;

const TOKEN_REQUIRED: &str = "Dataplane Token is required. Generate token using 'kumactl generate \
     dataplane-token > /path/file' and provide it via --dataplane-token-file=/path/file argument \
     to Kuma DP";

/// Answers one request that is not gRPC.
pub(super) async fn serve(request: http::Request<RequestBody>) -> Response<Body> {
    let (head, body) = request.into_parts();
    if decoded(head.uri.path().as_bytes()) != b"/bootstrap" {
        return text(StatusCode::NOT_FOUND, "404 page not found\n");
    }
    let Ok(body) = body.collect().await else {
        return empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let json = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    match serde_json::from_str::<Asked>(&json) {
        Err(_) => empty(StatusCode::BAD_REQUEST),
        Ok(asked) if asked.token.is_empty() && asked.token_path.is_empty() => {
            text(StatusCode::UNPROCESSABLE_ENTITY, TOKEN_REQUIRED)
        }
        Ok(asked) => bootstrap(&head, &asked),
    }
}

/// The proxy is told to connect to the address that it used itself: the Host of the request.
fn bootstrap(head: &http::request::Parts, asked: &Asked) -> Response<Body> {
    let host = head
        .uri
        .authority()
        .map(|authority| authority.host().to_owned())
        .or_else(|| head.headers.get(HOST).and_then(|host| host.to_str().ok()).map(without_port))
        .unwrap_or_default();
    let yaml = yaml(&host, asked);
    if head.headers.get(ACCEPT).is_some_and(|accept| accept == "application/json") {
        let answer =
            json!({"bootstrap": STANDARD.encode(yaml), "kumaSidecarConfiguration": {}}).to_string();
        respond(StatusCode::OK, "application/json", answer)
    } else {
        respond(StatusCode::OK, "text/x-yaml", yaml)
    }
}

fn yaml(host: &str, asked: &Asked) -> String {
    // JSON strings are YAML strings too, so no name can escape its quotes.
    let id = json!(format!("{}.{}", asked.mesh, asked.name));
    let proxy_type = json!(asked.proxy_type);
    let host = json!(host);
    format!(
        "dynamicResources:\n  adsConfig:\n    apiType: DELTA_GRPC\n    transportApiVersion: V3\n\
         node:\n  id: {id}\n  metadata:\n    dataplane.proxyType: {proxy_type}\n\
         staticResources:\n  clusters:\n  - name: system_ads\n    address: {host}\n"
    )
}

fn without_port(host: &str) -> String {
    host.rsplit_once(':').map_or(host, |(name, _)| name).to_owned()
}

/// The fields of Kuma's `BootstrapRequest` that matter here.
#[derive(Default)]
struct Asked {
    mesh: String,
    name: String,
    proxy_type: String,
    token: String,
    token_path: String,
}

impl<'de> Deserialize<'de> for Asked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AskedVisitor)
    }
}

struct AskedVisitor;

impl<'de> Visitor<'de> for AskedVisitor {
    type Value = Asked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bootstrap request")
    }

    /// `null` leaves every field as it was: empty.
    fn visit_unit<E>(self) -> Result<Asked, E> {
        Ok(Asked::default())
    }

    /// Field names match in any case; of several spellings, the last counts.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Asked, A::Error> {
        let mut asked = Asked::default();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            let field = match folded(&name).as_str() {
                "mesh" => &mut asked.mesh,
                "name" => &mut asked.name,
                "proxytype" => &mut asked.proxy_type,
                "dataplanetoken" => &mut asked.token,
                "dataplanetokenpath" => &mut asked.token_path,
                _ => continue,
            };
            match value {
                Value::String(text) => *field = text,
                Value::Null => {}
                _ => return Err(A::Error::custom("not a string")),
            }
        }
        Ok(asked)
    }
}

/// Folds field names as Go does: ASCII case, and the two letters outside ASCII that fold into it.
fn folded(name: &str) -> String {
    let fold = |c| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    name.chars().map(fold).collect()
}

/// Undoes percent-encoding. Invalid encodings stay as they are.
fn decoded(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, tail)) = rest.split_first() {
        if let (b'%', [high, low, after @ ..]) = (first, tail)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            out.push(high << 4 | low);
            rest = after;
        } else {
            out.push(first);
            rest = tail;
        }
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn text(status: StatusCode, body: &'static str) -> Response<Body> {
    respond(status, "text/plain; charset=utf-8", body)
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn respond(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
