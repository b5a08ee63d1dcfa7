//! `--profile`, as in the plugin configuration.

use clap::ValueEnum;

/// The server behind the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ProfileArg {
    /// A zone's control plane, its dataplane server (:5678)
    #[value(name = "dpServer")]
    DpServer,
    /// A global control plane, its KDS server (:5685)
    #[value(name = "globalKds")]
    GlobalKds,
}

impl ProfileArg {
    /// Its spelling in the plugin configuration.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::DpServer => "dpServer",
            Self::GlobalKds => "globalKds",
        }
    }
}
