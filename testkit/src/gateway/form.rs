//! The forms of the gate: a module in wasm, a dynamic module, or a service that Envoy asks.
//!
//! In: the file that Envoy is to load, or the program that serves. Out: how Envoy's configuration names it, and where
//! Envoy shows its metrics.

use std::path::Path;

use super::ServiceProtocol;

const WASM: &str = include_str!("../../../envoy/ecds/zonegate.yaml");
const NATIVE: &str = include_str!("../../../envoy/ecds/zonegate-native.yaml");
const EXT_PROC: &str = include_str!("../../../envoy/service/ext_proc.yaml");
const EXT_AUTHZ: &str = include_str!("../../../envoy/service/ext_authz.yaml");

/// A form of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A module that Envoy runs in VMs.
    Wasm,
    /// A shared library that Envoy loads.
    Native,
    /// A program beside Envoy, which Envoy asks by external processing. It reads the same ECDS file as an Envoy with
    /// the module in wasm.
    Service,
}

impl Form {
    /// The form of the gate in this file, by the extension of its name.
    pub fn of(module: &Path) -> Self {
        match module.extension().map(std::ffi::OsStr::as_encoded_bytes) {
            Some(b"so") => Self::Native,
            None => Self::Service,
            Some(_) => Self::Wasm,
        }
    }

    /// The path of the filter in the shipped configuration.
    pub fn installed(self) -> &'static str {
        match self {
            Self::Wasm | Self::Service => "/etc/zonegate/zonegate.wasm",
            Self::Native => "/etc/zonegate/libzonegate.so",
        }
    }

    /// The ECDS file that users copy.
    pub fn ecds(self) -> &'static str {
        match self {
            Self::Wasm | Self::Service => WASM,
            Self::Native => NATIVE,
        }
    }

    /// The place of the file's path in the configuration of the filter.
    pub fn code(self) -> &'static str {
        match self {
            Self::Wasm | Self::Service => "/config/vm_config/code/local/filename",
            Self::Native => "/dynamic_module_config/module/local/filename",
        }
    }

    /// The place of the policy in the configuration of the filter.
    pub fn policy(self) -> &'static str {
        match self {
            Self::Wasm | Self::Service => "/config/configuration",
            Self::Native => "/filter_config",
        }
    }

    /// The prefix that Envoy puts before the names of the filter's counters and gauges.
    pub fn stats_prefix(self) -> &'static str {
        match self {
            Self::Wasm | Self::Service => "wasmcustom",
            Self::Native => "dynamicmodulescustom",
        }
    }
}

impl ServiceProtocol {
    /// The parts that replace the filter in `gateway.yaml`.
    pub fn parts(self) -> &'static str {
        match self {
            Self::ExtProc => EXT_PROC,
            Self::ExtAuthz => EXT_AUTHZ,
        }
    }
}
