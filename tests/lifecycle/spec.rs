//! Stories of streams: each line has an event, and the resulting steps and effects.
//!
//! Events: `push NAME FIELDS` (a policy that differs by these fields), `drop NAME`, `headers|bootstrap|hds|elsewhere
//! STREAM [TOKEN] [under NAME] [with HEADER-BYTES] [end]`, `body STREAM BYTES [end]`, `trailers STREAM`, `end STREAM`,
//! `tick MILLISECONDS`, `clock SECONDS|none`, `gauges`, `counted` (every gauge of streams by its name, unless it is 0),
//! `again NAME` (the host has gone back to this policy), `await` and `lose` (a newer policy, which is not passed to the
//! gate), `kept` (the names of the kept policies).
//!
//! Effects: `continue`, `pause`; `1:answer CODE`, `1:cut`, `1:resume`; `1:allow`, `1:deny REASON`, `1:would_deny
//! REASON`, `1:pending` (facts for the access log); counters by their names; `warn`, `info` (log lines).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use zonegate::lifecycle::{Effect, PolicyNumber, Step};
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

#[test]
fn without_a_policy_nothing_passes() {
    tell(&[
        (
            "headers 1 good",
            "pause, denied.policy_unavailable, 1:deny policy_unavailable, 1:answer 14, warn",
        ),
        ("body 1 ingress", "pause"),
        ("gauges", "open 0 held 0 shadowed 0"),
        ("tick 100", ""),
        ("end 1", ""),
    ]);
}

#[test]
fn a_stream_is_held_for_its_first_message() {
    tell(&[
        ("push a", ""),
        ("headers 1 good", "pause"),
        ("gauges", "open 0 held 1 shadowed 0"),
        ("body 1 half", "pause"),
        ("body 1 nothing", "pause"),
        ("body 1 rest", LET_IN),
        ("gauges", "open 1 held 0 shadowed 0"),
        ("body 1 garbage", "continue"),
        ("trailers 1", "continue"),
        ("end 1", ""),
        ("gauges", "open 0 held 0 shadowed 0"),
    ]);
}

#[test]
fn a_stream_is_refused_as_soon_as_it_can_be() {
    tell(&[
        ("push a", ""),
        ("headers 1", "pause, denied.missing_token, 1:deny missing_token, 1:answer 16, warn"),
        (
            "headers 2 garbage",
            "pause, denied.malformed_token, 2:deny malformed_token, 2:answer 16, warn",
        ),
        (
            "headers 3 forged",
            "pause, denied.invalid_signature, 3:deny invalid_signature, 3:answer 16, warn",
        ),
        ("headers 4 west", "pause, denied.wrong_zone, 4:deny wrong_zone, 4:answer 7, warn"),
        ("elsewhere 5 good", "pause, denied.path_denied, 5:deny path_denied, 5:answer 12, warn"),
        ("hds 6 good", "pause, denied.proxy_denied, 6:deny proxy_denied, 6:answer 7, warn"),
        ("headers 7 good", "pause"),
        ("body 7 egress", "pause, denied.out_of_scope, 7:deny out_of_scope, 7:answer 7, warn"),
        ("headers 8 good", "pause"),
        ("body 8 dataplane", "pause, denied.proxy_denied, 8:deny proxy_denied, 8:answer 7, warn"),
        ("headers 9 good", "pause"),
        (
            "body 9 compressed",
            "pause, denied.malformed_request, 9:deny malformed_request, 9:answer 3, warn",
        ),
        ("gauges", "open 0 held 0 shadowed 0"),
    ]);
}

/// Events after an answer, or before headers, change nothing.
#[test]
fn events_after_an_answer_change_nothing() {
    tell(&[
        ("push a", ""),
        (
            "headers 1 garbage",
            "pause, denied.malformed_token, 1:deny malformed_token, 1:answer 16, warn",
        ),
        ("body 1 ingress", "pause"),
        ("body 1 ingress end", "pause"),
        ("trailers 1", "pause"),
        ("tick 5000", ""),
        ("push b {\"mode\": \"shadow\"}", ""),
        ("body 1 ingress", "pause"),
        ("end 1", ""),
    ]);
}

