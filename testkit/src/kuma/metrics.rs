//! Prometheus metrics of a control plane.
//!
//! In: the text of `/metrics`. Out: sums over the samples of a name. Types and help are not read.

/// The text of `/metrics` at one moment.
#[derive(Debug, Clone)]
pub struct Metrics(String);

impl Metrics {
    /// Wraps the text of `/metrics`.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The sum of all samples of `name` that have all `labels`; 0 if there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let samples = self.0.lines().filter_map(|line| line.strip_prefix(name));
        samples.filter_map(|sample| value(sample, labels)).sum()
    }

    /// How many gRPC streams proxies have opened: discovery and health discovery.
    pub fn streams_begun(&self) -> f64 {
        self.sum("grpc_server_started_total", &[])
    }

    /// How many bootstrap requests were answered, whatever the answer.
    pub fn bootstraps(&self) -> f64 {
        self.sum("dp_server_http_request_duration_seconds_count", &[("handler", "/bootstrap")])
    }

    /// How many discovery streams are open.
    pub fn streams_open(&self) -> f64 {
        self.sum("xds_streams_active", &[])
    }
}

/// The value of a sample, given the text after its name.
fn value(sample: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let (given, value) = match sample.strip_prefix('{') {
        Some(rest) => rest.rsplit_once("} ")?,
        None => ("", sample.strip_prefix(' ')?),
    };
    let has = |(name, value): &(&str, &str)| {
        given.split(',').any(|label| label == format!("{name}=\"{value}\""))
    };
    labels.iter().all(has).then(|| value.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_by_name_and_labels() {
        let text =
            "# HELP a says\na{x=\"1\",y=\"2\"} 3\na{x=\"1\",y=\"3\"} 4\na_count{x=\"1\"} 9\nb 7\n";
        let metrics = Metrics::new(text.to_owned());
        assert_eq!(metrics.sum("a", &[("x", "1")]), 7.0);
        assert_eq!(metrics.sum("a", &[("x", "1"), ("y", "3")]), 4.0);
        assert_eq!(metrics.sum("a", &[("x", "2")]), 0.0);
        assert_eq!(metrics.sum("b", &[]), 7.0);
        assert_eq!(metrics.sum("c", &[]), 0.0);
    }
}
