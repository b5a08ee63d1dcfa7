//! The gate accepts keys and tokens of kumactl and kuma-cp, and Kuma accepts those of `zonegate generate`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;
use zonegate_testkit::kuma::StaticKey;
use zonegate_testkit::zone_proxy::discovery_request;

use crate::harness::{Bench, INGRESS_HERE, Setup, ZONE, home, within};

const ZONE_TOKEN: [&str; 6] = ["generate", "zone-token", "--zone", ZONE, "--valid-for", "1h"];

/// Offline, as in Kuma's documentation: `--format pem`, `public-key`, `--signing-key-path`.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn kumactl_offline_is_accepted_by_the_gate() {
    let dir = TempDir::new().unwrap();
    let home = home();
    let kumactl = async |arguments: &[&str]| home.kumactl(dir.path(), arguments).await.unwrap();
    let key = kumactl(&["generate", "signing-key", "--format", "pem"]).await;
    std::fs::write(dir.path().join("key.pem"), key).unwrap();
    let public = kumactl(&["generate", "public-key", "--signing-key-path", "key.pem"]).await;
    let signed = ["--signing-key-path", "key.pem", "--kid", "offline"];
    let both = kumactl(&[ZONE_TOKEN.as_slice(), &signed].concat()).await;
    let egress = kumactl(&[ZONE_TOKEN.as_slice(), &signed, &["--scope", "egress"]].concat()).await;
    let mut bench = Bench::new().set("publicKeys", json!([{ "kid": "offline", "key": public }]));
    bench.options.public_keys = vec![StaticKey { kid: "offline".to_owned(), key: public }];
    let setup = bench.start().await;
    setup.assert_accepted(Way::Gateway, both.trim()).await;
    // Both refuse, each with its own text.
    let refused = setup.refusal(Way::Gateway, egress.trim()).await;
    assert!(refused.starts_with("zonegate: out_of_scope: "), "{refused}");
    let refused = setup.refusal(Way::Straight, egress.trim()).await;
    assert!(refused.contains("ingress is out of token's scope: [egress]"), "{refused}");
}

/// Online: issued by the running control plane, whose key is in the secret
/// `zone-token-signing-key-1`.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn kumactl_online_is_accepted_by_the_gate() {
    let setup = Bench::new().start().await;
    let public = setup.public_key(1).await;
    setup.push(&[("publicKeys", json!([{ "kid": "1", "key": public }]))]).await;
    let token = setup.kumactl(&ZONE_TOKEN).await;
    setup.assert_accepted(Way::Gateway, token.trim()).await;
    // Our tool makes the same public key from the private key as kumactl.
    let key = ["generate", "public-key", "--signing-key-path", "key.pem"];
    assert_eq!(zonegate(setup.scratch(), &key), public);
}

/// The other direction: our key as a secret and as a static key, our tokens, and kumactl with our key.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn zonegate_generate_is_accepted_by_kuma() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path();
    zonegate(dir, &["generate", "signing-key", "--format", "pem", "--output-file", "key.pem"]);
    let public_key = ["generate", "public-key", "--signing-key-path", "key.pem"];
    let public = zonegate(dir, &public_key);
    assert_eq!(home().kumactl(dir, &public_key).await.unwrap(), public);
    let mut bench = Bench::new().set("publicKeys", json!([{ "kid": "ours", "key": public }]));
    bench.options.public_keys = vec![StaticKey { kid: "ours".to_owned(), key: public }];
    let setup = bench.start().await;
    let signed = ["--signing-key-path", "key.pem", "--kid", "ours"];
    let token = [ZONE_TOKEN.as_slice(), &signed].concat();
    setup.assert_accepted(Way::Straight, zonegate(dir, &token).trim()).await;
    let by_kumactl = home().kumactl(dir, &token).await.unwrap();
    setup.assert_accepted(Way::Straight, by_kumactl.trim()).await;
    setup.assert_accepted(Way::Gateway, by_kumactl.trim()).await;
    // The default output of `generate signing-key` is valid as data of a secret.
    let data = zonegate(dir, &["generate", "signing-key"]);
    std::fs::write(dir.join("key.base64"), &data).unwrap();
    setup.store_signing_key(7, &data).await;
    let signed = ["--signing-key-path", "key.base64", "--kid", "7"];
    let token = zonegate(dir, &[ZONE_TOKEN.as_slice(), &signed].concat());
    setup.assert_accepted(Way::Straight, token.trim()).await;
    let nowhere = ["--signing-key-path", "key.base64", "--kid", "8"];
    let token = zonegate(dir, &[ZONE_TOKEN.as_slice(), &nowhere].concat());
    let refused = setup.refusal(Way::Straight, token.trim()).await;
    assert!(refused.contains("there is no signing key with KID 8"), "{refused}");
}

/// How a client of ours connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Through the gateway, to the control plane behind it.
    Gateway,
    /// Directly to the control plane.
    Straight,
}

impl Setup {
    /// Connects a zone ingress with this token. `Ok` if the control plane answers, otherwise the error message.
    pub(crate) async fn connects<'a>(
        &self,
        way: Way,
        token: impl Into<Option<&'a str>>,
    ) -> Result<(), String> {
        self.connects_by(way, token, &discovery_request(INGRESS_HERE)).await
    }

    /// The same for any first message.
    pub(crate) async fn connects_by<'a>(
        &self,
        way: Way,
        token: impl Into<Option<&'a str>>,
        message: &DiscoveryRequest,
    ) -> Result<(), String> {
        let token = token.into();
        let connection = match way {
            Way::Gateway => self.connect().await,
            Way::Straight => self.connect_without_gateway().await,
        };
        let answer = async || connection.sotw_of(token, message.clone()).await?.next().await;
        within(async {
            loop {
                match answer().await {
                    // The control plane has not yet noticed that the previous proxy is gone.
                    Err(status) if status.message().contains("already an active stream") => {
                        sleep(Duration::from_millis(50)).await;
                    }
                    other => break other.map(drop).map_err(|status| status.message().to_owned()),
                }
            }
        })
        .await
    }

    async fn assert_accepted(&self, way: Way, token: &str) {
        assert_eq!(self.connects(way, token).await, Ok(()), "{way:?}");
    }

    async fn refusal(&self, way: Way, token: &str) -> String {
        self.connects(way, token).await.expect_err("it was let in")
    }

    /// Stores a signing key as in Kuma's documentation.
    pub(crate) async fn store_signing_key(&self, serial: u32, data: &str) {
        let name = format!("zone-token-signing-key-{serial}");
        let secret: Value = json!({ "type": "GlobalSecret", "name": name, "data": data.trim() });
        std::fs::write(self.scratch().join("secret.yaml"), secret.to_string()).unwrap();
        self.kumactl(&["apply", "-f", "secret.yaml"]).await;
    }

    /// The public half of a signing key in the control plane's store, by kumactl. The private half is left in
    /// `key.pem`.
    pub(crate) async fn public_key(&self, serial: u32) -> String {
        let name = format!("zone-token-signing-key-{serial}");
        let key = self.control_plane.api().secret(&name).await.unwrap().unwrap();
        std::fs::write(self.scratch().join("key.pem"), key).unwrap();
        self.kumactl(&["generate", "public-key", "--signing-key-path", "key.pem"]).await
    }
}

/// The output of our tool.
pub(crate) fn zonegate(dir: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zonegate"));
    let output = command.args(arguments).current_dir(dir).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}
