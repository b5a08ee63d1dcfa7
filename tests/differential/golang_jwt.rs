//! The real golang-jwt, under a validator like Kuma's: the program in `tests/kuma`.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::engine::cases::{Case, public_keys};
use crate::engine::{Answer, Jwt, Oracle};

/// The running program. It ends when it is dropped.
struct Program {
    process: Child,
    input: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// The program as a control plane that judges tokens.
pub(crate) struct GolangJwt {
    program: Program,
    jwt: Jwt,
}

/// The program as a control plane that reads keys.
pub(crate) struct GoKeys(Program);

/// The program as a control plane at which proxies of every kind open streams.
pub(crate) struct GoStreams(Program);

#[derive(Deserialize)]
struct Line {
    accept: bool,
    error: String,
}

/// The answer for a key.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct KeyAnswer {
    /// Whether a control plane starts with the key and can verify with it.
    pub(crate) accept: bool,
    /// Whether the signature of the token beside it is good.
    pub(crate) verified: bool,
    /// The size of the modulus.
    pub(crate) bits: u32,
    /// Why the key is not accepted.
    pub(crate) error: String,
}

/// Builds the program, in `target`; `None` if there is no Go, or one that is older than Kuma's.
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
    let problem = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(Some(program)),
        // This Go is older than the one that Kuma is built with.
        false if problem.contains("requires go") => Ok(None),
        false => bail!("go build: {problem}"),
    }
}

impl Program {
    fn start(program: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = (process.stdin.take(), process.stdout.take());
        let (input, output) = (input.context("no input")?, output.context("no output")?);
        Ok(Self { process, input, answers: BufReader::new(output).lines() })
    }

    /// Sends a line for each case, and reads as many answers.
    fn ask<T: DeserializeOwned>(
        &mut self,
        lines: impl ExactSizeIterator<Item = Value>,
    ) -> anyhow::Result<Vec<T>> {
        let count = lines.len();
        let lines: String = lines.map(|line| format!("{line}\n")).collect();
        self.input.write_all(lines.as_bytes())?;
        (0..count)
            .map(|_| {
                let line = self.answers.next().context("the program has ended; see above")??;
                Ok(serde_json::from_str(&line)?)
            })
            .collect()
    }
}

/// The number of cases whose answers fit in a pipe, so that neither side waits for the other.
const AT_A_TIME: usize = 25;

impl GolangJwt {
    pub(crate) fn start(program: &Path, jwt: Jwt) -> anyhow::Result<Self> {
        let arguments: &[&str] = match jwt {
            Jwt::V4 => &["v4"],
            Jwt::V5 => &[],
        };
        let mut program = Program::start(program, arguments)?;
        let keys: serde_json::Map<_, _> =
            public_keys().into_iter().map(|(name, pem)| (name.to_owned(), json!(pem))).collect();
        writeln!(program.input, "{}", json!({ "keys": keys }))?;
        Ok(Self { program, jwt })
    }
}

impl GoStreams {
    /// `keys` are PEM by name.
    pub(crate) fn start(program: &Path, keys: &Value) -> anyhow::Result<Self> {
        let mut program = Program::start(program, &["streams"])?;
        writeln!(program.input, "{}", json!({ "keys": keys }))?;
        Ok(Self(program))
    }

    /// One answer for each stream, in order; `tests/kuma/dataplane.go` describes both.
    pub(crate) fn judge<T: DeserializeOwned>(
        &mut self,
        streams: &[Value],
    ) -> anyhow::Result<Vec<T>> {
        let mut answers = Vec::with_capacity(streams.len());
        for part in streams.chunks(AT_A_TIME) {
            answers.extend(self.0.ask(part.iter().cloned())?);
        }
        Ok(answers)
    }
}

impl Oracle for GolangJwt {
    fn jwt(&self) -> Jwt {
        self.jwt
    }

    fn judge(&mut self, cases: &[Case]) -> anyhow::Result<Vec<Answer>> {
        let mut answers = Vec::with_capacity(cases.len());
        for part in cases.chunks(AT_A_TIME) {
            let lines: Vec<Line> = self.program.ask(part.iter().map(line))?;
            answers.extend(lines.into_iter().map(|Line { accept, error }| match accept {
                true => Answer::Accept,
                false => Answer::Refuse(error),
            }));
        }
        Ok(answers)
    }
}

impl GoKeys {
    pub(crate) fn start(program: &Path) -> anyhow::Result<Self> {
        Program::start(program, &["keys"]).map(Self)
    }

    /// One answer for each pair of key and token, in order.
    pub(crate) fn judge(&mut self, cases: &[(Vec<u8>, &str)]) -> anyhow::Result<Vec<KeyAnswer>> {
        let mut answers = Vec::with_capacity(cases.len());
        for part in cases.chunks(AT_A_TIME) {
            let line = |(key, token): &(Vec<u8>, &str)| json!({ "key": STANDARD.encode(key), "token": token });
            answers.extend(self.0.ask::<KeyAnswer>(part.iter().map(line))?);
        }
        Ok(answers)
    }
}

fn line(case: &Case) -> Value {
    json!({
        "authorization": case.authorization,
        "keys": case.ring.keys,
        "revocations": case.revocations,
        "now": [case.now.as_secs(), case.now.subsec_nanos()],
        "scope": case.proxy,
        "zone": case.zone,
    })
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
