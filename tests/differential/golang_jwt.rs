//! golang-jwt itself, under a validator like Kuma's: the program in `tests/kuma`.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::json;

use crate::engine::cases::{Case, public_keys};
use crate::engine::{Answer, Oracle};

/// The program, running. Dropped, it ends.
pub(crate) struct GolangJwt {
    process: Child,
    input: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

#[derive(Deserialize)]
struct Line {
    accept: bool,
    error: String,
}

/// Builds the program, in `target`; `None` where there is no Go to build it with.
pub(crate) fn build() -> anyhow::Result<Option<PathBuf>> {
    let source = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join("tests/kuma");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kuma");
    let mut go = Command::new("go");
    let built =
        go.args(["build", "-mod=readonly", "-o"]).arg(&program).arg(".").current_dir(source);
    let output = match built.output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context("running go"),
    };
    match output.status.success() {
        true => Ok(Some(program)),
        false => bail!("go build: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

impl GolangJwt {
    pub(crate) fn start(program: &Path) -> anyhow::Result<Self> {
        let mut process =
            Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (process.stdin.take(), process.stdout.take());
        let (mut input, output) = (input.context("no input")?, output.context("no output")?);
        let keys: serde_json::Map<_, _> =
            public_keys().into_iter().map(|(name, pem)| (name.to_owned(), json!(pem))).collect();
        writeln!(input, "{}", json!({ "keys": keys }))?;
        Ok(Self { process, input, answers: BufReader::new(output).lines() })
    }

    fn answer(&mut self) -> anyhow::Result<Answer> {
        let line = self.answers.next().context("the program has ended; see above")??;
        let Line { accept, error } = serde_json::from_str(&line)?;
        Ok(if accept { Answer::Accept } else { Answer::Refuse(error) })
    }
}

impl Oracle for GolangJwt {
    fn judge(&mut self, cases: &[Case]) -> anyhow::Result<Vec<Answer>> {
        // As many at a time as its answers fit a pipe, so that neither side waits for the other.
        const AT_A_TIME: usize = 25;
        let mut answers = Vec::with_capacity(cases.len());
        for part in cases.chunks(AT_A_TIME) {
            let lines: String = part.iter().map(|case| line(case) + "\n").collect();
            self.input.write_all(lines.as_bytes())?;
            for _ in part {
                answers.push(self.answer()?);
            }
        }
        Ok(answers)
    }
}

fn line(case: &Case) -> String {
    json!({
        "authorization": case.authorization,
        "keys": case.ring.keys,
        "revocations": case.revocations,
        "now": [case.now.as_secs(), case.now.subsec_nanos()],
        "scope": case.proxy,
        "zone": case.zone,
    })
    .to_string()
}

impl Drop for GolangJwt {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
