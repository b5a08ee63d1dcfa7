//! `zonegate demo run` as a child process, and its output; for several tests.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

/// Longer than anything here takes on a slow machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A running `demo run`, and its output line by line.
pub(crate) struct Demo {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) text: String,
}

impl Demo {
    /// Starts it with these programs in front of a control plane, named by its address and the file of its CA.
    pub(crate) fn start(
        [envoy, module]: [&Path; 2],
        port: u16,
        (address, ca): (SocketAddr, &Path),
        config: &Path,
    ) -> Self {
        let address = format!("localhost:{}", address.port());
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_zonegate"));
        command.args(["demo", "run", "--port", &port.to_string(), "--control-plane", &address]);
        for (flag, path) in [
            ("--control-plane-ca", ca),
            ("--config", config),
            ("--envoy", envoy),
            ("--module", module),
        ] {
            command.arg(flag).arg(path);
        }
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, text: String::new() }
    }

    /// Reads until a line contains `wanted`, and returns that line.
    pub(crate) async fn says(&mut self, wanted: &str) -> String {
        let read = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.text += &(line.clone() + "\n");
                if line.contains(wanted) {
                    return line;
                }
            }
            panic!("it has ended without {wanted:?}: {}", self.text)
        };
        match timeout(LIMIT, read).await {
            Ok(line) => line,
            Err(_) => panic!("no {wanted:?} in {}", self.text),
        }
    }

    /// The word after this mark in the output.
    pub(crate) fn after(&self, mark: &str) -> &str {
        let rest = self.text.split(mark).nth(1).unwrap();
        rest.split([' ', ')', '\n']).next().unwrap()
    }

    /// Ends it as Ctrl-C does.
    pub(crate) async fn stop(mut self) {
        let pid = self.child.id().unwrap().to_string();
        assert!(
            std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success()
        );
        assert!(self.child.wait().await.unwrap().success(), "{}", self.text);
    }
}
