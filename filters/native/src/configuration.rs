//! Configurations, on Envoy's main thread: each is read once, for all workers.
//!
//! In: the text of a configuration, and whether Envoy takes or drops it. Out: a [`Gateway`] with its policy, and
//! workers that are woken.

use std::sync::{Arc, Mutex, PoisonError};

use zonegate::config::{Config, ConfigError};
use zonegate::log_line::{self, Level};
use zonegate::metrics::{self, Change, Counter, Labels, Metric};

use crate::abi::{self, Host};
use crate::backend;
use crate::clock;
use crate::copies;
use crate::gateway::{Gateway, Number};
use crate::metrics::MetricIds;

/// An accepted configuration, while Envoy has it.
#[derive(Debug)]
pub(crate) struct Configuration {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) number: Number,
    pub(crate) ids: Arc<MetricIds>,
    /// The log line for when Envoy has taken it.
    news: Mutex<Option<News>>,
}

#[derive(Debug)]
struct News {
    lines: Vec<(Level, String)>,
    changes: Vec<(Metric, Change)>,
    /// Its text for other copies of the library, if there are any.
    text: Vec<u8>,
}

/// Envoy hands over a configuration. `None` refuses it: at its start Envoy then lets nothing pass, and on a push it
/// keeps the previous configuration.
pub(crate) fn begin(host: Host<'_>, name: &str, text: &[u8]) -> Option<Arc<Configuration>> {
    let gateway = Gateway::of(name);
    match read(text) {
        Ok(config) => {
            let news = News::of(&config, copies::others().next().map_or(&[], |_| text));
            let ids = MetricIds::define(host, &gateway.all_labels(Labels::of(&config.policy)));
            let (ids, news) = (Arc::new(ids), Mutex::new(Some(news)));
            let number = gateway.add(config.policy);
            host.call_later();
            Some(Arc::new(Configuration { gateway, number, ids, news }))
        }
        Err(error) => {
            let (level, line) = log_line::of_refused(&error);
            abi::log(level, &line);
            let ids = MetricIds::define(host, &Labels::default());
            let rejected = (Metric::Counter(Counter::ConfigRejected), Change::Count);
            count(Some(host), &gateway, &ids, vec![rejected]);
            None
        }
    }
}

/// Envoy can hold headers and still show the body to every dynamic module, so nothing has to pass early.
fn read(text: &[u8]) -> Result<Config, ConfigError> {
    let mut config = Config::from_host(text.to_vec(), backend::choose())?;
    config.policy.hold_everything();
    Ok(config)
}

/// Envoy has taken a configuration.
pub(crate) fn stands(host: Host<'_>, configuration: &Configuration) {
    configuration.stand(Some(host));
}

/// Envoy has dropped a configuration.
pub(crate) fn end(configuration: &Configuration) {
    configuration.gateway.remove(configuration.number);
    clock::wake_all();
}

/// Envoy has handed over a configuration to another copy of the library.
pub(crate) fn pushed_elsewhere(name: &str, text: &[u8]) {
    let config = read(text).ok();
    let gateway = Gateway::of(name);
    let (level, line) = match &config {
        Some(_) => log_line::GIVEN_TO_ANOTHER_MODULE,
        None => log_line::UNREADABLE,
    };
    if gateway.push_elsewhere(config.map(|config| config.policy)) {
        abi::log(level, line);
        clock::wake_all();
    }
}

impl Configuration {
    /// Puts it in force, unless it is already: a stream begins under it, or Envoy has taken it.
    pub(crate) fn stand(&self, host: Option<Host<'_>>) {
        let news = self.news.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(News { lines, changes, text }) = news else { return };
        if !self.gateway.stand(self.number) {
            return;
        }
        for (level, line) in lines {
            abi::log(level, &line);
        }
        count(host, &self.gateway, &self.ids, changes);
        for other in copies::others() {
            other.tell(&self.gateway.name, &text);
        }
        clock::wake_all();
    }
}

impl News {
    fn of(config: &Config, text: &[u8]) -> Self {
        let lines = log_line::of_accepted(config, backend::choose().name()).collect();
        let accepted = (Metric::Counter(Counter::ConfigAccepted), Change::Count);
        let [keys, revocations] = metrics::of_policy(&config.policy);
        Self { lines, changes: vec![accepted, keys, revocations], text: text.to_vec() }
    }
}

/// Counts at once if this Envoy can do so without a stream, otherwise with the next stream.
fn count(
    host: Option<Host<'_>>,
    gateway: &Gateway,
    ids: &MetricIds,
    changes: Vec<(Metric, Change)>,
) {
    let is_left = |(metric, change): &(Metric, Change)| {
        !host.zip(ids.of(metric)).is_some_and(|(host, id)| host.change(id, *change))
    };
    let left: Vec<_> = changes.into_iter().filter(is_left).collect();
    if !left.is_empty() {
        gateway.count_later(left);
    }
}
