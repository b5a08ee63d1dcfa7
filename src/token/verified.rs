//! Tokens that were verified before, so that a proxy that reconnects costs no RSA.
//!
//! In: the text of a token and the key of its kid. Out: what was verified. It holds facts, not
//! verdicts: that this very text was signed by this very key, and what it claims. Time, revocation,
//! zone and scope are judged on every connection.
//!
//! Only tokens that one of our keys signed get in, so a stranger's garbage pushes nothing out. Two
//! spellings of one token are two entries; a token whose key was replaced under its kid is none.

use std::cell::RefCell;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::rc::Rc;

use quick_cache::unsync::Cache;
use quick_cache::{DefaultHashBuilder, Equivalent, Weighter};

use super::same::same;
use super::{PublicKey, ZoneToken};

/// The most that the tokens of one VM take, in bytes, as [`weight`] counts them: those of some
/// 20,000 proxies.
pub const MAX_REMEMBERED: u64 = 32 * 1024 * 1024;

/// How many tokens the tables have room for at first; they grow.
const ROOM: usize = 256;

/// Tokens that were verified before. When it is full, what was asked for once goes before what was
/// asked for again: a flood of new tokens does not push out those of proxies that reconnect.
pub struct VerifiedTokens(RefCell<Cache<Box<[u8]>, Verified, Bytes, OfTheEnd>>);

#[derive(Clone)]
struct Verified {
    token: Rc<ZoneToken>,
    key: Rc<PublicKey>,
}

impl VerifiedTokens {
    /// Room for `bytes`.
    pub fn with_capacity(bytes: u64) -> Self {
        let lifecycle = Default::default();
        Self(RefCell::new(Cache::with(ROOM, bytes, Bytes, OfTheEnd::default(), lifecycle)))
    }

    /// What `text` said when it was verified, and by which key.
    pub(super) fn find(&self, text: &[u8]) -> Option<(Rc<ZoneToken>, Rc<PublicKey>)> {
        let cache = self.0.borrow();
        let Verified { token, key } = cache.get(&Asked(text))?;
        Some((Rc::clone(token), Rc::clone(key)))
    }

    /// Remembers that `key` signed `text`, and that it says `token`.
    pub(super) fn insert(&self, text: &[u8], token: &Rc<ZoneToken>, key: &Rc<PublicKey>) {
        let verified = Verified { token: Rc::clone(token), key: Rc::clone(key) };
        self.0.borrow_mut().insert(text.into(), verified);
    }

    /// How many tokens are remembered.
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self::with_capacity(MAX_REMEMBERED)
    }
}

impl fmt::Debug for VerifiedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedTokens({})", self.len())
    }
}

/// A text that is looked for.
struct Asked<'a>(&'a [u8]);

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Equivalent<Box<[u8]>> for Asked<'_> {
    fn equivalent(&self, known: &Box<[u8]>) -> bool {
        same(self.0, known)
    }
}

/// Hashes the end of a text: that of a verified token is the end of a signature, as good as random and
/// nobody's choice. What is found is then compared as a whole.
#[derive(Clone, Default)]
struct OfTheEnd(DefaultHashBuilder);

/// How many bytes the end is.
const END: usize = 32;

impl BuildHasher for OfTheEnd {
    type Hasher = EndHasher<<DefaultHashBuilder as BuildHasher>::Hasher>;

    fn build_hasher(&self) -> Self::Hasher {
        EndHasher(self.0.build_hasher())
    }
}

struct EndHasher<H>(H);

impl<H: Hasher> Hasher for EndHasher<H> {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes.last_chunk::<END>().map_or(bytes, |end| end));
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

/// Counts an entry by the bytes that it takes.
#[derive(Clone)]
struct Bytes;

impl Weighter<Box<[u8]>, Verified> for Bytes {
    fn weight(&self, text: &Box<[u8]>, verified: &Verified) -> u64 {
        weight(text, &verified.token)
    }
}

/// What an entry takes: its texts, and about as much as the tables and headers around them do.
fn weight(text: &[u8], token: &ZoneToken) -> u64 {
    const OVERHEAD: usize = 256;
    let claims = &token.claims;
    let scope = claims.scope.iter().map(|one| one.len().saturating_add(size_of::<String>()));
    let texts = [text.len(), token.kid.len(), claims.zone.len(), claims.id.len(), OVERHEAD];
    let sum = scope.chain(texts).fold(0, usize::saturating_add);
    u64::try_from(sum).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;
    use crate::token::Claims;

    fn token(id: &str) -> Rc<ZoneToken> {
        let claims = Claims { id: id.to_owned(), ..Claims::default() };
        Rc::new(ZoneToken { kid: "1".to_owned(), claims })
    }

    fn key() -> Rc<PublicKey> {
        let pem = include_str!("../../tests/data/key-1.pub.pem");
        Rc::new(PublicKey::from_pem(pem).unwrap())
    }

    fn id(tokens: &VerifiedTokens, text: &[u8]) -> Option<String> {
        tokens.find(text).map(|(token, _)| token.claims.id.clone())
    }

    #[test]
    fn only_the_very_text_is_found() {
        let tokens = VerifiedTokens::default();
        tokens.insert(b"a.b.c", &token("one"), &key());
        tokens.insert(b"a.b.C", &token("two"), &key());
        assert_eq!(id(&tokens, b"a.b.c").as_deref(), Some("one"));
        assert_eq!(id(&tokens, b"a.b.C").as_deref(), Some("two"));
        assert_eq!(id(&tokens, b"a.b."), None);
    }

    /// A flood of tokens that are used once, by someone who has a key, leaves the others alone.
    #[test]
    fn what_is_used_again_outlives_a_flood_and_the_bound_holds() {
        let (key, tokens) = (key(), VerifiedTokens::with_capacity(200 * 1024));
        let steady: Vec<String> = (0..50).map(|index| format!("steady-{index}")).collect();
        for text in &steady {
            tokens.insert(text.as_bytes(), &token(text), &key);
        }
        for round in 0..100 {
            for text in &steady {
                let _ = tokens.find(text.as_bytes());
            }
            for index in 0..100 {
                let text = format!("flood-{round}-{index}-{}", "x".repeat(600));
                tokens.insert(text.as_bytes(), &token("flood"), &key);
            }
            assert!(tokens.0.borrow().weight() <= 200 * 1024);
        }
        let kept = steady.iter().filter(|text| id(&tokens, text.as_bytes()).is_some()).count();
        assert_eq!(kept, steady.len());
    }

    #[test]
    fn a_token_larger_than_everything_is_not_kept() {
        let tokens = VerifiedTokens::with_capacity(1024);
        tokens.insert(&[b'x'; 4096], &token("large"), &key());
        assert!(tokens.is_empty());
    }
}
