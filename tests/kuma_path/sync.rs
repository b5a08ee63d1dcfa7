//! `zonegate sync` between a real control plane and the gateway in front of it: a secret that kumactl applies takes
//! effect here.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use zonegate_testkit::kuma::Kind;

use crate::harness::{Bench, LIMIT, Setup, ZONE, from_environment, within};
use crate::kumactl::Way;

/// How often the control plane is asked.
const INTERVAL: Duration = Duration::from_secs(2);
/// The time for a poll, a push and a cut on a slow machine.
const SLOW: Duration = Duration::from_secs(5);
const ZONE_TOKEN: [&str; 6] = ["generate", "zone-token", "--zone", ZONE, "--valid-for", "1h"];

/// A running `zonegate sync`. It is killed when it is dropped.
pub(crate) struct Sync {
    child: Child,
    log: PathBuf,
}

impl Sync {
    /// A sync for the gateway of `setup`, with TLS and the admin's token.
    async fn start(setup: &Setup) -> Self {
        Self::with_base(setup, &json!({ "zone": ZONE })).await
    }

    /// The same, with this base of the policy.
    pub(crate) async fn with_base(setup: &Setup, base: &Value) -> Self {
        let dir = setup.scratch();
        let token = dir.join("admin-token");
        std::fs::write(&token, setup.control_plane.admin_token().await.unwrap()).unwrap();
        std::fs::write(dir.join("gate.yaml"), base.to_string()).unwrap();
        let (interval, log) = (format!("{}s", INTERVAL.as_secs()), dir.join("sync.log"));
        let mut command = command(&setup.gateway.folder().join("ecds/zonegate.yaml"));
        command
            .arg("--address")
            .arg(format!("https://localhost:{}", setup.control_plane.api_tls_address().port()))
            .arg("--ca-cert-file")
            .arg(setup.control_plane_ca())
            .arg("--token-file")
            .arg(token)
            .arg("--base")
            .arg(dir.join("gate.yaml"))
            .args(["--interval", &interval, "--listen", "127.0.0.1:0"])
            .stderr(std::fs::File::create(&log).unwrap());
        Self { child: command.spawn().unwrap(), log }
    }

    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) async fn says(&self, text: &str) {
        let start = Instant::now();
        while !self.said().contains(text) {
            assert!(start.elapsed() < LIMIT, "no {text:?} in:\n{}", self.said());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends it as systemd does. Checks that it logged no secret.
    pub(crate) async fn stop(mut self, setup: &Setup) {
        let pid = self.child.id().unwrap().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
        let status = within(self.child.wait()).await.unwrap();
        let said = self.said();
        assert!(status.success() && said.ends_with("stopped by SIGTERM\n"), "{said}");
        let token = setup.control_plane.admin_token().await.unwrap();
        assert!(!said.contains(&token) && !said.contains("PRIVATE"), "{said}");
    }
}

fn command(ecds: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zonegate"));
    command.arg("sync").arg("--module").arg(from_environment("ZONEGATE_WASM"));
    command.arg("--output-file").arg(ecds).env_remove("ZONEGATE_ADMIN_TOKEN");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// After `kumactl apply`, the token is refused at the gate within the interval, and the open stream is cut.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn what_kumactl_revokes_is_refused_and_cut_by_the_gate() {
    let setup = Bench::new().start().await;
    let sync = Sync::start(&setup).await;
    sync.says("replaced file=").await;
    let (token, other) = (setup.kumactl(&ZONE_TOKEN).await, setup.kumactl(&ZONE_TOKEN).await);
    // Wait for Envoy to read the file: kuma-dp ends if it is refused.
    setup.wait_verdict(&token, "").await;
    let revoked = setup.proxy(Kind::Ingress, "revoked", Some(token.trim()));
    let kept = setup.proxy(Kind::Egress, "kept", Some(other.trim()));
    setup.wait_online(&revoked, Kind::Ingress, "revoked", true).await;
    setup.wait_online(&kept, Kind::Egress, "kept", true).await;

    let secret = "type: GlobalSecret\nname: zone-token-revocations\ndata: {{ revocations }}\n";
    std::fs::write(setup.scratch().join("revocations.yaml"), secret).unwrap();
    let ids = format!("revocations={}", base64(&id_of(&token)));
    setup.kumactl(&["apply", "-f", "revocations.yaml", "--var", &ids]).await;
    let applied = Instant::now();
    loop {
        match setup.connects(Way::Gateway, token.trim()).await {
            Err(why) if why.starts_with("zonegate: revoked: ") => break,
            // A stream that was open at the push, and was cut.
            _ => assert!(applied.elapsed() < LIMIT, "{}", sync.said()),
        }
        sleep(Duration::from_millis(20)).await;
    }
    println!("refused at the gate {:?} after kumactl apply", applied.elapsed());
    assert!(applied.elapsed() < INTERVAL + SLOW, "{:?}", applied.elapsed());
    setup.wait_online(&revoked, Kind::Ingress, "revoked", false).await;
    println!("the proxy is gone {:?} after kumactl apply", applied.elapsed());
    assert!(setup.stat("streams.cut.revoked").await >= 1);
    setup.wait_online(&kept, Kind::Egress, "kept", true).await;
    assert!(!kept.process.log().unwrap().contains("zonegate: "));
    sync.says("zonegate sync: ids revoked=1 unrevoked=0 total=1\n").await;
    sync.stop(&setup).await;
}

/// Kuma's documentation, "signing key rotation". The gateway needs no change.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_key_that_is_rotated_in_the_secrets_is_rotated_at_the_gate() {
    let setup = Bench::new().start().await;
    let sync = Sync::start(&setup).await;
    sync.says("replaced file=").await;
    let old = setup.kumactl(&ZONE_TOKEN).await;
    setup.wait_verdict(&old, "").await;

    let data = setup.kumactl(&["generate", "signing-key"]).await;
    setup.store_signing_key(2, &data).await;
    sync.says("key added kid=\"2\" fingerprint=SHA256:").await;
    let new = setup.kumactl(&ZONE_TOKEN).await;
    setup.wait_verdict(&new, "").await;
    setup.wait_verdict(&old, "").await;
    assert!(setup.stat("kid.2.allowed").await >= 1);

    setup.kumactl(&["delete", "global-secret", "zone-token-signing-key-1"]).await;
    sync.says("key removed kid=\"1\" fingerprint=SHA256:").await;
    setup.wait_verdict(&old, "zonegate: unknown_kid: ").await;
    setup.wait_verdict(&new, "").await;
    sync.stop(&setup).await;
}

