//! `zonegate demo run`: the gateway in the foreground, until it is stopped.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};
use tokio::time::sleep;
use zonegate_issuer::Scope;
use zonegate_testkit::control_plane::{self, ControlPlane};
use zonegate_testkit::gateway::{Gateway, Options};

use super::connections::Connections;
use super::{KID, Programs, Sandbox, ZONE, trust_on_first_use};
use crate::access_log::Line;
use crate::cli::failure::BadInput;
use crate::cli::input;
use crate::cli::output::say;
use crate::plugin_config::plugin_file::{MAX_BYTES, PluginConfiguration};

/// Run the gateway in the foreground
///
/// Without --control-plane it stands in front of a demo control plane, with a key and tokens to try.
#[derive(Args)]
pub(crate) struct Run {
    #[command(flatten)]
    programs: Programs,
    /// The control plane's dataplane server; without it, a demo one
    #[arg(long, value_name = "HOST:PORT")]
    control_plane: Option<String>,
    /// The CA of its certificate, PEM; without it, the certificate that it presents now is trusted
    #[arg(long, value_name = "FILE", requires = "control_plane")]
    control_plane_ca: Option<PathBuf>,
    /// The policy, in any form that config check reads; without it, one with a new key
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen, on loopback; 0 takes a free port
    #[arg(long, value_name = "NUMBER", default_value_t = 15678)]
    port: u16,
}

impl Run {
    /// Runs until `stop`.
    pub(super) async fn run(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let mut stop = pin!(stop);
        let sandbox = Sandbox::new()?;
        let (mut gateway, demo) = tokio::select! {
            started = self.start(&sandbox) => started?,
            // Dropping the future ends everything that it has started.
            () = &mut stop => return Ok(()),
        };
        self.explain(&sandbox, &gateway, demo.as_ref())?;
        let log = gateway.log_path();
        let ended = tokio::select! {
            status = gateway.wait() => Some(status?),
            () = stop => None,
            result = follow(&log, demo.is_none()) => return result,
        };
        if let Some(status) = ended {
            bail!("Envoy has ended ({status}); its log ends:\n{}", gateway.log_tail());
        }
        say!("\nStopping.");
        gateway.stop().await;
        if let Some(demo) = demo {
            demo.stop().await;
        }
        Ok(())
    }

    async fn start(&self, sandbox: &Sandbox) -> anyhow::Result<(Gateway, Option<ControlPlane>)> {
        let policy = match &self.config {
            Some(path) => read_policy(path)?,
            None => sandbox.policy(),
        };
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        // Two Envoys can share a port, and would then share its connections.
        TcpListener::bind(listen).with_context(|| {
            BadInput(format!(
                "port {} is in use: give another (--port, or PORT= with make)",
                self.port
            ))
        })?;
        let (address, demo) = match &self.control_plane {
            Some(address) => (address.clone(), None),
            None => {
                let mut options = control_plane::Options::new(&sandbox.certificates);
                options.announce = true;
                let demo = ControlPlane::start(options).await?;
                (demo.address().to_string(), Some(demo))
            }
        };
        let mut options = sandbox.options(&self.programs, address, policy)?;
        options.listen = listen;
        options.edits.push((LOG_INTERVAL.to_owned(), json!("1s")));
        if demo.is_none() {
            self.trust(&mut options).await?;
        }
        say!("Starting Envoy ...");
        Ok((Gateway::start(options).await?, demo))
    }

    /// Chooses the certificate that the gateway expects of the control plane.
    async fn trust(&self, options: &mut Options) -> anyhow::Result<()> {
        let control_plane = &options.control_plane;
        let host = control_plane.rsplit_once(':');
        let host = host.map(|(host, _)| host.trim_matches(['[', ']']).to_owned());
        let host = host.with_context(|| BadInput(format!("{control_plane}: not host:port")))?;
        options.control_plane_name.clone_from(&host);
        if let Some(ca) = &self.control_plane_ca {
            options.control_plane_ca = ca.canonicalize().with_context(|| {
                BadInput(format!("--control-plane-ca {}: cannot be read", ca.display()))
            })?;
            return Ok(());
        }
        let hash = trust_on_first_use::fingerprint(control_plane, &host)
            .await
            .with_context(|| format!("asking {control_plane} for its certificate"))?;
        say!("Trusting, for this run, the certificate that {control_plane} presents now:");
        say!("  SHA-256 {hash}");
        say!("  (give --control-plane-ca, or CP_CA= with make, to trust a CA instead)");
        let place = "/static_resources/clusters/0/transport_socket/typed_config\
                     /common_tls_context";
        let trust = json!({ "validation_context": { "verify_certificate_hash": [hash] } });
        options.edits.push((place.to_owned(), trust));
        Ok(())
    }

    fn explain(
        &self,
        sandbox: &Sandbox,
        gateway: &Gateway,
        demo: Option<&ControlPlane>,
    ) -> anyhow::Result<()> {
        let port = gateway.address().port();
        let ca = sandbox.certificates.ca_path.display();
        // Not localhost: kuma-dp's Envoy would resolve it to ::1 first, and try no other address.
        say!("\nThe gateway listens on https://127.0.0.1:{port}   (its CA: {ca})");
        match (&self.control_plane, demo) {
            (Some(address), _) => {
                say!("It stands in front of {address}.");
                tell_control_plane(port, &sandbox.certificates.ca_path);
            }
            (None, Some(demo)) => {
                say!("It stands in front of a demo control plane, {}.", demo.address());
            }
            (None, None) => {}
        }
        say!("Counters: http://{}/stats?filter=zonegate", gateway.admin_address());
        say!("Envoy's log: {}", gateway.log_path().display());
        match (&self.config, demo) {
            (Some(_), _) => {}
            (None, Some(_)) => try_it(sandbox, port)?,
            (None, None) => introduce_key(sandbox)?,
        }
        say!("\nCtrl-C stops it. What happens:\n");
        Ok(())
    }
}

