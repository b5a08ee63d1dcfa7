//! Which form of the filter the tests run with: `ZONEGATE_FORM` is `wasm`, or is not set, or `native`.
//!
//! What one form cannot do, or has no use for, is listed here and nowhere else, each with its reason.

use std::path::PathBuf;

use zonegate_testkit::gateway::Form;

use crate::harness::from_environment;

/// The form under test.
pub(crate) fn form() -> Form {
    match std::env::var("ZONEGATE_FORM").as_deref() {
        Ok("native") => Form::Native,
        Ok("wasm" | "") | Err(_) => Form::Wasm,
        Ok(other) => panic!("ZONEGATE_FORM is {other:?}, not wasm or native"),
    }
}

/// The filter under test.
pub(crate) fn module() -> PathBuf {
    from_environment(match form() {
        Form::Wasm => "ZONEGATE_WASM",
        Form::Native => "ZONEGATE_NATIVE",
    })
}

/// The same, with faults to order.
pub(crate) fn faulty_module() -> PathBuf {
    from_environment(match form() {
        Form::Wasm => "ZONEGATE_FAULTY_WASM",
        Form::Native => "ZONEGATE_FAULTY_NATIVE",
    })
}

/// What the dashboard and the alerts ask for and only one form has.
pub(crate) const OF_ONE_FORM: [(Form, &str); 2] = [
    // Envoy's own counter of VMs that failed.
    (Form::Wasm, "envoy_wasm_zonegate_vm_reload"),
    // Hooks that failed.
    (Form::Native, "zonegate_panics"),
];

/// What only the module in wasm has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WasmOnly {
    /// The configuration of the VM.
    VmConfiguration,
    /// Workers that read each configuration by themselves.
    WorkersRead,
    /// `allow_on_headers_stop_iteration`.
    StopIterationFlag,
    /// A module that is loaded anew from the same path.
    SameFile,
    /// Streams that are cut because a list is too long to be handed to the module before.
    LongLists,
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
                "the system loads a library once from a path: another path, or a restart, it must be"
            }
            Self::LongLists => {
                "another copy of the library is told of lists of every length, and cuts no others"
            }
        }
    }

    /// Whether a test is left out, and why.
    pub(crate) fn is_left_out(self) -> bool {
        let is_left_out = form() == Form::Native;
        if is_left_out {
            println!("left out: {}", self.reason());
        }
        is_left_out
    }
}
