//! Data that the VMs of one host share: bytes under a name, with a version that changes with each write.
//!
//! In: nothing. Out: a trait that a shell implements. [`shared_gauge`](crate::shared_gauge) and
//! [`push_log`](crate::push_log) interpret the bytes.

/// Bytes that a host keeps for all VMs.
pub trait SharedData {
    /// The bytes under `key` and their version; `None` if nothing was written yet.
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)>;

    /// Writes `bytes` if their version is still `version`; returns whether it did. Without a version, or if nothing was
    /// written yet, it always writes (proxy-wasm-cpp-host: `src/shared_data.cc`).
    fn set(&self, key: &str, bytes: &[u8], version: Option<u32>) -> bool;
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    use super::*;

    /// Shared data as Envoy has it, and what another VM does between our read and our write.
    #[derive(Default)]
    pub(crate) struct Host {
        pub(crate) data: RefCell<BTreeMap<String, (Vec<u8>, u32)>>,
        pub(crate) meanwhile: Cell<Option<fn(&Host)>>,
    }

    impl SharedData for Host {
        fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
            let seen = self.data.borrow().get(key).cloned();
            if let Some(act) = self.meanwhile.take() {
                act(self);
            }
            seen
        }

        fn set(&self, key: &str, bytes: &[u8], version: Option<u32>) -> bool {
            let mut data = self.data.borrow_mut();
            let known = data.get(key).map(|(_, version)| *version);
            if version.is_some() && known.is_some() && known != version {
                return false;
            }
            let next = known.map_or(1, |known| known.wrapping_add(1));
            data.insert(key.to_owned(), (bytes.to_vec(), next));
            true
        }
    }
}
