//! Resources that were read before, so that a proxy that reconnects has its own read once.
//!
//! In: the text of a resource. Out: what it says. Nothing but the text decides what it says, so an entry is
//! never wrong. Who may have the text kept is not checked here: the gate keeps those of verified tokens only.

use std::cell::RefCell;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use quick_cache::unsync::Cache;
use quick_cache::{DefaultHashBuilder, Equivalent, Weighter};

use super::NodeIdentity;
use crate::token::same;

/// The most that the resources of one worker take, in bytes: those of some 5,000 proxies.
pub const RESOURCE_CACHE_BYTES: u64 = 8 * 1024 * 1024;

/// The longest text that is kept; that of kuma-dp takes one or two KiB.
const LONGEST: usize = 16 * 1024;

/// How many resources the table has room for at first; it grows.
const ROOM: usize = 64;

/// What one worker remembers of resources.
pub struct ResourceCache(RefCell<Resources>);

type Resources = Cache<Box<str>, Arc<NodeIdentity>, Bytes, DefaultHashBuilder>;

impl ResourceCache {
    /// Room for `bytes`.
    pub fn with_capacity(bytes: u64) -> Self {
        let (hash, lifecycle) = (DefaultHashBuilder::default(), Default::default());
        Self(RefCell::new(Cache::with(ROOM, bytes, Bytes, hash, lifecycle)))
    }

    /// How many resources are remembered.
    pub fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// What `text` says, by `read` where it is not known; `None` where `read` has none.
    pub fn get_or_read(
        &self,
        text: &str,
        read: impl FnOnce(&str) -> Option<NodeIdentity>,
    ) -> Option<Arc<NodeIdentity>> {
        if let Some(known) = self.0.borrow().get(&Lookup(text)) {
            return Some(Arc::clone(known));
        }
        let resource = Arc::new(read(text)?);
        if text.len() <= LONGEST {
            self.0.borrow_mut().insert(text.into(), Arc::clone(&resource));
        }
        Some(resource)
    }
}

impl Default for ResourceCache {
    fn default() -> Self {
        Self::with_capacity(RESOURCE_CACHE_BYTES)
    }
}

impl fmt::Debug for ResourceCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResourceCache({})", self.count())
    }
}

/// A text that is looked for.
#[derive(Hash)]
struct Lookup<'a>(&'a str);

impl Equivalent<Box<str>> for Lookup<'_> {
    fn equivalent(&self, text: &Box<str>) -> bool {
        same(self.0.as_bytes(), text.as_bytes())
    }
}

/// Counts an entry by the bytes that it takes.
#[derive(Clone)]
struct Bytes;

impl Weighter<Box<str>, Arc<NodeIdentity>> for Bytes {
    /// The text, of which no more than all is in what it says, and about as much as the tables and the tags
    /// around it take.
    fn weight(&self, text: &Box<str>, _: &Arc<NodeIdentity>) -> u64 {
        const OVERHEAD: usize = 512;
        u64::try_from(text.len().saturating_mul(2).saturating_add(OVERHEAD)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::ProxyType;

    fn named(name: &str) -> Option<NodeIdentity> {
        let (mesh, name) = ("default".to_owned(), name.to_owned());
        Some(NodeIdentity { proxy_type: ProxyType::Dataplane, mesh, name, resource: None })
    }

    fn name(read: Option<Arc<NodeIdentity>>) -> Option<String> {
        read.map(|resource| resource.name.clone())
    }

    #[test]
    fn only_the_very_text_is_found() {
        let cache = ResourceCache::default();
        assert_eq!(name(cache.get_or_read("one", |_| named("1"))).as_deref(), Some("1"));
        assert_eq!(name(cache.get_or_read("one", |_| None)).as_deref(), Some("1"));
        assert_eq!(cache.get_or_read("One", |_| None), None);
        assert_eq!(cache.get_or_read("one ", |_| None), None);
        assert_eq!(cache.get_or_read("on", |_| None), None);
    }

    #[test]
    fn what_cannot_be_read_is_not_kept() {
        let cache = ResourceCache::default();
        assert_eq!(cache.get_or_read("one", |_| None), None);
        assert_eq!(name(cache.get_or_read("one", |_| named("1"))).as_deref(), Some("1"));
    }

    #[test]
    fn what_all_take_is_bounded_and_a_long_text_is_not_kept() {
        let cache = ResourceCache::with_capacity(64 * 1024);
        for index in 0..1_000 {
            let _ = cache.get_or_read(&format!("{index}{}", "x".repeat(1_000)), |_| named("1"));
            assert!(cache.0.borrow().weight() <= 64 * 1024);
        }
        // Not more texts than there is room for.
        assert!((11..=65).contains(&cache.count()), "{}", cache.count());
        for (length, is_kept) in [(16 * 1024, true), (16 * 1024 + 1, false)] {
            let cache = ResourceCache::default();
            let long = "x".repeat(length);
            assert!(cache.get_or_read(&long, |_| named("1")).is_some());
            assert_eq!(cache.get_or_read(&long, |_| None).is_some(), is_kept, "{length}");
        }
    }
}
