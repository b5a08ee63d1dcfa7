//! Random events, and the properties that must hold after each.

use std::collections::BTreeSet;
use std::ptr;

use prost::Message;
use serde_json::json;
use zonegate_issuer::SigningKey;
use zonegate_testkit::raw_client::grpc_frame;
use zonegate_testkit::zone_proxy::{Claimed, discovery_request};

use crate::callbacks;
use crate::host::{self, SCHEDULERS, Stream, WOKEN};
use crate::library::{Accepted, Library};

/// The counts of a run.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) passed: u64,
    pub(crate) refused: u64,
    pub(crate) cut: u64,
    pub(crate) pushes: u64,
    pub(crate) rejected: u64,
}

/// A token: its text and its id.
struct Token {
    text: String,
    /// `None` if every policy refuses the token.
    id: Option<String>,
}

/// A configuration that the library has accepted.
struct Config {
    place: usize,
    accepted: Accepted,
    revoked: BTreeSet<String>,
    is_shadow: bool,
}

pub(crate) struct Play {
    library: Library,
    dice: u64,
    tokens: Vec<Token>,
    message: Vec<u8>,
    public_key: String,
    configs: Vec<Config>,
    last_config: usize,
    seen: Seen,
    /// The token of each stream, by filter.
    token_of: Vec<(usize, usize)>,
}

const IDS: usize = 8;

/// Called when a stream ends in a call of the library. At random, destroys the stream there, as Envoy may.
pub(crate) fn ended(filter: usize) {
    if host::with(|host| host.ends_inside) {
        destroy(filter);
    }
}

thread_local! {
    static LIBRARY: std::cell::Cell<Option<Library>> = const { std::cell::Cell::new(None) };
}

fn destroy(filter: usize) {
    let module = host::with(|host| host.streams.get(&filter).map(|stream| stream.module));
    let (Some(module), Some(library)) = (module, LIBRARY.get()) else { return };
    library.destroy(module);
    host::with(|host| host.streams.get_mut(&filter).unwrap().is_gone = true);
    // The worker of the stream may end now, and nothing may wake the stream after that.
    if SCHEDULERS.lock().unwrap().contains(&filter) {
        eprintln!("a scheduler is left of a stream that is gone");
        std::process::abort();
    }
}

impl Play {
    pub(crate) fn new(seed: u64) -> Self {
        assert!(!callbacks::all().contains(&ptr::null()));
        let library = Library::load();
        LIBRARY.set(Some(library));
        let key = SigningKey::generate(2048).unwrap();
        let header = r#"{"alg":"RS256","kid":"1"}"#;
        let claims = |id: &str, zone: &str| json!({ "Zone": zone, "Scope": ["ingress"], "exp": 4_000_000_000_u64, "jti": id });
        let mut tokens: Vec<Token> = (0..IDS)
            .map(|at| {
                let id = format!("id-{at}");
                let text = key.sign_raw(header, claims(&id, "zone-1").to_string());
                Token { text, id: Some(id) }
            })
            .collect();
        let elsewhere = key.sign_raw(header, claims("id-0", "zone-2").to_string());
        for text in [elsewhere, "garbage".to_owned(), String::new(), "a.b.c".to_owned()] {
            tokens.push(Token { text, id: None });
        }
        let message = grpc_frame(&discovery_request(Claimed::INGRESS).encode_to_vec()).to_vec();
        let public_key = key.public_key_pem().to_owned();
        let (configs, seen, token_of) = (Vec::new(), Seen::default(), Vec::new());
        let dice = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut play = Self {
            library,
            dice,
            tokens,
            message,
            public_key,
            configs,
            last_config: 0,
            seen,
            token_of,
        };
        play.push(false);
        play
    }

    fn roll(&mut self, below: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % below
    }

    /// Runs one random event.
    pub(crate) fn event(&mut self) {
        let inside = self.roll(4) == 0;
        host::with(|host| host.ends_inside = inside);
        match self.roll(100) {
            0..30 => self.begin(),
            30..62 => self.body(),
            62..67 => self.trailers(),
            67..82 => self.end_one(),
            82..84 => {
                let is_bad = self.roll(4) == 0;
                self.push(is_bad);
            }
            84..86 => self.drop_config(),
            _ => self.wake(),
        }
        self.later();
        if self.roll(3) > 0 {
            self.destroy_what_is_over();
        }
    }

