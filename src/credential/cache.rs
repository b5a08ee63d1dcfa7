//! Tokens that were verified before, so that a proxy that reconnects costs no RSA.
//!
//! In: the text of a token and the keys in force. Out: what was verified. The cache holds facts, not
//! verdicts: that this very text was signed by this very key, and what it claims. Time, revocation,
//! zone and scope are judged on every connection.
//!
//! Only tokens that a configured key signed get in, so a stranger's garbage pushes nothing out. A token
//! whose key was replaced under its kid is not found. A text with a line break is never kept: Kuma
//! skips CR and LF inside a segment, so whoever has one good token can spell it in endless ways, and
//! every spelling would be an entry.

use std::cell::RefCell;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use memchr::memchr2;
use quick_cache::unsync::Cache;
use quick_cache::{DefaultHashBuilder, Equivalent, Weighter};

use super::{Kind, ResourceCache, Token};
use crate::token::{Algorithm, CompactToken, KeySet, LastHeader, SignedToken, TokenError, same};

/// The most that the tokens of one worker take, in bytes, as [`weight`] counts them: those of some
/// 20,000 proxies.
pub const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// How many tokens the tables have room for at first; they grow.
const ROOM: usize = 256;

/// What one worker remembers of tokens. When it is full, a token that was asked for once goes before
/// one that was asked for again: a flood of new tokens does not push out those of proxies that
/// reconnect.
pub struct TokenCache {
    tokens: RefCell<Tokens>,
    /// The tokens of one key all begin with the same header.
    last_header: LastHeader,
    /// Of those who hold the tokens.
    resources: ResourceCache,
}

/// Verified tokens by their kinds and texts.
type Tokens = Cache<(Kind, Box<[u8]>), Arc<Token>, Bytes, SuffixHash>;

impl TokenCache {
    /// Room for `bytes`.
    pub fn with_capacity(bytes: u64) -> Self {
        let lifecycle = Default::default();
        let tokens = Cache::with(ROOM, bytes, Bytes, SuffixHash::default(), lifecycle);
        let (last_header, resources) = (LastHeader::default(), ResourceCache::default());
        Self { tokens: RefCell::new(tokens), last_header, resources }
    }

    /// What is remembered of the resources of those who hold the tokens.
    pub fn resources(&self) -> &ResourceCache {
        &self.resources
    }

    /// As [`authenticate`](super::authenticate), without the arithmetic where `text` was verified
    /// before and its key is still in `keys`.
    ///
    /// # Errors
    /// As [`authenticate`](super::authenticate).
    pub fn authenticate(
        &self,
        text: &[u8],
        kind: Kind,
        keys: &KeySet,
    ) -> Result<Arc<Token>, TokenError> {
        match self.get(kind, text) {
            Some(token) if keys.holds(&token.identity.kid, token.identity.key) => Ok(token),
            _ => self.verify(self.read_header(text, kind.algorithms())?, text, kind, keys),
        }
    }

    /// The header of `text`, which may be signed with one of `allowed`.
    pub(crate) fn read_header<'a>(
        &self,
        text: &'a [u8],
        allowed: &[Algorithm],
    ) -> Result<SignedToken<'a>, TokenError> {
        self.last_header.read(CompactToken::parse(text)?, allowed)
    }

    /// Verifies `signed`, which is `text`, and remembers what it says.
    pub(crate) fn verify(
        &self,
        signed: SignedToken<'_>,
        text: &[u8],
        kind: Kind,
        keys: &KeySet,
    ) -> Result<Arc<Token>, TokenError> {
        let token = Arc::new(Token::read(kind, keys.verify(signed)?)?);
        self.insert(text, &token);
        Ok(token)
    }

    /// What `text` said when it was verified as a token of `kind`.
    pub(crate) fn get(&self, kind: Kind, text: &[u8]) -> Option<Arc<Token>> {
        self.tokens.borrow().get(&Lookup(kind, text)).map(Arc::clone)
    }

    /// Remembers that `text` was verified and says `token`.
    fn insert(&self, text: &[u8], token: &Arc<Token>) {
        if memchr2(b'\r', b'\n', text).is_none() {
            self.tokens.borrow_mut().insert((token.kind(), text.into()), Arc::clone(token));
        }
    }

    /// How many tokens are remembered.
    pub fn len(&self) -> usize {
        self.tokens.borrow().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for TokenCache {
    fn default() -> Self {
        Self::with_capacity(CACHE_BYTES)
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenCache({})", self.len())
    }
}

/// A text that is looked for, as a token of a kind.
struct Lookup<'a>(Kind, &'a [u8]);

