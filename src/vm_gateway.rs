//! One gateway in one VM of a host that runs many: each worker has a VM, and another module has others.
//!
//! In: configurations as the host gives them, ticks, and what the VMs share. Out: effects. The life of
//! the connections is [`Lifecycle`]; here is what only a VM needs: it must find out by itself that it is
//! no longer given configurations, and its gauges are one part of a sum.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::gate::Policy;
use crate::lifecycle::{Clocks, Cut, Effect, Lifecycle, PolicyNumber};
use crate::log_line::{self, Level, LogLine};
use crate::metrics::{self, Change, Counter, Labels, Metric};
use crate::push_log::{Content, Newer, Push, PushLog};
use crate::shared_data::SharedData;
use crate::shared_gauge::{self, Member};
use crate::token::SignatureBackend;

/// How often a host is to tick.
pub const TICK: Duration = Duration::from_millis(100);
/// What is less than this after a tick belongs to it.
const SAME_TICK: Duration = Duration::from_millis(50);

/// One gateway in one VM.
#[derive(Debug)]
pub struct VmGateway {
    /// The life of its connections.
    pub lifecycle: Lifecycle,
    pushes: PushLog,
    /// Which policy was made of which configuration, the latest last. Each stands, for the host may begin
    /// streams under it.
    numbers: Vec<(PolicyNumber, Push)>,
    /// The policy of the push that this VM has spoken of last.
    spoken: Option<PolicyNumber>,
    backend: &'static SignatureBackend,
    /// Whether what others have confirmed is in force beside what this VM was given.
    is_contested: bool,
    member: Member,
    ticked: Duration,
}

/// What became of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Configured {
    /// The policy that is in force for the streams that begin under this configuration; `None` where there
    /// is none.
    pub number: Option<PolicyNumber>,
    /// Whether the configuration was taken. One that was not leaves the policy before in force.
    pub is_accepted: bool,
}

impl VmGateway {
    /// The gateway of this name; signatures are verified by `backend`. No other gateway in any VM has the
    /// same `number`.
    pub fn new(name: &str, number: u64, backend: &'static SignatureBackend) -> Self {
        Self {
            lifecycle: Lifecycle::default(),
            pushes: PushLog::new(name),
            numbers: Vec::new(),
            spoken: None,
            backend,
            is_contested: false,
            member: Member::new(number),
            ticked: Duration::ZERO,
        }
    }

    /// The host gives a configuration. Envoy asks a new VM on its main thread first, and then those of the
    /// workers; a worker that then says no is left without the filter. So there the previous policy goes
    /// on.
    pub fn on_configuration(
        &mut self,
        shared: &impl SharedData,
        bytes: Vec<u8>,
        now: Clocks,
        effects: &mut Vec<Effect>,
    ) -> Configured {
        shared_gauge::begin(shared);
        let push = Push::of(&bytes);
        let config = match Config::from_host(bytes, self.backend) {
            Ok(config) => config,
            Err(error) => {
                self.pushes.refuse(shared);
                effects.push(Effect::Define(Labels::default()));
                effects.push(Effect::count(Counter::ConfigRejected));
                effects.push(text(log_line::of_refused(&error)));
                // As a push of its own: a number belongs to one configuration of the host.
                let policy = self.lifecycle.policy().cloned();
                let number = policy.map(|policy| self.lifecycle.on_policy(policy, now, effects));
                return Configured { number, is_accepted: false };
            }
        };
        if self.pushes.take(shared, &push) {
            // Once for all VMs.
            effects.extend(log_line::of_accepted(&config, self.backend.name()).map(text));
            effects.push(Effect::Define(Labels::default()));
            effects.push(Effect::count(Counter::ConfigAccepted));
        }
        let is_new = self.numbers.is_empty();
        let number = self.put_in_force(config, now, effects);
        if is_new {
            self.contest(shared, push.content(), now, effects);
        }
        self.numbers.push((number, push));
        self.spoken = Some(number);
        Configured { number: Some(number), is_accepted: true }
    }

    /// What a new VM is given first may be what an old listener has: until it is confirmed, what others have
    /// confirmed is in force, too. Where this VM cannot have that, nothing is let in.
    fn contest(
        &mut self,
        shared: &impl SharedData,
        given: Content,
        now: Clocks,
        effects: &mut Vec<Effect>,
    ) {
        let newest = self.pushes.newest(shared).filter(|(content, _)| *content != given);
        let Some((_, left)) = newest else { return };
        self.is_contested = true;
        match left.and_then(|bytes| Config::from_host(bytes, self.backend).ok()) {
            Some(config) => {
                self.lifecycle.on_policy_from_elsewhere(Arc::new(config.policy), now, effects);
            }
            None => self.lifecycle.on_policy_awaited(),
        }
    }

