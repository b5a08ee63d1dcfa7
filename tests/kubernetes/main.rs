//! Service-account tokens as a real Kubernetes API server issues and judges them, their record in `tests/data`, which
//! the tests without an API server use, and the gate's verdicts on them.
//!
//! `make test-kubernetes` names the programs (`KUBE_APISERVER`, `ETCD`, and `KUMA_HOME` if it is set). Without them
//! every test here is shown as ignored. With `ZONEGATE_RECORD=1` the record is written anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may panic
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::string_slice)]

mod cases;
mod claims;
mod encodings;
mod gate;
mod headers;
mod issued;
mod kuma;
mod manifests;
mod mint;
mod record;
mod rendered;
mod signatures;
mod texts;
mod times;
mod world;
