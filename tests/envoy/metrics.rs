//! The dashboard and the alert rules use only metrics that a gateway has.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::form::{OF_SOME_FORMS, form};
use crate::harness::Bench;

const DASHBOARD: &str = include_str!("../../examples/prometheus/dashboard.json");
const ALERTS: &str = include_str!("../../examples/prometheus/alerts.yaml");
const SCRAPE: &str = include_str!("../../examples/prometheus/scrape.yaml");

/// A metric, and the labels in its selector.
type Asked = (String, BTreeSet<String>);

#[tokio::test]
async fn dashboard_and_alerts_use_existing_metrics() {
    let setup = Bench::new().start().await;
    let mut metrics = setup.gateway.prometheus().await.unwrap();
    let mut bench = Bench::new();
    let keys = bench.options.policy["publicKeys"].take();
    bench.options.policy =
        json!({ "profile": "globalKds", "publicKeys": keys, "countZones": ["east"] });
    metrics += &bench.start().await.gateway.prometheus().await.unwrap();
    let asked = asked(&serde_json::from_str(DASHBOARD).unwrap());
    assert!(asked.len() >= 10, "{asked:?}");
    let by_alerts = self::asked(&serde_saphyr::from_str(ALERTS).unwrap());
    assert!(by_alerts.len() >= 5, "{by_alerts:?}");
    // The tests of `zonegate sync` check the metrics of sync.
    let of_another_form = |name: &str| {
        OF_SOME_FORMS.iter().any(|(of, metric)| *metric == name && !of.contains(&form()))
    };
    let by_gateway =
        |asked: &&Asked| !asked.0.starts_with("zonegate_sync_") && !of_another_form(&asked.0);
    for (name, labels) in asked.union(&by_alerts).filter(by_gateway) {
        let line = metrics.lines().find(|line| line.split('{').next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("a gateway has no {name}"));
        for label in labels {
            let has = line.contains(&format!("{{{label}=")) || line.contains(&format!(",{label}="));
            assert!(has, "{line} has no {label}");
        }
        assert!(is_scraped(name), "scrape.yaml leaves {name} out");
    }
}

/// The metrics in all expressions below `value`. Prometheus itself adds `instance`.
fn asked(value: &Value) -> BTreeSet<Asked> {
    match value {
        Value::Object(members) => {
            let here = members.get("expr").and_then(Value::as_str).map(selectors);
            members.values().flat_map(asked).chain(here.into_iter().flatten()).collect()
        }
        Value::Array(items) => items.iter().flat_map(asked).collect(),
        _ => BTreeSet::new(),
    }
}

fn selectors(expression: &str) -> Vec<Asked> {
    let is_name = |rune: char| rune.is_ascii_alphanumeric() || rune == '_';
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find(|rune: char| is_name(rune) || rune == '{' || rune == '"') {
        rest = rest.split_at(start).1;
        let end = rest.find(|rune| !is_name(rune)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end.max(1));
        rest = after;
        if name.starts_with("zonegate_") || name.starts_with("envoy_") {
            let inside = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let (matchers, after) = inside.unwrap_or(("", rest));
            let labels = matchers.split(',').filter_map(|one| one.split(['=', '!', '~']).next());
            let labels = labels.map(str::trim).filter(|label| !matches!(*label, "" | "instance"));
            found.push((name.to_owned(), labels.map(str::to_owned).collect()));
            rest = after;
        }
    }
    found
}

/// Whether the one `keep` of `scrape.yaml` keeps this metric. Its expression consists of names, some with `.*` at the
/// end.
fn is_scraped(name: &str) -> bool {
    let scrape: Value = serde_saphyr::from_str(SCRAPE).unwrap();
    let keep = scrape.pointer("/scrape_configs/0/metric_relabel_configs/0/regex").unwrap();
    keep.as_str().unwrap().split('|').any(|one| match one.strip_suffix(".*") {
        Some(prefix) => name.starts_with(prefix),
        None => name == one,
    })
}

#[test]
fn selectors_are_found_in_expressions() {
    let found = selectors(
        "sum by (reason) (rate(zonegate_denied{reason=\"a\",instance=~\"$i\"}[5m])) > 0 or envoy_b",
    );
    let labels = |labels: &[&str]| labels.iter().map(|&label| label.to_owned()).collect();
    let wanted =
        [("zonegate_denied".to_owned(), labels(&["reason"])), ("envoy_b".to_owned(), labels(&[]))];
    assert_eq!(found, wanted);
}