    /// The host begins no more streams under this policy. Where that leaves a VM without streams with one
    /// configuration, and a later one was spoken of, the host has gone back. The VMs whose streams keep later
    /// configurations learn it from here. (Envoy's main thread takes its root context up again, too, where
    /// pushes come faster than workers take them.)
    pub fn on_configuration_dropped(&mut self, shared: &impl SharedData, number: PolicyNumber) {
        if self.numbers.last().is_some_and(|(last, _)| *last == number) {
            self.pushes.withdraw();
        }
        self.numbers.retain(|(known, _)| *known != number);
        self.lifecycle.on_policy_dropped(number);
        if let ([(left, push)], false) = (&*self.numbers, self.lifecycle.had_streams())
            && self.spoken != Some(*left)
        {
            self.pushes.take(shared, push);
            self.spoken = Some(*left);
        }
    }

    fn put_in_force(
        &mut self,
        config: Config,
        now: Clocks,
        effects: &mut Vec<Effect>,
    ) -> PolicyNumber {
        let policy = config.policy;
        define(&policy, effects);
        self.lifecycle.on_policy(Arc::new(policy), now, effects)
    }

    /// Time has passed. Every configuration of the host may tick, so that the time of a gateway goes on
    /// whichever of them are left; all but the first of a tick do nothing.
    pub fn on_tick(&mut self, shared: &impl SharedData, now: Clocks, effects: &mut Vec<Effect>) {
        if now.monotonic.saturating_sub(self.ticked) < SAME_TICK {
            return;
        }
        self.ticked = now.monotonic;
        match self.lifecycle.had_streams() {
            true => {
                self.pushes.withdraw();
                self.numbers.iter_mut().for_each(|(_, push)| push.forget_bytes());
            }
            false => self.pushes.confirm(shared),
        }
        if self.is_contested && self.pushes.is_confirmed(shared) {
            self.is_contested = false;
            self.go_back(self.numbers.last().map(|(number, _)| *number), now, effects);
        }
        self.catch_up(shared, now, effects);
        self.lifecycle.on_tick(now, effects);
        let changes = self.member.report(shared, self.lifecycle.stream_gauges(), now.monotonic);
        effects.extend(changes.into_iter().map(changed));
    }

    /// Puts in force what other VMs were given and this one was not.
    fn catch_up(&mut self, shared: &impl SharedData, now: Clocks, effects: &mut Vec<Effect>) {
        let place = |content| self.numbers.iter().rfind(|(_, known)| known.content() == content);
        let has = |content| place(content).is_some_and(|(number, _)| self.lifecycle.has(*number));
        let Some(newer) = self.pushes.newer(shared, now.monotonic, has) else { return };
        let config = match newer {
            Newer::Known(content) => {
                let number = place(content).map(|(number, _)| *number);
                return self.go_back(number, now, effects);
            }
            Newer::Awaited => return self.lifecycle.on_policy_awaited(),
            Newer::Configuration(bytes) => Config::from_host(bytes, self.backend).ok(),
            Newer::Unknown => None,
        };
        let (level, line) = match &config {
            Some(_) => (Level::Info, GIVEN_TO_ANOTHER),
            None => log_line::UNREADABLE,
        };
        effects.push(text((level, line.to_owned())));
        match config {
            Some(config) => {
                let policy = config.policy;
                define(&policy, effects);
                self.lifecycle.on_policy_from_elsewhere(Arc::new(policy), now, effects);
            }
            None => self.lifecycle.on_policy_lost(Cut::ModuleReplaced, now, effects),
        }
    }

    fn go_back(&mut self, number: Option<PolicyNumber>, now: Clocks, effects: &mut Vec<Effect>) {
        let Some(number) = number else { return };
        self.lifecycle.on_policy_again(number, now, effects);
        if let Some(policy) = self.lifecycle.policy() {
            effects.extend(metrics::of_policy(policy).map(changed));
        }
    }
}

/// Defines the metrics of a policy that comes into force, and shows what it holds.
fn define(policy: &Policy, effects: &mut Vec<Effect>) {
    effects.push(Effect::Define(Labels::of(policy)));
    effects.extend(metrics::of_policy(policy).map(changed));
}

fn changed((metric, change): (Metric, Change)) -> Effect {
    Effect::Change(metric, change)
}

fn text((level, line): (Level, String)) -> Effect {
    Effect::log(LogLine::Text(level, line))
}

const GIVEN_TO_ANOTHER: &str = "zonegate: a newer configuration was given to another VM; \
                                it is in force for the streams of this one, too";
