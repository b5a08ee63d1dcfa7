//! Stories of streams: each line has an event, and the resulting steps and effects.
//!
//! Events: `push NAME FIELDS` (a policy that differs by these fields), `drop NAME`, `headers|bootstrap|hds|elsewhere
//! STREAM [TOKEN] [under NAME] [with HEADER-BYTES] [end]`, `body STREAM BYTES [end]`, `trailers STREAM`, `end STREAM`,
//! `tick MILLISECONDS`, `clock SECONDS|none`, `gauges`, `counted` (every gauge of streams by its name, unless it is 0),
//! `again NAME` (the host has gone back to this policy), `await` and `lose` (a newer policy, which is not passed to the
//! gate), `kept` (the names of the kept policies), `most NUMBER` (first of all: the host ends this many streams in a
//! tick, and no other in the callback of a stream), `more` (the callback of a host that is behind, or `none`).
//!
//! Effects: `continue`, `pause`; `1:answer CODE`, `1:cut`, `1:resume`; `1:allow`, `1:deny REASON`, `1:would_deny
//! REASON`, `1:pending` (facts for the access log); counters by their names; `warn`, `info` (log lines).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use zonegate::lifecycle::{Effect, Lifecycle, PolicyNumber, Step};
use zonegate::log_line::Level;
use zonegate::metrics::Change;

use crate::host::{Begin, Host, bytes, path, policy};

/// Runs a story, and compares each line.
pub(crate) fn tell<S: AsRef<str>>(story: &[(S, S)]) {
    let mut teller = Teller { host: Host::new(), numbers: BTreeMap::new(), newest: None };
    for (index, (event, wanted)) in story.iter().enumerate() {
        let (event, wanted) = (event.as_ref(), wanted.as_ref());
        assert_eq!(teller.event(event), wanted, "line {}: {event}", index + 1);
    }
}

struct Teller {
    host: Host,
    numbers: BTreeMap<String, PolicyNumber>,
    newest: Option<PolicyNumber>,
}

impl Teller {
    fn event(&mut self, line: &str) -> String {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words: Vec<&str> = rest.split(' ').collect();
        let stream = || words[0].parse().unwrap();
        match verb {
            "push" => {
                let (name, fields) = rest.split_once(' ').unwrap_or((rest, "{}"));
                let fields: Value = serde_json::from_str(fields).unwrap();
                let (number, effects) = self.host.push(Arc::new(policy(&fields)));
                self.numbers.insert(name.to_owned(), number);
                self.newest = Some(number);
                shown(None, &effects)
            }
            "drop" => {
                self.host.life.on_policy_dropped(self.numbers[words[0]]);
                String::new()
            }
            "again" => shown(None, &self.host.go_back(self.numbers[words[0]])),
            "kept" => {
                let kept = self.numbers.iter().filter(|(_, number)| self.host.life.has(**number));
                kept.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" ")
            }
            "body" => {
                let is_end = words.last() == Some(&"end");
                let (step, effects) = self.host.body(stream(), &bytes(words[1]), is_end);
                shown(Some(step), &effects)
            }
            "trailers" => {
                let (step, effects) = self.host.trailers(stream());
                shown(Some(step), &effects)
            }
            "end" => {
                self.host.end(stream());
                String::new()
            }
            "await" => {
                self.host.life.on_policy_awaited();
                String::new()
            }
            "most" => {
                self.host.life = Lifecycle::ending_at_most(words[0].parse().unwrap());
                String::new()
            }
            "more" => match self.host.life.is_behind() {
                true => shown(None, &self.host.more()),
                false => "none".to_owned(),
            },
            "lose" => shown(None, &self.host.lose()),
            "tick" => shown(None, &self.host.tick(words[0].parse().unwrap())),
            "clock" => {
                let by = words[0].parse::<i64>().ok();
                self.host.wall = by.and_then(|by| self.host.wall?.checked_add_signed(by * 1_000));
                String::new()
            }
            "gauges" => {
                let gauges = self.host.life.gauges();
                format!("open {} held {} shadowed {}", gauges.open, gauges.held, gauges.shadowed)
            }
            "counted" => {
                let all = self.host.life.stream_gauges();
                let shown = all.iter().map(|(gauge, count)| {
                    format!("{} {count}", gauge.name().strip_prefix("zonegate.").unwrap())
                });
                shown.collect::<Vec<_>>().join(", ")
            }
            begin => {
                let after = |word| {
                    let place = words.iter().position(|one| *one == word)?;
                    words.get(place + 1).copied()
                };
                let token = words.get(1).filter(|word| !["under", "with", "end"].contains(word));
                let begin = Begin {
                    path: path(begin),
                    token: token.unwrap_or(&""),
                    under: after("under").map_or(self.newest, |name| Some(self.numbers[name])),
                    header_bytes: after("with").map_or(0, |number| number.parse().unwrap()),
                    is_end: words.last() == Some(&"end"),
                };
                let (step, effects) = self.host.begin(stream(), &begin);
                shown(Some(step), &effects)
            }
        }
    }
}

fn shown(step: Option<Step>, effects: &[Effect]) -> String {
    let step = step.map(|step| match step {
        Step::Continue => "continue".to_owned(),
        Step::Pause => "pause".to_owned(),
    });
    let effects = effects.iter().filter_map(|effect| match effect {
        Effect::Resume(stream) => Some(format!("{}:resume", stream.0)),
        Effect::Answer(stream, answer) => {
            Some(format!("{}:answer {}", stream.0, answer.status.grpc))
        }
        Effect::Cut(stream) => Some(format!("{}:cut", stream.0)),
        Effect::Facts(stream, facts) => {
            let reason = facts.reason.map(|reason| format!(" {reason}")).unwrap_or_default();
            Some(format!("{}:{}{reason}", stream.0, facts.verdict.as_str()))
        }
        Effect::Change(metric, Change::Count) => {
            Some(metric.name().strip_prefix("zonegate.").unwrap().to_owned())
        }
        Effect::Log(line) => match line.level() {
            Level::Info => Some("info".to_owned()),
            Level::Warn | Level::Error => Some("warn".to_owned()),
        },
        Effect::Define(_) | Effect::Change(_, Change::Add(_) | Change::Set(_)) => None,
    });
    step.into_iter().chain(effects).collect::<Vec<_>>().join(", ")
}

/// The effects of a stream that is let in.
pub(crate) const LET_IN: &str = "continue, allowed, kid.1.allowed, 1:allow";
