//! The forms of the filter: a module in wasm, or a dynamic module.
//!
//! In: the file that Envoy is to load. Out: how Envoy's configuration names it, and where Envoy shows what
//! it counts.

use std::path::Path;

const WASM: &str = include_str!("../../../envoy/ecds/zonegate.yaml");
const NATIVE: &str = include_str!("../../../envoy/ecds/zonegate-native.yaml");

/// A form of the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A module that Envoy runs in VMs.
    Wasm,
    /// A shared library that Envoy loads.
    Native,
}

impl Form {
    /// The form of the filter in this file, by its name.
    pub fn of(module: &Path) -> Self {
        match module.extension().is_some_and(|extension| extension == "so") {
            true => Self::Native,
            false => Self::Wasm,
        }
    }

    /// Where the shipped configuration has the filter.
    pub fn installed(self) -> &'static str {
        match self {
            Self::Wasm => "/etc/zonegate/zonegate.wasm",
            Self::Native => "/etc/zonegate/libzonegate.so",
        }
    }

    /// The ECDS file that users copy.
    pub fn ecds(self) -> &'static str {
        match self {
            Self::Wasm => WASM,
            Self::Native => NATIVE,
        }
    }

    /// Where in the configuration of the filter the file stands.
    pub fn code(self) -> &'static str {
        match self {
            Self::Wasm => "/config/vm_config/code/local/filename",
            Self::Native => "/dynamic_module_config/module/local/filename",
        }
    }

    /// Where in the configuration of the filter the policy stands.
    pub fn policy(self) -> &'static str {
        match self {
            Self::Wasm => "/config/configuration",
            Self::Native => "/filter_config",
        }
    }

    /// What Envoy puts before the names of the filter's counters and gauges.
    pub fn stats_prefix(self) -> &'static str {
        match self {
            Self::Wasm => "wasmcustom",
            Self::Native => "dynamicmodulescustom",
        }
    }
}
