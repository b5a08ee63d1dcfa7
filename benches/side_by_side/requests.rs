//! Scenarios a to d and i: one request after another, each with a token to judge.
//!
//! a: every token new. b: the same tokens again. c: floods of requests that must be refused. d: as b, with revocation
//! lists of growing length. i: as a and b, with dataplane tokens.

use std::path::PathBuf;

use zonegate_testkit::gateway::{Form, ServiceProtocol};

use crate::chain::{
    Check, Crypto, EXT_AUTHZ, EXT_PROC, JWT, JWT_CACHE, NATIVE, NO_FILTER, Subject, ZONEGATE,
    ZONEGATE_CRATE,
};
use crate::client::Verdict;
use crate::fleet::Fleet;
use crate::results::{Scenario, Settings};
use crate::rounds::{self, Requests};
use crate::tokens::{
    DATAPLANE, Kind, Tokens, garbage_like, with_unknown_kid, with_wrong_signatures,
};

/// How many ids are revoked in these scenarios.
const REVOKED: usize = 1_000;
/// The number of tokens that a scenario repeats.
const SAME: usize = 64;

/// The name of the subject zonegate with a revocation list of this length.
pub(crate) fn with_list(ids: usize) -> String {
    format!("{ZONEGATE}, {} ids", thousands(ids))
}

/// The same, as a dynamic module.
pub(crate) fn native_with_list(ids: usize) -> String {
    format!("{NATIVE}, {} ids", thousands(ids))
}

/// The name of the subject jwt_authn with an RBAC list of this length.
pub(crate) fn rbac_name(ids: usize) -> String {
    format!("{JWT_CACHE}, RBAC {} ids", thousands(ids))
}

fn of_wasm(subject: &Subject) -> bool {
    matches!(&subject.check, Check::Floor { module, .. } if Form::of(module) == Form::Wasm)
}

/// `1,000` for 1000.
fn thousands(number: usize) -> String {
    match (number / 1000, number % 1000) {
        (0, rest) => rest.to_string(),
        (more, rest) => format!("{},{rest:03}", thousands(more)),
    }
}

/// The inputs of the scenarios.
pub(crate) struct Bench<'a> {
    pub(crate) fleet: &'a mut Fleet,
    pub(crate) tokens: &'a Tokens,
    pub(crate) settings: Settings,
    /// Whether the slow subjects take part. One life is enough for them.
    pub(crate) with_slow: bool,
    pub(crate) module: PathBuf,
    /// The filter as a dynamic module, if there is one.
    pub(crate) native: Option<PathBuf>,
    /// The modules that do nothing, one of each form.
    pub(crate) floors: Vec<PathBuf>,
    /// Other modules to compare with.
    pub(crate) also: Vec<PathBuf>,
}