impl Hash for Lookup<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0, self.1).hash(state);
    }
}

impl Equivalent<(Kind, Box<[u8]>)> for Lookup<'_> {
    fn equivalent(&self, (kind, text): &(Kind, Box<[u8]>)) -> bool {
        self.0 == *kind && same(self.1, text)
    }
}

/// Hashes the last bytes of a text, the end of its signature. A signature is as good as random; without the
/// key nobody makes another one of RSA for the same signing input, and one more of ECDSA (`n - s`). Without
/// line breaks it has 16 spellings, which differ in the last byte: nobody can make many texts with one hash.
/// A text that is found is compared as a whole.
#[derive(Clone, Default)]
struct SuffixHash(DefaultHashBuilder);

/// How many bytes are hashed.
const SUFFIX: usize = 32;

impl BuildHasher for SuffixHash {
    type Hasher = SuffixHasher<<DefaultHashBuilder as BuildHasher>::Hasher>;

    fn build_hasher(&self) -> Self::Hasher {
        SuffixHasher(self.0.build_hasher())
    }
}

struct SuffixHasher<H>(H);

impl<H: Hasher> Hasher for SuffixHasher<H> {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes.last_chunk::<SUFFIX>().map_or(bytes, |end| end));
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

/// Counts an entry by the bytes that it takes.
#[derive(Clone)]
struct Bytes;

impl Weighter<(Kind, Box<[u8]>), Arc<Token>> for Bytes {
    fn weight(&self, (_, text): &(Kind, Box<[u8]>), token: &Arc<Token>) -> u64 {
        weight(text, token)
    }
}