#[test]
fn a_stream_that_ends_before_its_message_is_whole_is_refused() {
    const REFUSED: &str =
        "pause, denied.malformed_request, 1:deny malformed_request, 1:answer 3, warn";
    for last in ["body 1 half end", "trailers 1"] {
        tell(&[("push a", ""), ("headers 1 good", "pause"), (last, REFUSED), (last, "pause")]);
    }
    tell(&[("push a", ""), ("headers 1 good end", REFUSED)]);
    tell(&[("push a", ""), ("headers 1 good", "pause"), ("body 1 ingress end", LET_IN)]);
}

#[test]
fn a_stream_that_ends_while_it_is_held_leaves_nothing() {
    tell(&[
        ("push a", ""),
        ("headers 1 good", "pause"),
        ("body 1 half", "pause"),
        ("end 1", ""),
        ("gauges", "open 0 held 0 shadowed 0"),
        ("tick 5000", ""),
    ]);
}

/// `holdHeaders: false`: the headers pass, marked as not judged, and no byte of the body does.
#[test]
fn where_only_bodies_are_held_the_headers_go_on() {
    const PUSH: (&str, &str) = ("push a {\"holdHeaders\": false}", "");
    tell(&[
        PUSH,
        ("headers 1 good", "continue, 1:pending"),
        ("body 1 half", "pause"),
        ("gauges", "open 0 held 1 shadowed 0"),
        ("body 1 rest", "continue, allowed, kid.1.allowed, 1:allow"),
        ("headers 2 egress", "continue, 2:pending"),
        ("body 2 ingress", "pause, denied.out_of_scope, 2:deny out_of_scope, 2:answer 7, warn"),
        ("body 2 ingress", "pause"),
        ("bootstrap 3", "continue, 3:pending"),
        ("body 3 boot-west", "pause"),
        ("body 3 nothing end", "pause, denied.wrong_zone, 3:deny wrong_zone, 3:answer 7, warn"),
        ("headers 4 good", "continue, 4:pending"),
        (
            "trailers 4",
            "pause, denied.malformed_request, 4:deny malformed_request, 4:answer 3, warn",
        ),
        ("headers 5 good", "continue, 5:pending"),
        ("tick 100", ""),
        ("tick 1000", "denied.no_first_message, 5:deny no_first_message, 5:answer 4, warn"),
        ("gauges", "open 1 held 0 shadowed 0"),
    ]);
    // Decisions by the headers alone do not wait, and the headers stay.
    tell(&[
        PUSH,
        (
            "headers 1 forged",
            "pause, denied.invalid_signature, 1:deny invalid_signature, 1:answer 16, warn",
        ),
        ("elsewhere 2", "pause, denied.path_denied, 2:deny path_denied, 2:answer 12, warn"),
        (
            "headers 3 good end",
            "pause, 3:pending, denied.malformed_request, 3:deny malformed_request, 3:answer 3, warn",
        ),
    ]);
    // A push that revokes: the body never passes. Shadow mode makes no difference.
    tell(&[
        PUSH,
        ("headers 1 good", "continue, 1:pending"),
        ("body 1 half", "pause"),
        ("push b {\"holdHeaders\": false, \"revocations\": \"id-1\"}", ""),
        ("body 1 rest", "pause, denied.revoked, 1:deny revoked, 1:answer 16, warn"),
        ("push c {\"holdHeaders\": false, \"mode\": \"shadow\"}", ""),
        ("headers 2 good", "continue, 2:pending"),
        ("body 2 half", "continue"),
        ("body 2 rest", "continue, allowed, kid.1.allowed, 2:allow"),
    ]);
    // If two policies judge, one that holds the headers is enough.
    tell(&[
        ("push a", ""),
        ("push b {\"holdHeaders\": false}", ""),
        ("headers 1 good under a", "pause"),
        ("headers 2 good under b", "continue, 2:pending"),
    ]);
}

