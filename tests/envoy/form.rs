//! The form of the gate that the tests run with: `ZONEGATE_FORM` is `wasm` (the default), `native` or `service`.
//!
//! Features that a form lacks or does not need are listed only here, each with its reason.

use std::path::PathBuf;

use zonegate_testkit::gateway::Form;

use crate::harness::from_environment;

/// The form under test.
pub(crate) fn form() -> Form {
    match std::env::var("ZONEGATE_FORM").as_deref() {
        Ok("native") => Form::Native,
        Ok("service") => Form::Service,
        Ok("wasm" | "") | Err(_) => Form::Wasm,
        Ok(other) => panic!("ZONEGATE_FORM is {other:?}, not wasm, native or service"),
    }
}

/// The filter under test.
pub(crate) fn module() -> PathBuf {
    match form() {
        Form::Wasm => from_environment("ZONEGATE_WASM"),
        Form::Native => from_environment("ZONEGATE_NATIVE"),
        Form::Service => env!("CARGO_BIN_EXE_zonegate").into(),
    }
}

/// The same filter, with injected faults.
pub(crate) fn faulty_module() -> PathBuf {
    match form() {
        Form::Wasm => from_environment("ZONEGATE_FAULTY_WASM"),
        Form::Native => from_environment("ZONEGATE_FAULTY_NATIVE"),
        Form::Service => panic!("a service has no injected faults"),
    }
}

/// Metrics that the dashboard and the alerts use, but that not every form has.
pub(crate) const OF_SOME_FORMS: [(&[Form], &str); 5] = [
    // Envoy's own counter of VMs that failed.
    (&[Form::Wasm], "envoy_wasm_zonegate_vm_reload"),
    // Hooks that failed.
    (&[Form::Native], "zonegate_panics"),
    // A service reads its policy from a file.
    (
        &[Form::Wasm, Form::Native],
        "envoy_extension_config_discovery_http_filter_zonegate_update_failure",
    ),
    (
        &[Form::Wasm, Form::Native],
        "envoy_extension_config_discovery_http_filter_zonegate_update_rejected",
    ),
    (
        &[Form::Wasm, Form::Native],
        "envoy_extension_config_discovery_http_filter_zonegate_update_success",
    ),
];

/// Features of the wasm module only.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WasmOnly {
    /// The configuration of the VM.
    VmConfiguration,
    /// Workers that read each configuration by themselves.
    WorkersRead,
    /// `allow_on_headers_stop_iteration`.
    StopIterationFlag,
    /// A module that is reloaded from the same path.
    SameFile,
    /// Streams that are cut because a list is too long to be passed to the old module.
    LongLists,
    /// The two minutes of the README.
    TwoMinutes,
}

impl WasmOnly {
    fn reason(self) -> &'static str {
        match self {
            Self::VmConfiguration => "there is no VM, and so no configuration of one",
            Self::WorkersRead => {
                "a configuration is read once, on the main thread: no worker can refuse it"
            }
            Self::StopIterationFlag => "a dynamic module may always hold headers back",
            Self::SameFile => {
                "the system loads a library once per path; a new one needs another path or a restart"
            }
            Self::LongLists => {
                "the other copy of the library gets lists of any length, and cuts only revoked streams"
            }
            Self::TwoMinutes => "the commands of the README name the module in wasm",
        }
    }

    /// Whether the test is left out; prints the reason.
    pub(crate) fn is_left_out(self) -> bool {
        let is_left_out = form() != Form::Wasm;
        if is_left_out {
            println!("left out: {}", self.reason());
        }
        is_left_out
    }
}

/// Features of a filter in Envoy only.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FilterOnly {
    /// A module that Envoy loads, and that can fail or be replaced there.
    Module,
    /// Policies that Envoy delivers.
    Pushes,
    /// A start that fails with a bad policy.
    Start,
    /// Memory that Envoy keeps for a stream that is held.
    Kept,
    /// Counters that one Envoy passes on to the next.
    Restart,
    /// The demo, and a gateway to try by hand.
    Demo,
    /// Counters of the gate in Envoy.
    Stats,
}

impl FilterOnly {
    fn reason(self) -> &'static str {
        match self {
            Self::Module => "a service is no module in Envoy: it fails, and is replaced, by itself",
            Self::Pushes => "a service has its policy from a file, not from Envoy",
            Self::Start => "a service starts with a policy that it refuses, and refuses everything",
            Self::Kept => "Envoy keeps nothing of a stream that a service holds",
            Self::Restart => "a service outlives the Envoys that ask it",
            Self::Demo => "the demo shows a filter",
            Self::Stats => "a service counts by itself, and not in Envoy",
        }
    }

    /// Whether the test is left out; prints the reason.
    pub(crate) fn is_left_out(self) -> bool {
        let is_left_out = form() == Form::Service;
        if is_left_out {
            println!("left out: {}", self.reason());
        }
        is_left_out
    }
}