impl Bench<'_> {
    /// Scenario a: every token new.
    pub(crate) async fn every_token_new(&mut self) -> anyhow::Result<Scenario> {
        let tokens = self.tokens.of(Kind::Good, self.fresh())?;
        let requests = Requests::fresh(&tokens, self.settings, Verdict::Passed);
        let mut subjects = self.subjects([jwt(), jwt_cache()]);
        if self.with_slow {
            let (module, crypto) = (self.module.clone(), Crypto::Crate);
            let check = Check::Zonegate { module, crypto, revoked: REVOKED };
            subjects.push(Subject::new(ZONEGATE_CRATE, check));
        }
        // The dynamic module verifies signatures itself, so Envoy has no such cost.
        subjects.extend(self.floor(&["signature"]).into_iter().filter(of_wasm));
        self.run("a", "every token new", subjects, requests).await
    }

    /// Scenario b: the same tokens again.
    pub(crate) async fn the_same_tokens(&mut self) -> anyhow::Result<Scenario> {
        let tokens = self.tokens.of(Kind::Good, SAME)?;
        let requests = Requests::repeated(&tokens, self.settings, Verdict::Passed);
        let lists: &[usize] = if self.with_slow { &[1_000, 10_000, 100_000] } else { &[1_000] };
        let lists = lists.iter().copied().map(rbac);
        let mut subjects = self.subjects([jwt(), jwt_cache()].into_iter().chain(lists));
        subjects.extend(self.floor(&["nothing", "headers", "message", "facts"]));
        self.run("b", "the same 64 tokens again", subjects, requests).await
    }

    /// Scenarios c: floods of refusals.
    pub(crate) async fn refusals(&mut self) -> anyhow::Result<Vec<Scenario>> {
        let good = self.tokens.of(Kind::Good, self.fresh())?;
        let garbage = garbage_like(&good[0], self.fresh());
        let unknown = good.iter().map(|token| with_unknown_kid(token, "unknown")).collect();
        let numbered = good.iter().zip(0..);
        let unknowns =
            numbered.map(|(token, at)| with_unknown_kid(token, &format!("unknown-{at}"))).collect();
        let floods = [
            ("c garbage", "three segments of random bytes, every one new", garbage),
            ("c unknown kid", "one kid that is not configured, every token new", unknown),
            ("c unknown kids", "every token new, and every one of another such kid", unknowns),
            ("c bad signature", "the signature of another token, every one new", {
                with_wrong_signatures(&good)
            }),
        ];
        let mut scenarios = Vec::new();
        for (id, title, tokens) in floods {
            let requests = Requests::fresh(&tokens, self.settings, Verdict::Refused);
            let mut subjects = self.subjects([jwt()]);
            if id == "c unknown kid" {
                subjects.extend(self.floor(&["refusal"]));
            }
            scenarios.push(self.run(id, title, subjects, requests).await?);
        }
        let repeated = [
            ("c expired", "64 expired tokens again and again", Kind::Expired, jwt()),
            ("c revoked", "64 revoked tokens again and again", Kind::Revoked, rbac(REVOKED)),
        ];
        for (id, title, kind, jwt) in repeated {
            let tokens = self.tokens.of(kind, SAME)?;
            let requests = Requests::repeated(&tokens, self.settings, Verdict::Refused);
            scenarios.push(self.run(id, title, self.subjects([jwt]), requests).await?);
        }
        Ok(scenarios)
    }

    /// Scenario d: revocation lists of growing length.
    pub(crate) async fn revocation_lists(&mut self) -> anyhow::Result<Scenario> {
        let tokens = self.tokens.of(Kind::Good, SAME)?;
        // Longer turns, because the difference is a few per cent of a few microseconds.
        let longer = Settings { requests: self.settings.requests * 5, ..self.settings };
        let requests = Requests::repeated(&tokens, longer, Verdict::Passed);
        let mut subjects = vec![Subject::new(NO_FILTER, Check::None)];
        subjects.extend([0, 1_000, 100_000, 1_000_000].map(|revoked| {
            let (module, crypto) = (self.module.clone(), Crypto::Chosen);
            Subject::new(with_list(revoked), Check::Zonegate { module, crypto, revoked })
        }));
        subjects.extend(self.native.iter().flat_map(|module| {
            [0, 1_000_000].map(|revoked| {
                let (module, crypto) = (module.clone(), Crypto::Chosen);
                Subject::new(native_with_list(revoked), Check::Zonegate { module, crypto, revoked })
            })
        }));
        self.run("d", "the same 64 tokens, revocation lists of zonegate", subjects, requests).await
    }

    /// Scenarios i: dataplane tokens with a resource in the first message, each new, and the same again.
    pub(crate) async fn dataplane_tokens(&mut self) -> anyhow::Result<Vec<Scenario>> {
        let fresh = self.tokens.of(Kind::Dataplane, self.fresh())?;
        let fresh = Requests::fresh(&fresh, self.settings, Verdict::Passed);
        let same = self.tokens.of(Kind::Dataplane, SAME)?;
        let same = Requests::repeated(&same, self.settings, Verdict::Passed);
        let scenarios = [
            ("i new", "every dataplane token new, with its resource", fresh),
            ("i same", "the same 64 dataplane tokens again, with their resource", same),
        ];
        let mut done = Vec::new();
        for (id, title, requests) in scenarios {
            let requests = Requests { proxy: DATAPLANE, ..requests };
            done.push(self.run(id, title, self.subjects([jwt_cache()]), requests).await?);
        }
        Ok(done)
    }

    /// How many tokens a scenario uses up.
    fn fresh(&self) -> usize {
        let Settings { rounds, requests, warm_up, .. } = self.settings;
        warm_up + rounds * requests
    }

    /// `others` between the chain without a filter and zonegate.
    pub(crate) fn subjects(&self, others: impl IntoIterator<Item = Subject>) -> Vec<Subject> {
        let mut subjects = vec![Subject::new(NO_FILTER, Check::None)];
        subjects.extend(others);
        if self.with_slow {
            let (by_headers, exact) = (ServiceProtocol::ExtAuthz, ServiceProtocol::ExtProc);
            for (name, protocol) in [(EXT_AUTHZ, by_headers), (EXT_PROC, exact)] {
                let check = Check::Service { protocol, revoked: REVOKED };
                subjects.push(Subject::new(name, check));
            }
        }
        let zonegate = |name: &str, module| {
            let crypto = Crypto::Chosen;
            Subject::new(name, Check::Zonegate { module, crypto, revoked: REVOKED })
        };
        subjects.push(zonegate(ZONEGATE, self.module.clone()));
        subjects.extend(self.native.iter().map(|native| zonegate(NATIVE, native.clone())));
        subjects.extend(self.also.iter().map(|module| {
            let name = module.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            zonegate(&format!("module {name}"), module.clone())
        }));
        subjects
    }

    /// The floors with each of these steps.
    pub(crate) fn floor(&self, steps: &[&'static str]) -> Vec<Subject> {
        let floors = self.floors.iter().flat_map(|module| {
            steps.iter().map(|step| {
                let form = match Form::of(module) {
                    Form::Native => ", native",
                    Form::Wasm | Form::Service => "",
                };
                let check = Check::Floor { module: module.clone(), step };
                Subject::new(format!("floor: {step}{form}"), check)
            })
        });
        floors.collect()
    }

    async fn run(
        &mut self,
        id: &str,
        title: &str,
        subjects: Vec<Subject>,
        requests: Requests,
    ) -> anyhow::Result<Scenario> {
        eprintln!("{id}: {title}");
        let envoys = self.fleet.all(&subjects, &self.tokens.key).await?;
        let rows = rounds::run(&envoys, &requests).await?;
        Ok(Scenario { id: id.to_owned(), title: title.to_owned(), rows })
    }
}

fn jwt() -> Subject {
    Subject::new(JWT, Check::Jwt { cache: false, denied: 0 })
}

pub(crate) fn jwt_cache() -> Subject {
    Subject::new(JWT_CACHE, Check::Jwt { cache: true, denied: 0 })
}

/// With the token cache, the fastest configuration with a list.
fn rbac(denied: usize) -> Subject {
    Subject::new(rbac_name(denied), Check::Jwt { cache: true, denied })
}
