//! The gateway's metrics, from Envoy's admin interface.
//!
//! In: the URL of the interface. Out: metrics in a [`Status`], at regular intervals. Nothing is changed in Envoy.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use http::Uri;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::{sleep, timeout};
use zonegate_page::Counts;

use super::status::Status;

/// The address of Envoy's admin interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayAdmin(Uri);

/// Why a text is not the URL of an admin interface. The text is not repeated, because it may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnAdmin;

impl fmt::Display for NotAnAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the URL of an admin interface: use for example http://127.0.0.1:9901")
    }
}

impl std::error::Error for NotAnAdmin {}

/// The interval between requests.
const INTERVAL: Duration = Duration::from_secs(5);
/// The time limit of a response.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than the counters of a thousand keys have.
const MAX_BYTES: usize = 1024 * 1024;
/// All counters with this in their names.
const STATS: &str = "/stats?filter=zonegate%5C.";
/// The prefixes that Envoy puts before the name of a filter's counter: for the module in wasm, and for the dynamic
/// module.
const PREFIXES: [&str; 2] = ["wasmcustom.", "dynamicmodulescustom."];

impl GatewayAdmin {
    /// Reads `text`: `http`, a host and a port.
    ///
    /// # Errors
    /// It has anything else.
    pub fn parse(text: &str) -> Result<Self, NotAnAdmin> {
        let uri: Uri = text.parse().map_err(|_| NotAnAdmin)?;
        let is_plain = uri.scheme_str() == Some("http") && matches!(uri.path(), "" | "/");
        let authority =
            uri.authority().filter(|it| !it.as_str().contains('@') && !it.host().is_empty());
        let authority =
            authority.filter(|_| is_plain && uri.query().is_none()).ok_or(NotAnAdmin)?;
        format!("http://{authority}{STATS}").parse().map(Self).map_err(|_| NotAnAdmin)
    }

    /// Asks at regular intervals, until it is dropped.
    pub async fn watch(self, status: &Status, say: fn(&str)) -> Infallible {
        status.shown().will_ask();
        let client = Client::builder(TokioExecutor::new()).build_http();
        let mut was_silent = false;
        loop {
            match self.stats(&client).await {
                Ok(stats) => {
                    let values = values(&stats);
                    status.shown().answered(|policy| {
                        Counts::read(policy, |metric| values.get(&*metric.name()).copied())
                    });
                    if std::mem::take(&mut was_silent) {
                        say("the gateway's admin interface answers again");
                    }
                }
                Err(why) => {
                    if !std::mem::replace(&mut was_silent, true) {
                        say(&format!("warning: --gateway-admin: {why}"));
                    }
                    status.shown().no_answer(why);
                }
            }
            sleep(INTERVAL).await;
        }
    }

    async fn stats(&self, client: &Client<HttpConnector, Empty<Bytes>>) -> Result<String, String> {
        let asking = async {
            let answer = client.get(self.0.clone()).await;
            let answer = answer.map_err(|error| innermost(&error))?;
            let status = answer.status();
            if !status.is_success() {
                return Err(format!("it answers {status}"));
            }
            let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await;
            let body = body.map_err(|error| error.to_string())?.to_bytes();
            Ok(String::from_utf8_lossy(&body).into_owned())
        };
        let asked = timeout(PATIENCE, asking).await;
        asked.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")))
    }
}

/// Counters and gauges by the filter's own names.
fn values(stats: &str) -> HashMap<&str, u64> {
    let values = stats.lines().filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let name = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))?;
        Some((name, value.parse().ok()?))
    });
    values.collect()
}

/// The innermost cause, for example "Connection refused (os error 111)".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_interface_is_a_host_and_a_port() {
        let url = |text| GatewayAdmin::parse(text).map(|admin| admin.0.to_string());
        for (text, wanted) in [
            ("http://127.0.0.1:9901", "http://127.0.0.1:9901/stats?filter=zonegate%5C."),
            ("http://[::1]:9901/", "http://[::1]:9901/stats?filter=zonegate%5C."),
            ("http://gateway", "http://gateway/stats?filter=zonegate%5C."),
        ] {
            assert_eq!(url(text).as_deref(), Ok(wanted));
        }
        for text in
            ["", "127.0.0.1:9901", "https://gw", "http://u:p@gw", "http://gw/stats", "http://gw?a"]
        {
            assert_eq!(url(text), Err(NotAnAdmin), "{text}");
        }
    }

    #[test]
    fn values_are_found_under_the_names_of_the_filter() {
        let stats = "wasmcustom.zonegate.denied.expired: 3\n\
                     dynamicmodulescustom.zonegate.streams.open: 4\n\
                     http.zonegate.downstream_rq_active: 9\n\
                     wasmcustom.zonegate.odd: P0(nan)\n";
        let wanted = HashMap::from([("zonegate.denied.expired", 3), ("zonegate.streams.open", 4)]);
        assert_eq!(values(stats), wanted);
    }
}