/// What an entry takes: its texts, and about as much as the tables and headers around them do.
fn weight(text: &[u8], token: &Token) -> u64 {
    const OVERHEAD: usize = 320;
    let sum = text.len().saturating_add(token.bytes()).saturating_add(OVERHEAD);
    u64::try_from(sum).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;
    use crate::credential::{Claims, DataplaneClaims, Identity, ServiceAccountClaims, ZoneClaims};
    use crate::token::Fingerprint;

    fn token(id: &str) -> Arc<Token> {
        let identity = Identity {
            kind: Kind::ZoneToken,
            kid: "1".into(),
            key: Fingerprint::default(),
            key_label: "1".into(),
            id: id.into(),
            zone: "".into(),
            mesh: "".into(),
            name: "".into(),
            expires_at: None,
            issued_at: None,
            pairs: Box::default(),
        };
        let claims = Claims::Zone(ZoneClaims::default());
        Arc::new(Token { identity: Arc::new(identity), not_before: None, length: 0, claims })
    }

    fn id(tokens: &TokenCache, text: &[u8]) -> Option<String> {
        tokens.get(Kind::ZoneToken, text).map(|token| token.identity.id.to_string())
    }

    #[test]
    fn only_the_very_text_is_found() {
        let tokens = TokenCache::default();
        tokens.insert(b"a.b.c", &token("one"));
        tokens.insert(b"a.b.C", &token("two"));
        assert_eq!(id(&tokens, b"a.b.c").as_deref(), Some("one"));
        assert_eq!(id(&tokens, b"a.b.C").as_deref(), Some("two"));
        assert_eq!(id(&tokens, b"a.b."), None);
        assert_eq!(tokens.get(Kind::DataplaneToken, b"a.b.c"), None);
        assert!(!tokens.is_empty());
    }

    /// It has the same hash.
    #[test]
    fn a_text_that_only_ends_alike_is_not_found() {
        let tokens = TokenCache::default();
        let texts = ["one", "two"].map(|start| format!("{start}.{}", "x".repeat(SUFFIX)));
        let [one, two] = texts.each_ref().map(|text| text.as_bytes());
        tokens.insert(one, &token("one"));
        assert_eq!(id(&tokens, two), None);
        tokens.insert(two, &token("two"));
        assert_eq!(id(&tokens, one).as_deref(), Some("one"));
        assert_eq!(id(&tokens, two).as_deref(), Some("two"));
    }

    /// Each with a token of 700 bytes, of which 340 are its signature.
    #[test]
    fn there_is_room_for_the_tokens_of_twenty_thousand_proxies() {
        let tokens = TokenCache::default();
        for index in 0..20_000 {
            let text = format!("{}{index:032}", "x".repeat(700 - 32));
            tokens.insert(text.as_bytes(), &token("1ede0000-0000-4000-8000-000000000000"));
        }
        assert_eq!(tokens.len(), 20_000);
    }

    /// Whoever has a key can make a token of long claims, and the bound must hold all the same.
    #[test]
    fn a_token_weighs_as_much_as_its_text_and_what_it_says() {
        let empty = weight(b"", &token(""));
        assert_eq!(weight(b"a.b.c", &token("")), empty + 5);
        assert_eq!(weight(b"a.b.c", &token("four")), empty + 5 + 4);
        let mut long = Arc::unwrap_or_clone(token(""));
        long.claims = Claims::Zone(ZoneClaims { zone: "east".into(), ..ZoneClaims::default() });
        assert_eq!(weight(b"", &long), empty + 4);
        let text = || "x".repeat(1_000);
        let dataplane = DataplaneClaims::default;
        let account = ServiceAccountClaims::default;
        for claims in [
            Claims::Zone(ZoneClaims { zone: text(), ..ZoneClaims::default() }),
            Claims::Zone(ZoneClaims { scope: vec![text()], ..ZoneClaims::default() }),
            Claims::Dataplane(DataplaneClaims { name: text(), ..dataplane() }),
            Claims::Dataplane(DataplaneClaims { mesh: text(), ..dataplane() }),
            Claims::Dataplane(DataplaneClaims { tags: [(text(), vec![])].into(), ..dataplane() }),
            Claims::Dataplane(DataplaneClaims {
                tags: [(String::new(), vec![text()])].into(),
                ..dataplane()
            }),
            Claims::Dataplane(DataplaneClaims { workload: text(), ..dataplane() }),
            Claims::ServiceAccount(ServiceAccountClaims { issuer: text(), ..account() }),
            Claims::ServiceAccount(ServiceAccountClaims { audiences: vec![text()], ..account() }),
            Claims::ServiceAccount(ServiceAccountClaims { namespace: text(), ..account() }),
            Claims::ServiceAccount(ServiceAccountClaims { service_account: text(), ..account() }),
            Claims::ServiceAccount(ServiceAccountClaims { pod: Some(text()), ..account() }),
        ] {
            long.claims = claims;
            assert!(weight(b"", &long) >= empty + 1_000, "{:?}", long.claims);
        }
    }

    #[test]
    fn a_text_with_a_line_break_is_not_kept() {
        let tokens = TokenCache::default();
        for text in [&b"a.b.c\n"[..], b"a.b.\rc", b"\na.b.c", b"a\r\n.b.c"] {
            tokens.insert(text, &token("one"));
            assert_eq!(id(&tokens, text), None, "{text:?}");
        }
        assert!(tokens.is_empty());
    }

    /// A flood of tokens that are used once, by someone who has a key, leaves the others alone.
    #[test]
    fn what_is_used_again_outlives_a_flood_and_the_bound_holds() {
        let tokens = TokenCache::with_capacity(200 * 1024);
        let steady: Vec<String> = (0..50).map(|index| format!("steady-{index}")).collect();
        for text in &steady {
            tokens.insert(text.as_bytes(), &token(text));
        }
        for round in 0..100 {
            for text in &steady {
                let _ = tokens.get(Kind::ZoneToken, text.as_bytes());
            }
            for index in 0..100 {
                let text = format!("flood-{round}-{index}-{}", "x".repeat(600));
                tokens.insert(text.as_bytes(), &token("flood"));
            }
            assert!(tokens.tokens.borrow().weight() <= 200 * 1024);
        }
        let kept = steady.iter().filter(|text| id(&tokens, text.as_bytes()).is_some()).count();
        assert_eq!(kept, steady.len());
    }

    #[test]
    fn a_token_larger_than_everything_is_not_kept() {
        let tokens = TokenCache::with_capacity(1024);
        tokens.insert(&[b'x'; 4096], &token("large"));
        assert!(tokens.is_empty());
    }
}
