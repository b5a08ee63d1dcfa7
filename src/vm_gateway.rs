//! One gateway in one VM of a host that runs many: each worker has a VM, and another module has others.
//!
//! In: configurations as the host gives them, ticks, and the data that the VMs share. Out: effects. [`Lifecycle`]
//! has the life of the connections. This file has what only a VM needs: a VM must find out by itself that the host
//! no longer gives it configurations, and its gauges are one part of a sum.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::lifecycle::{Clocks, Cut, Effect, Lifecycle, PolicyNumber};
use crate::log_line::{self, Level, LogLine};
use crate::metrics::{self, Change, Counter, Labels, Metric};
use crate::push_log::{Content, Newer, Push, PushLog, Settled};
use crate::shared_data::SharedData;
use crate::shared_gauge::{self, Member};
use crate::token::SignatureBackend;

/// How often the lifecycle ticks. Hosts of other forms call it this often.
pub const TICK: Duration = Duration::from_millis(100);
/// How often a host calls [`VmGateway::on_tick`]: more often than the lifecycle ticks, so that many streams end soon.
pub const CALL_PERIOD: Duration = Duration::from_millis(20);
/// Calls that come less than this time after a tick belong to that tick.
const SAME_TICK: Duration = Duration::from_millis(90);
/// How many streams a host ends in one tick. V8 can end some 450; a push may come with a tick, and other builds of Envoy
/// may need more of the stack for each stream.
const ENDED_IN_ONE_TICK: usize = 64;

/// One gateway in one VM.
#[derive(Debug)]
pub struct VmGateway {
    /// The life of its connections.
    pub lifecycle: Lifecycle,
    pushes: PushLog,
    /// The policy of each configuration, the latest last, as in `pushes`. The host may begin streams under each of them.
    numbers: Vec<(PolicyNumber, Push)>,
    backend: &'static SignatureBackend,
    /// Whether the configuration that other VMs confirmed is in force beside the one that this VM was given.
    is_contested: bool,
    /// Whether a configuration was dropped, and what that means is not known yet.
    has_dropped: bool,
    /// The policy that the gauges of the policy show.
    shown: Option<PolicyNumber>,
    member: Member,
    ticked: Duration,
}

/// The result of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Configured {
    /// The policy for the streams that begin under this configuration; `None` if there is none.
    pub number: Option<PolicyNumber>,
    /// Whether the configuration was accepted. If not, the previous policy stays in force.
    pub is_accepted: bool,
}

impl VmGateway {
    /// The gateway of this name; signatures are verified by `backend`. No other gateway in any VM has the
    /// same `number`; the VMs of one module have the same `module`.
    pub fn new(name: &str, number: u64, module: u64, backend: &'static SignatureBackend) -> Self {
        Self {
            lifecycle: Lifecycle::ending_at_most(ENDED_IN_ONE_TICK),
            pushes: PushLog::new(name, module),
            numbers: Vec::new(),
            backend,
            is_contested: false,
            has_dropped: false,
            shown: None,
            member: Member::new(number),
            ticked: Duration::ZERO,
        }
    }