#[test]
fn a_held_stream_is_answered_in_time_whatever_the_clock_says() {
    const LATE: &str = "denied.no_first_message, 1:deny no_first_message, 1:answer 4, warn";
    for clock in ["clock 0", "clock -3600", "clock 3600", "clock none"] {
        tell(&[
            ("push a", ""),
            ("headers 1 good", "pause"),
            ("tick 100", ""),
            ("body 1 half", "pause"),
            (clock, ""),
            ("tick 999", ""),
            ("tick 1", LATE),
            ("tick 1000", ""),
            ("body 1 rest", "pause"),
        ]);
    }
}

/// The policy in force at the check counts, not the policy at the beginning of the stream.
#[test]
fn a_push_shortens_and_lengthens_the_time_that_a_stream_may_be_held() {
    const LATE: &str = "denied.no_first_message, 1:deny no_first_message, 1:answer 4, warn";
    tell(&[
        ("push a {\"firstMessageSeconds\": 10}", ""),
        ("headers 1 good", "pause"),
        ("tick 100", ""),
        ("tick 2000", ""),
        ("push b {\"firstMessageSeconds\": 2}", ""),
        ("tick 100", LATE),
    ]);
    tell(&[
        ("push a", ""),
        ("headers 1 good", "pause"),
        ("tick 100", ""),
        ("push b {\"firstMessageSeconds\": 3}", ""),
        ("tick 2900", ""),
        ("tick 100", LATE),
    ]);
}

#[test]
fn without_a_clock_nothing_is_held() {
    const REFUSED: &str =
        "pause, denied.clock_unavailable, 1:deny clock_unavailable, 1:answer 14, warn";
    for begin in ["headers 1 good", "bootstrap 1"] {
        tell(&[("push a", ""), ("clock none", ""), (begin, REFUSED)]);
    }
    tell(&[
        ("push a", ""),
        ("headers 1 good", "pause"),
        ("clock none", ""),
        ("body 1 ingress", REFUSED),
    ]);
}

#[test]
fn a_bootstrap_request_is_judged_by_its_body() {
    tell(&[
        ("push a", ""),
        ("bootstrap 1", "pause"),
        ("body 1 boot-good end", LET_IN),
        ("bootstrap 2", "pause"),
        ("body 2 boot-good", "pause"),
        ("body 2 nothing end", "continue, allowed, kid.1.allowed, 2:allow"),
        ("bootstrap 3", "pause"),
        ("body 3 boot-west end", "pause, denied.wrong_zone, 3:deny wrong_zone, 3:answer 7, warn"),
        ("bootstrap 4", "pause"),
        (
            "body 4 too-large",
            "pause, denied.malformed_request, 4:deny malformed_request, 4:answer 3, warn",
        ),
        (
            "bootstrap 5 end",
            "pause, denied.malformed_request, 5:deny malformed_request, 5:answer 3, warn",
        ),
    ]);
    // In shadow mode the body passes, and a body that is too large is not copied to its end.
    tell(&[
        ("push a {\"mode\": \"shadow\"}", ""),
        ("bootstrap 1", "continue, 1:pending"),
        ("body 1 large", "continue"),
        (
            "body 1 large",
            "continue, would_deny.malformed_request, 1:would_deny malformed_request, warn",
        ),
        ("gauges", "open 0 held 0 shadowed 1"),
    ]);
}

#[test]
fn requests_that_pass_unchecked_are_counted_separately() {
    tell(&[
        ("push a {\"proxies\": {\"dataplane\": \"pass\"}, \"bootstrap\": \"pass\"}", ""),
        ("hds 1", "continue, unchecked, 1:allow"),
        ("bootstrap 2", "continue, unchecked, 2:allow"),
        ("headers 3 garbage", "pause"),
        ("body 3 dataplane", "continue, unchecked, 3:allow"),
        ("headers 4 garbage", "pause"),
        (
            "body 4 ingress",
            "pause, denied.malformed_token, 4:deny malformed_token, 4:answer 16, warn",
        ),
        ("headers 5", "pause"),
        ("body 5 ingress", "pause, denied.missing_token, 5:deny missing_token, 5:answer 16, warn"),
        ("gauges", "open 3 held 0 shadowed 0"),
    ]);
}