    fn push(&mut self, is_bad: bool) {
        let mut revoked = BTreeSet::new();
        for at in 0..IDS {
            if self.roll(4) == 0 {
                revoked.insert(format!("id-{at}"));
            }
        }
        let is_shadow = self.roll(6) == 0;
        let text = match is_bad {
            true => "{".to_owned(),
            false => json!({
                "zone": "zone-1",
                "publicKeys": [{ "kid": "1", "key": self.public_key }],
                "revocations": revoked,
                "mode": if is_shadow { "shadow" } else { "enforce" },
                "firstMessageSeconds": 1,
                "openStreams": { "cutWithinMilliseconds": 0, "onEnforce": "cut" },
            })
            .to_string(),
        };
        self.last_config += 1;
        let place = self.last_config;
        let accepted = self.library.configure(place, &text);
        assert_eq!(accepted.is_none(), is_bad);
        match accepted {
            None => self.seen.rejected += 1,
            Some(accepted) => {
                self.seen.pushes += 1;
                self.configs.push(Config { place, accepted, revoked, is_shadow });
            }
        }
    }

    /// Envoy drops configurations that have no streams, but never the newest.
    fn drop_config(&mut self) {
        let used: BTreeSet<usize> =
            host::with(|host| host.streams.values().map(|stream| stream.config).collect());
        let Some(at) = self.configs.iter().position(|config| !used.contains(&config.place)) else {
            return;
        };
        if at + 1 < self.configs.len() {
            let config = self.configs.remove(at);
            host::with(|host| host.later.retain(|place| *place != config.place));
            self.library.drop_configuration(config.accepted);
        }
    }

    /// Makes the calls that the library scheduled on configurations.
    fn later(&mut self) {
        for place in host::with(|host| std::mem::take(&mut host.later)) {
            if let Some(config) = self.configs.iter().find(|config| config.place == place) {
                self.library.wake_configuration(place, &config.accepted);
            }
        }
    }

    fn begin(&mut self) {
        let which = self.roll(2) as usize;
        let at = self.configs.len().saturating_sub(1 + which.min(self.configs.len() - 1));
        let place = self.configs[at].place;
        let token = self.roll(self.tokens.len() as u64) as usize;
        let filter = host::with(|host| {
            host.last += 16;
            let mut stream = Stream { config: place, ..Stream::default() };
            let path =
                "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
            for (name, value) in [
                (":method", "POST"),
                (":path", path),
                ("content-type", "application/grpc"),
                ("authorization", &self.tokens[token].text),
                ("x-request-id", "r"),
            ] {
                stream.headers.push((name.into(), value.into()));
            }
            host.streams.insert(host.last, stream);
            host.last
        });
        let module = self.library.begin(&self.configs[at].accepted, filter);
        host::with(|host| host.streams.get_mut(&filter).unwrap().module = module);
        self.token_of.push((filter, token));
        let is_end = self.roll(20) == 0;
        let status = self.library.headers(filter, module, is_end);
        self.judged(filter, status == 0);
    }

    /// A random stream that has not ended.
    fn some(&mut self) -> Option<(usize, usize)> {
        let alive: Vec<(usize, usize)> = host::with(|host| {
            let alive = host.streams.iter().filter(|(_, stream)| !stream.is_over());
            alive.map(|(filter, stream)| (*filter, stream.module)).collect()
        });
        if alive.is_empty() {
            return None;
        }
        let at = self.roll(alive.len() as u64) as usize;
        Some(alive[at])
    }