    /// The host gives a configuration. Envoy asks a VM on its main thread first, and then the VMs of the workers.
    /// Envoy leaves a worker that refuses without the filter. So a worker accepts, and continues with the previous
    /// policy.
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
                // As a separate push: a number belongs to one configuration of the host.
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
        Configured { number: Some(number), is_accepted: true }
    }

    /// The first configuration of a new VM may be that of an old listener. Until it is confirmed, the confirmed
    /// configuration of other VMs is in force, too. If this VM cannot get that one, it lets nothing in.
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

    /// The host begins no more streams under this policy.
    pub fn on_configuration_dropped(&mut self, shared: &impl SharedData, number: PolicyNumber) {
        let place = self.numbers.iter().position(|(known, _)| *known == number);
        let is_taken_back = place.is_some_and(|place| {
            self.numbers.remove(place);
            self.pushes.forget(shared, place)
        });
        match (is_taken_back, self.pushes.is_found()) {
            (true, _) => self.lifecycle.on_policy_taken_back(number),
            (false, true) => self.lifecycle.on_policy_dropped_here(number),
            (false, false) => self.lifecycle.on_policy_dropped(number),
        }
        self.has_dropped = true;
    }

    /// If a VM without streams has one configuration left, the host serves with that one, and this VM tells the others,
    /// whose streams may keep later configurations alive. (Envoy's main thread also reuses a root context, if pushes
    /// come faster than workers take them.) This waits for a tick, because a late worker takes the next configuration
    /// right after it drops one.
    fn settle(&mut self, shared: &impl SharedData) {
        if !std::mem::take(&mut self.has_dropped) {
            return;
        }
        let ([(left, push)], false) = (&*self.numbers, self.lifecycle.had_streams()) else {
            return;
        };
        match self.pushes.settle(shared, push) {
            Settled::Yes => self.lifecycle.on_policy_alone(*left),
            Settled::No => {}
            Settled::NotYet => self.has_dropped = true,
        }
    }

    fn put_in_force(
        &mut self,
        config: Config,
        now: Clocks,
        effects: &mut Vec<Effect>,
    ) -> PolicyNumber {
        let number = self.lifecycle.on_policy(Arc::new(config.policy), now, effects);
        self.show_policy(effects);
        number
    }

    /// Defines the metrics of the policy in force, and shows what it holds.
    fn show_policy(&mut self, effects: &mut Vec<Effect>) {
        self.shown = self.lifecycle.policy_number();
        if let Some(policy) = self.lifecycle.policy() {
            effects.push(Effect::Define(Labels::of(policy)));
            effects.extend(metrics::of_policy(policy).map(changed));
        }
    }

    /// Time has passed. Every configuration of the host may call this, so that a gateway ticks as long as one of them
    /// is left. The calls between two ticks only end streams for which there was no room before.
    pub fn on_tick(&mut self, shared: &impl SharedData, now: Clocks, effects: &mut Vec<Effect>) {
        if now.monotonic.saturating_sub(self.ticked) < SAME_TICK {
            if self.lifecycle.is_behind() {
                self.lifecycle.on_more(effects);
            }
            return;
        }
        self.ticked = now.monotonic;
        self.settle(shared);
        match self.lifecycle.had_streams() {
            true => {
                self.pushes.leave_unconfirmed();
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
        // Another policy may be in force without a push, after the host dropped the newest one.
        if self.shown != self.lifecycle.policy_number() {
            self.show_policy(effects);
        }
        let changes = self.member.report(shared, self.lifecycle.stream_gauges(), now.monotonic);
        effects.extend(changes.into_iter().map(changed));
    }

    /// Puts a configuration in force that other VMs were given and this VM was not.
    fn catch_up(&mut self, shared: &impl SharedData, now: Clocks, effects: &mut Vec<Effect>) {
        let place = |content| {
            let known = self.numbers.iter().rfind(|(_, known)| known.content() == content);
            known.map(|(number, _)| *number)
        };
        let has = |content| place(content).is_some_and(|number| self.lifecycle.has(number));
        let Some(newer) = self.pushes.newer(shared, now.monotonic, has) else { return };
        let (number, config) = match newer {
            Newer::Known(content) => return self.go_back(place(content), now, effects),
            Newer::Awaited => return self.lifecycle.on_policy_awaited(),
            Newer::Configuration(bytes) => {
                (place(Content::of(&bytes)), Config::from_host(bytes, self.backend).ok())
            }
            Newer::Unknown => (None, None),
        };
        let (level, line) = match &config {
            Some(_) => log_line::GIVEN_TO_ANOTHER_VM,
            None => log_line::UNREADABLE,
        };
        effects.push(text((level, line.to_owned())));
        match config {
            Some(config) => {
                let policy = Arc::new(config.policy);
                // The host reuses a configuration whose policy was not kept, and begins streams under its number.
                match number {
                    Some(number) => self.lifecycle.on_policy_anew(number, policy, now, effects),
                    None => self.lifecycle.on_policy_from_elsewhere(policy, now, effects),
                }
            }
            None => self.lifecycle.on_policy_lost(Cut::ModuleReplaced, now, effects),
        }
    }

    fn go_back(&mut self, number: Option<PolicyNumber>, now: Clocks, effects: &mut Vec<Effect>) {
        let Some(number) = number else { return };
        self.lifecycle.on_policy_again(number, now, effects);
    }
}

fn changed((metric, change): (Metric, Change)) -> Effect {
    Effect::Change(metric, change)
}

fn text((level, line): (Level, String)) -> Effect {
    Effect::log(LogLine::Text(level, line))
}
