//! What operators have: files of Envoy, Kuma and Kubernetes. Native only.
//!
//! In: the bytes of a file. Out: what the gate or a verb needs of it, or an error that names the
//! place. No file is opened here.

mod filters;
pub mod plugin_file;
pub mod text;
