//! What the tests of rendered objects in other gateways share: a control plane behind the gateway, tokens and the
//! policy with their key, and a push that revokes one of two open tokens.
#![allow(dead_code)] // each test uses a part

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;
use zonegate_issuer::SigningKey;
use zonegate_testkit::certificates::Certificates;
use zonegate_testkit::control_plane::{self, ControlPlane};
use zonegate_testkit::zone_proxy::{Claimed, Connection, Stream, discovery_request};

/// Longer than anything here takes on a slow machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// The program or filter that this environment variable names.
pub(crate) fn variable(name: &str) -> PathBuf {
    let path = std::env::var_os(name).filter(|path| !path.is_empty());
    let path = path.unwrap_or_else(|| panic!("{name} is not set: this test's make target sets it"));
    PathBuf::from(path).canonicalize().unwrap()
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A control plane, and the key that signs the tokens of its zone.
pub(crate) struct Zone {
    pub(crate) control_plane: ControlPlane,
    pub(crate) certificates: Certificates,
    key: SigningKey,
    folder: TempDir,
}

impl Zone {
    pub(crate) async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let certificates = Certificates::generate(folder.path()).unwrap();
        let key = SigningKey::generate(2048).unwrap();
        fs::write(folder.path().join("key.pem"), key.public_key_pem()).unwrap();
        let behind = control_plane::Options::new(&certificates);
        let control_plane = ControlPlane::start(behind).await.unwrap();
        Self { control_plane, certificates, key, folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A token of a zone ingress, with this id.
    pub(crate) fn token(&self, id: &str) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let claims =
            json!({ "Zone": "zone-1", "Scope": ["ingress"], "exp": now + 3600, "jti": id });
        self.key.sign_raw(r#"{"alg":"RS256","kid":"1"}"#, claims.to_string())
    }

    /// The output of `config render` in this format, with the key of the tokens in the policy.
    pub(crate) fn render(&self, format: &str, flags: &[&str]) -> String {
        let mut zonegate = Command::new(env!("CARGO_BIN_EXE_zonegate"));
        zonegate.args(["config", "render", "--zone", "zone-1", "--format", format]);
        zonegate.arg("--public-key").arg(format!("1={}", path(&self.folder().join("key.pem"))));
        zonegate.args(["--namespace", "default"]).args(flags);
        let output = zonegate.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Replaces the file of all objects with these.
    pub(crate) fn write_objects(&self, folder: &str, objects: impl Iterator<Item = Value>) {
        let texts: String = objects.map(|one| format!("---\n{one}\n")).collect();
        let folder = self.folder().join(folder);
        fs::create_dir_all(&folder).unwrap();
        replace(&folder.join("all.yaml"), &texts);
    }
}

/// Replaces a file at once, as the kubelet does.
pub(crate) fn replace(file: &Path, text: &str) {
    // Programs that watch the folder ignore hidden files.
    let new = file.with_file_name(".new");
    fs::write(&new, text).unwrap();
    fs::rename(new, file).unwrap();
}

/// The policy in a file that Envoy watches.
pub(crate) struct EcdsFile {
    path: PathBuf,
    text: String,
}

impl EcdsFile {
    /// Splits a rendered text into the file, which is written, and the other objects. Both name paths of this machine.
    pub(crate) fn of(zone: &Zone, rendered: &str) -> (Self, Vec<Value>) {
        let folder = zone.folder().join("ecds");
        let text = rendered
            .replace("/etc/zonegate/module/plugin.wasm", path(&variable("ZONEGATE_WASM")))
            .replace("/etc/zonegate/ecds", path(&folder));
        let mut objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        let text = objects.remove(0)["data"]["zonegate.yaml"].as_str().unwrap().to_owned();
        fs::create_dir(&folder).unwrap();
        let path = folder.join("zonegate.yaml");
        replace(&path, &text);
        (Self { path, text }, objects)
    }

    /// Revokes this id.
    pub(crate) fn revoke(&self, id: &str) {
        let zone = self.text.lines().find(|line| line.ends_with(" zone: zone-1")).unwrap();
        let revocations = zone.replace("zone: zone-1", &format!("revocations: {id}"));
        replace(&self.path, &format!("{}\n{revocations}\n", self.text.trim_end()));
    }
}

type Answers = Stream<DiscoveryRequest, DiscoveryResponse>;

/// Two open streams, and the token of one of them.
pub(crate) struct Open {
    kept: Answers,
    revoked: Answers,
    token: String,
}

impl Open {
    pub(crate) const REVOKED: &str = "leaked";

    /// Opens a stream with a good token, and one with the token that is to be revoked: [`Self::REVOKED`].
    pub(crate) async fn of(zone: &Zone, connection: &Connection) -> Self {
        let token = zone.token(Self::REVOKED);
        let good = zone.token("good");
        let mut kept = connection.sotw(Some(&good), Claimed::INGRESS).await.unwrap();
        let mut revoked = connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
        assert!(kept.next().await.unwrap().is_some() && revoked.next().await.unwrap().is_some());
        Self { kept, revoked, token }
    }

    /// Runs `push`, which revokes [`Self::REVOKED`]: its stream is cut, the other goes on. Returns how long it took.
    pub(crate) async fn assert_a_push_cuts(
        &mut self,
        zone: &Zone,
        push: impl FnOnce(),
    ) -> Duration {
        let begun = Instant::now();
        push();
        assert!(timeout(LIMIT, self.revoked.next()).await.unwrap().is_err());
        let took = begun.elapsed();
        println!("cut after {took:?}");
        self.assert_the_other_goes_on(zone).await;
        took
    }

    pub(crate) async fn assert_the_other_goes_on(&mut self, zone: &Zone) {
        zone.control_plane.push();
        assert!(self.kept.next().await.unwrap().is_some(), "the other stream has ended");
    }

    /// The stream with the good token ends, with or without a status.
    pub(crate) async fn assert_the_other_ends(&mut self) {
        let ended = timeout(LIMIT, self.kept.next()).await.expect("the other stream goes on");
        println!("the other ended: {ended:?}");
    }

    pub(crate) async fn assert_the_other_is_cut(&mut self) {
        assert!(timeout(LIMIT, self.kept.next()).await.unwrap().is_err());
    }

    /// A new stream with the revoked token is refused.
    pub(crate) async fn assert_stays_out(&self, connection: &Connection) {
        let refused = connection.sotw(Some(&self.token), Claimed::INGRESS).await.unwrap_err();
        assert!(refused.message().starts_with("zonegate: revoked: "), "{refused:?}");
    }
}

/// Good streams pass and bad ones are refused, with a small first message and with one of a megabyte.
pub(crate) async fn assert_gates(connection: &Connection, good: &str) {
    let refused = connection.sotw(Some("garbage"), Claimed::INGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: malformed_token: "), "{refused:?}");
    let refused = connection.sotw(Some(good), Claimed::EGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: out_of_scope: "), "{refused:?}");
    // Envoy Gateway's default limit is 64 KiB.
    let large = |claimed| {
        let mut message = discovery_request(claimed);
        message.resource_names = vec!["x".repeat(1_000_000)];
        message
    };
    let refused = connection.sotw_of(Some(good), large(Claimed::EGRESS)).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: out_of_scope: "), "{refused:?}");
    let mut passed = connection.sotw_of(Some(good), large(Claimed::INGRESS)).await.unwrap();
    assert!(passed.next().await.unwrap().is_some());
}
