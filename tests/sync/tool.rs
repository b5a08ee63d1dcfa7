//! The program under test, its file, and its output.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use zonegate::config::Config;
use zonegate_tool::plugin_config::plugin_file::PluginConfiguration;

use crate::api::Api;

pub(crate) const ZONEGATE: &str = env!("CARGO_BIN_EXE_zonegate");
/// Longer than anything here takes on a slow machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A folder with the file that sync writes.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) ecds: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let ecds = dir.path().join("zonegate.yaml");
        Self { dir, ecds }
    }

    /// Writes a file by a rename, because a running sync may read it at any time.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        replace(&path, text.as_bytes());
        path.to_str().unwrap().to_owned()
    }

    /// The filter's reading of the file.
    pub(crate) fn config(&self) -> Config {
        let bytes = fs::read(&self.ecds).unwrap();
        PluginConfiguration::find(&bytes).unwrap().config().unwrap()
    }

    pub(crate) fn kids(&self) -> Vec<String> {
        self.config().policy.issuers.zone_token.keys.iter().map(|(kid, _)| kid.to_owned()).collect()
    }

    /// The identity of the file, which every replacement and every touch changes.
    pub(crate) fn identity(&self) -> (u64, i64, i64, Vec<u8>) {
        let found = fs::metadata(&self.ecds).unwrap();
        (found.ino(), found.ctime(), found.ctime_nsec(), fs::read(&self.ecds).unwrap())
    }

    /// `zonegate sync` with what every test needs.
    pub(crate) fn command(&self, api: &Api, more: &[&str]) -> Command {
        self.command_at(&api.url(), more)
    }

    pub(crate) fn command_at(&self, url: &str, more: &[&str]) -> Command {
        let mut command = Command::new(ZONEGATE);
        command.args(["sync", "--address", url, "--output-file"]).arg(&self.ecds).args(more);
        command.env_remove("ZONEGATE_ADMIN_TOKEN");
        command
    }

    /// Polls once. Returns the exit code and the output.
    pub(crate) async fn once(&self, api: &Api, more: &[&str]) -> (i32, String) {
        let seen = once(self.command(api, &[&["--once"], more].concat())).await;
        assert_no_secret(api, &seen.1, self.dir.path());
        seen
    }

    /// Runs until it is told to stop, with an interval of 100 ms.
    pub(crate) fn run(&self, api: &Api, more: &[&str]) -> Running {
        self.run_command(self.command(api, &[&["--listen", "127.0.0.1:0"], more].concat()))
    }

    pub(crate) fn run_command(&self, mut command: Command) -> Running {
        if !command.as_std().get_args().any(|argument| argument == "--interval") {
            command.args(["--interval", "100ms"]);
        }
        Running::spawn(command)
    }
}

/// Replaces a file by a rename.
pub(crate) fn replace(path: &Path, bytes: &[u8]) {
    let new = path.with_extension("new");
    fs::write(&new, bytes).unwrap();
    fs::rename(&new, path).unwrap();
}

pub(crate) async fn once(mut command: Command) -> (i32, String) {
    let output = timeout(LIMIT, command.kill_on_drop(true).output()).await.unwrap().unwrap();
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// A running sync. It is killed when it is dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    said: Arc<Mutex<String>>,
    reading: JoinHandle<()>,
}

impl Running {
    fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&said);
        let reading = tokio::spawn(async move {
            while let Some(line) = lines.next_line().await.unwrap() {
                shared.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Self { child, said, reading }
    }

    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until the output contains `text`.
    pub(crate) async fn says(&self, text: &str) -> String {
        let waiting = async {
            while !self.said().contains(text) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = timeout(LIMIT, waiting).await;
        assert!(waited.is_ok(), "no {text:?} in:\n{}", self.said());
        self.said()
    }

    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let kill = Command::new("kill").arg(format!("-{name}")).arg(pid).status().await.unwrap();
        assert!(kill.success());
    }

    /// Ends it as systemd does, and checks all its output for secrets.
    pub(crate) async fn stop(self, api: &Api, place: &Place) -> String {
        self.signal("TERM").await;
        let (status, said) = self.ended().await;
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(said.ends_with("zonegate sync: stopped by SIGTERM\n"), "{said}");
        assert_no_secret(api, &said, place.dir.path());
        said
    }

    pub(crate) async fn ended(mut self) -> (ExitStatus, String) {
        let status = timeout(LIMIT, self.child.wait()).await.expect("it goes on").unwrap();
        timeout(LIMIT, &mut self.reading).await.unwrap().unwrap();
        (status, self.said())
    }

    /// GETs a path of its listener: status and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        get(&self.address().await, path).await
    }

    /// The address of its listener.
    pub(crate) async fn address(&self) -> String {
        let said = self.says(" listen=").await;
        said.split(" listen=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
    }
}

pub(crate) async fn get(address: &str, path: &str) -> (u16, String) {
    let (head, body) = get_as(address, path, address).await;
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
}

/// The head and the body of the answer, for this host. Written by hand, so that our own client is not part of the test.
pub(crate) async fn get_as(address: &str, path: &str, host: &str) -> (String, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    timeout(LIMIT, stream.read_to_string(&mut text)).await.unwrap().unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// Checks the output, and all files that it wrote.
pub(crate) fn assert_no_secret(api: &Api, said: &str, dir: &Path) {
    let secrets = api.secret_texts();
    let clean = |text: &str, place: &str| {
        for secret in &secrets {
            assert!(!text.contains(secret), "a secret is in {place}:\n{text}");
        }
    };
    clean(said, "the log");
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let is_ours = path.file_name().unwrap().to_str().unwrap().contains("zonegate");
        if is_ours && path.is_file() {
            clean(&String::from_utf8_lossy(&fs::read(&path).unwrap()), path.to_str().unwrap());
        }
    }
}
