//! The filter, its log and the tool report the same version. `tests/module.rs` and `tests/library.rs` check the version
//! in the filter's file.

use std::process::Command;

use crate::form::FilterOnly;
use crate::harness::{Bench, LIMIT};

#[tokio::test]
async fn the_log_line_of_a_configuration_has_the_version_of_the_tool() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_zonegate")).arg("--version").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let version = said.split_whitespace().nth(1).unwrap();
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    let setup = Bench::new().start().await;
    let line = format!("zonegate: configured version={version} profile=dpServer ");
    setup.gateway.wait_log(&line, LIMIT).await.unwrap();
}