/// The limit is 16 MiB: 160 bodies of 100 KiB, and the state of their streams.
#[test]
fn strangers_lose_when_too_much_is_held_the_oldest_first() {
    let mut story = vec![("push a".to_owned(), String::new())];
    let mut add = |event: String, wanted: &str| story.push((event, wanted.to_owned()));
    add("headers 1 good".to_owned(), "pause");
    for stream in 2..=162 {
        add(format!("bootstrap {stream}"), "pause");
    }
    for stream in 2..=161 {
        add(format!("body {stream} large"), "pause");
    }
    let shed = |stream| format!("denied.overloaded, {stream}:deny overloaded, {stream}:answer 14");
    add("body 162 large".to_owned(), &format!("pause, {}, warn", shed(2)));
    add("body 1 long".to_owned(), &format!("pause, {}, warn", shed(3)));
    add("bootstrap 163".to_owned(), "pause");
    add("body 163 boot-good end".to_owned(), "continue, allowed, kid.1.allowed, 163:allow");
    add("headers 164 good".to_owned(), "pause");
    add("body 164 ingress".to_owned(), "continue, allowed, kid.1.allowed, 164:allow");
    add("gauges".to_owned(), "open 2 held 160 shadowed 0");
    tell(&story);
}

/// The limit is 16 MiB: 270 times 60,000 bytes, and the state of each stream.
#[test]
fn headers_count_towards_the_limit_of_held_data() {
    let mut story = vec![("push a".to_owned(), String::new())];
    for stream in 1..=270 {
        story.push((format!("bootstrap {stream} with 60000"), "pause".to_owned()));
    }
    let shed = "pause, denied.overloaded, 1:deny overloaded, 1:answer 14, warn".to_owned();
    story.push(("bootstrap 271 with 60000".to_owned(), shed));
    tell(&story);
}

/// If only proxies with a verified token hold data, the stream that has waited longest is refused.
#[test]
fn without_strangers_the_stream_that_has_waited_longest_loses() {
    let mut story = vec![("push a".to_owned(), String::new())];
    for stream in 1..=161 {
        story.push((format!("headers {stream} good"), "pause".to_owned()));
    }
    for stream in 1..=161 {
        story.push((format!("body {stream} long"), "pause".to_owned()));
    }
    let lost = "pause, denied.overloaded, 1:deny overloaded, 1:answer 14, warn";
    story.last_mut().unwrap().1 = lost.to_owned();
    // Whoever is done at once is let in.
    let lost = "pause, denied.overloaded, 2:deny overloaded, 2:answer 14, warn";
    story.push(("headers 162 other".to_owned(), "pause".to_owned()));
    story.push(("headers 163 other".to_owned(), "pause".to_owned()));
    story.push(("body 163 long".to_owned(), lost.to_owned()));
    story.push((
        "body 162 ingress".to_owned(),
        "continue, allowed, kid.1.allowed, 162:allow".to_owned(),
    ));
    story.push(("gauges".to_owned(), "open 1 held 160 shadowed 0".to_owned()));
    tell(&story);
}

/// In shadow mode the gate holds copies of the bodies.
#[test]
fn in_shadow_mode_a_stranger_that_loses_passes() {
    let mut story = vec![("push a {\"mode\": \"shadow\"}".to_owned(), String::new())];
    for stream in 1..=200 {
        story.push((format!("bootstrap {stream}"), format!("continue, {stream}:pending")));
        let mut wanted = "continue".to_owned();
        if stream > 160 {
            let lost = stream - 160;
            wanted = format!("continue, would_deny.overloaded, {lost}:would_deny overloaded");
        }
        if (161..171).contains(&stream) {
            wanted += ", warn";
        }
        story.push((format!("body {stream} large"), wanted));
    }
    tell(&story);
}