/// A control plane wants the token of an admin if the request comes from another machine.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_control_plane_wants_the_token_of_an_admin() {
    let setup = Bench::new().start().await;
    let address = from_elsewhere(setup.control_plane.api().address().to_string()).await;
    let dir = setup.scratch();
    let user = ["generate", "user-token", "--name", "joe", "--group", "users", "--valid-for", "1h"];
    let user = setup.kumactl(&user).await;
    let admin = setup.control_plane.admin_token().await.unwrap();
    for (token, code, wanted) in [
        (None, 1, "error: only an admin may read GlobalSecrets (403): give an admin token"),
        (Some("x.y.z"), 1, "error: the control plane does not accept the token in "),
        (Some(&*user), 1, "error: the token in "),
        (Some(&*admin), 0, "zonegate sync: key added kid=\"1\""),
    ] {
        let mut command = command(&dir.join("ecds.yaml"));
        command.args(["--once", "--address", &address, "--zone", ZONE]);
        if let Some(token) = token {
            std::fs::write(dir.join("token"), token).unwrap();
            command.arg("--token-file").arg(dir.join("token"));
        }
        let output = within(command.output()).await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(code) && said.starts_with(wanted),
            "{token:?}: {said}"
        );
    }
}

/// A loopback address whose requests reach kuma-cp as if from another machine: kuma-cp does not treat a request through
/// a proxy as one of the local admin.
async fn from_elsewhere(control_plane: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = TcpStream::connect(&control_plane).await.unwrap();
            tokio::spawn(async move {
                let mut request = vec![0; 65_536];
                let length = near.read(&mut request).await.unwrap_or_default();
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let forwarded = "\r\nx-forwarded-for: 192.0.2.1\r\n";
                far.write_all(request.replacen("\r\n", forwarded, 1).as_bytes()).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    address
}

impl Setup {
    /// Waits until the gateway gives this error to the token; an empty text means that the gateway lets it in.
    async fn wait_verdict(&self, token: &str, wanted: &str) {
        let start = Instant::now();
        loop {
            let seen = self.connects(Way::Gateway, token.trim()).await;
            match &seen {
                Ok(()) if wanted.is_empty() => return,
                Err(why) if !wanted.is_empty() && why.starts_with(wanted) => return,
                _ => assert!(start.elapsed() < LIMIT, "{seen:?}, not {wanted:?}"),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The `jti` of a token, read without our code.
fn id_of(token: &str) -> String {
    use base64::Engine;
    let claims = token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    claims["jti"].as_str().unwrap().to_owned()
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// The walk-through, run as it is written, prints the output in its README, except ports and fingerprints.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn the_example_goes_as_its_readme_says() {
    let root =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join("examples/sync-universal");
    let mut bench = Bench::new();
    bench.options.zone = "default".to_owned();
    let setup = bench.set("zone", "default".into()).start().await;
    let dir = setup.scratch().join("example");
    std::fs::create_dir(&dir).unwrap();
    let mut script = Command::new(root.join("run"));
    script
        .arg(&dir)
        .env("ZONEGATE", env!("CARGO_BIN_EXE_zonegate"))
        .env("KUMACTL", setup.home.program("kumactl"))
        .env(
            "CONTROL_PLANE",
            format!("http://localhost:{}", setup.control_plane.api().address().port()),
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let script = script.spawn().unwrap();
    let pid = script.id().unwrap().to_string();
    let Ok(output) = timeout(LIMIT, script.wait_with_output()).await else {
        // The script ends the programs that it started.
        Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
        panic!("the script goes on");
    };
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = steady(&String::from_utf8(output.stdout).unwrap());
    let readme = steady(&std::fs::read_to_string(root.join("README.md")).unwrap());
    assert!(readme.contains(&said), "the output has changed:\n{said}");
}

/// The text without the parts that differ from run to run.
fn steady(text: &str) -> String {
    let word = |word: &str| match word {
        _ if word.starts_with("fingerprint=SHA256:") && word.len() == 62 => {
            "fingerprint=".to_owned()
        }
        _ if word.starts_with("address=http://localhost:") => "address=".to_owned(),
        _ if word.starts_with("listen=127.0.0.1:") => "listen=".to_owned(),
        _ => word.to_owned(),
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ") + "\n";
    text.lines().map(line).collect()
}