/// Shows the settings that the control plane needs, so that proxies come back to the gateway after their bootstrap.
fn tell_control_plane(port: u16, ca: &Path) {
    say!(
        "\nkuma-cp tells each proxy in its bootstrap where to connect: unless it is told otherwise, to itself, and"
    );
    say!("the proxy goes round the gateway. Start kuma-cp with these two:\n");
    say!("  KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_HOST=127.0.0.1");
    say!("  KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_PORT={port}");
    say!("\nIt starts only if its own certificate names 127.0.0.1 too. Start kuma-dp with:\n");
    say!("  --cp-address https://127.0.0.1:{port} --ca-cert-file {}\n", ca.display());
}

/// Writes tokens and shows how to use them.
fn try_it(sandbox: &Sandbox, port: u16) -> anyhow::Result<()> {
    let both = [Scope::Ingress, Scope::Egress];
    let now = Duration::ZERO;
    let dir = sandbox.dir.path();
    let (good, _) = sandbox.token(ZONE, &both, now)?;
    let (expired, _) = sandbox.token(ZONE, &both, Duration::from_secs(7200))?;
    let (other, _) = sandbox.token("other", &both, now)?;
    write_secret(&dir.join("good"), &good)?;
    write_secret(&dir.join("expired"), &expired)?;
    write_secret(&dir.join("other-zone"), &other)?;
    say!("\nTry it in another terminal, as kuma-dp would. A good token:\n");
    say!("  cd {}", dir.display());
    let post = format!("curl --cacert ca.pem https://127.0.0.1:{port}/bootstrap -d");
    let body = |file: &str| {
        format!(
            "\"{{\\\"proxyType\\\":\\\"ingress\\\",\\\"dataplaneToken\\\":\\\"$(cat {file})\\\"}}\""
        )
    };
    say!("  {post} {}", body("good"));
    say!("\nAn expired one, and one of another zone:\n");
    say!("  {post} {}", body("expired"));
    say!("  {post} {}", body("other-zone"));
    Ok(())
}

/// Shows how to give a real control plane and the gateway the same key.
fn introduce_key(sandbox: &Sandbox) -> anyhow::Result<()> {
    let key = sandbox.dir.path().join("signing-key.pem");
    write_secret(&key, &sandbox.key.to_pem())?;
    say!("\nA new signing key was made for this run: {}", key.display());
    say!("Its public key belongs into kuma-cp's configuration too, or kuma-cp would refuse what");
    say!("the gateway lets in (or give your own keys with --config, or CONFIG= with make):\n");
    say!("  dpServer:\n    authn:\n      zoneProxy:\n        zoneToken:\n          validator:");
    say!("            publicKeys:\n            - kid: {KID}\n              key: |");
    for line in sandbox.key.public_key_pem().lines() {
        say!("                {line}");
    }
    say!("\nA token for a zone proxy:\n");
    let tool = std::env::current_exe().context("the path of this program")?;
    say!("  {} generate zone-token --zone {ZONE} --valid-for 24h \\", tool.display());
    say!("    --signing-key-path {} --kid {KID}", key.display());
    Ok(())
}

/// Accepts every form that the other verbs accept. The filter would report the same errors, but at the end of Envoy's
/// log.
fn read_policy(path: &Path) -> anyhow::Result<Value> {
    let bad = || BadInput(format!("--config {}", path.display()));
    let bytes = input::public(path, MAX_BYTES, "configuration")?;
    let found = PluginConfiguration::find(&bytes).with_context(bad)?;
    found.config().with_context(bad)?;
    serde_json::from_slice(&found.json).with_context(bad)
}

fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = File::options();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("writing {}", path.display()))
}

/// The place in `gateway.yaml` of the interval at which an open stream is logged.
const LOG_INTERVAL: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config\
                            /access_log_options/access_log_flush_interval";

/// Prints what the filter writes to Envoy's log, and the connections through the gateway; with `are_proxies`, also the
/// proxies that bypass it.
async fn follow(log: &Path, are_proxies: bool) -> anyhow::Result<()> {
    let mut file = File::open(log).with_context(|| format!("reading {}", log.display()))?;
    let mut read = 0_u64;
    let mut rest = Vec::new();
    let mut connections = Connections::default();
    loop {
        file.seek(SeekFrom::Start(read))?;
        read = read.saturating_add(u64::try_from(file.read_to_end(&mut rest)?)?);
        while let Some(feed) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=feed).collect();
            follow_line(String::from_utf8_lossy(&line).trim_end(), &mut connections);
        }
        let gone_round = connections.gone_round(Instant::now());
        gone_round.iter().filter(|_| are_proxies).for_each(|warning| say!("{warning}"));
        sleep(Duration::from_millis(100)).await;
    }
}

fn follow_line(line: &str, connections: &mut Connections) {
    if let Some(line) = Line::parse(line).filter(|_| line.starts_with('{')) {
        if let Some(news) = connections.take(&line, Instant::now()) {
            say!("{news}");
        }
        return;
    }
    // The prefixes of a module in wasm, and of a dynamic module.
    let said = line.split_once(" zonegate: zonegate: ");
    if let Some((_, said)) = said.or_else(|| line.split_once("] zonegate: ")) {
        say!("gateway: {said}");
    }
}