    /// A piece of a body. A stream that was answered may get more pieces.
    fn body(&mut self) {
        let answered = host::with(|host| {
            let mut all = host.streams.iter();
            let found = all.find(|(_, one)| one.is_answered && !one.is_reset && !one.is_gone);
            found.map(|(filter, stream)| (*filter, stream.module))
        });
        let Some((filter, module)) = answered.or_else(|| self.some()) else { return };
        let length = self.message.len() as u64;
        let piece = match self.roll(4) {
            0 => {
                let cut = self.roll(length) as usize;
                self.message[..cut].to_vec()
            }
            1 => (0..self.roll(2_000)).map(|byte| byte as u8).collect(),
            _ => self.message.clone(),
        };
        host::with(|host| host.streams.get_mut(&filter).unwrap().received = piece);
        let is_end = self.roll(10) == 0;
        let status = self.library.body(filter, module, is_end);
        host::with(|host| {
            let stream = host.streams.get_mut(&filter).unwrap();
            let received = std::mem::take(&mut stream.received);
            match status {
                1 => stream.kept.extend(received),
                _ => stream.kept.clear(),
            }
        });
        self.judged(filter, status == 0);
    }

    fn trailers(&mut self) {
        let Some((filter, module)) = self.some() else { return };
        let status = self.library.trailers(filter, module);
        self.judged(filter, status == 0);
    }

    /// Checks a stream after a hook for this stream.
    fn judged(&mut self, filter: usize, goes_on: bool) {
        let (is_over, config, has_passed) = host::with(|host| {
            let stream = host.streams.get_mut(&filter).unwrap();
            let before = stream.has_passed;
            stream.has_passed |= goes_on && !stream.is_over();
            (stream.is_over(), stream.config, before)
        });
        assert!(!(goes_on && is_over), "a stream that is over goes on");
        if is_over {
            self.seen.refused += u64::from(!has_passed);
            return;
        }
        if goes_on && !has_passed {
            self.seen.passed += 1;
            let newest = self.configs.last().unwrap();
            let own = self.configs.iter().find(|one| one.place == config).unwrap();
            let token = self.token_of.iter().find(|(of, _)| *of == filter).unwrap().1;
            let token = &self.tokens[token];
            for policy in [newest, own].into_iter().filter(|policy| !policy.is_shadow) {
                let id = token.id.as_ref().expect("a token that no policy lets in has passed");
                assert!(!policy.revoked.contains(id), "a revoked token has passed");
            }
        }
    }

    fn wake(&mut self) {
        let woken = std::mem::take(&mut *WOKEN.lock().unwrap());
        for filter in woken {
            let module = host::with(|host| {
                let stream = host.streams.get(&filter).filter(|stream| !stream.is_gone);
                stream.map(|stream| stream.module)
            });
            if let Some(module) = module {
                self.library.wake(filter, module);
            }
        }
    }

    fn end_one(&mut self) {
        if let Some((filter, module)) = self.some() {
            self.library.complete(filter, module);
            destroy(filter);
        }
    }

    /// Destroys streams that were answered or reset, unless they are destroyed already.
    fn destroy_what_is_over(&mut self) {
        let over: Vec<(usize, bool)> = host::with(|host| {
            let over = host.streams.iter().filter(|(_, stream)| stream.is_over());
            over.map(|(filter, stream)| (*filter, stream.is_gone)).collect()
        });
        for (filter, is_gone) in over {
            if !is_gone {
                destroy(filter);
            }
            host::with(|host| {
                let stream = host.streams.remove(&filter).unwrap();
                if stream.is_reset {
                    self.seen.cut += 1;
                }
            });
            self.token_of.retain(|(of, _)| *of != filter);
        }
    }

    /// Ends all streams and configurations, and checks the gauges.
    pub(crate) fn end(mut self) -> Seen {
        while let Some((filter, _)) = self.some() {
            destroy(filter);
            self.destroy_what_is_over();
        }
        host::with(|host| {
            for gauge in ["open", "held", "shadowed"] {
                let value = host.values.get(&format!("zonegate.streams.{gauge}")).copied();
                assert_eq!(value.unwrap_or_default(), 0, "{gauge}");
            }
            assert!(!host.log.iter().any(|line| line.contains("panicked")), "{:?}", host.log);
        });
        for config in std::mem::take(&mut self.configs) {
            self.library.drop_configuration(config.accepted);
        }
        self.seen
    }
}
