//! Certificates of the demo: one authority, and one server certificate each for the control plane and the gateway.
//!
//! In: a folder. Out: PEM files in it, their texts, and the TLS configurations that trust or present them. They are for
//! loopback only: there is no revocation, and the authority's key is not kept.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

/// ALPN name of HTTP/2.
pub const H2: &[u8] = b"h2";
/// ALPN name of HTTP/1.1.
pub const HTTP_1_1: &[u8] = b"http/1.1";

/// Certificate and private key of one server, as PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
    /// The path of the certificate.
    pub certificate_path: PathBuf,
    /// The path of the key.
    pub key_path: PathBuf,
}

/// The authority and the two servers that it signs certificates for.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The authority's certificate, as PEM.
    pub ca: String,
    /// The path of this certificate.
    pub ca_path: PathBuf,
    /// For the control plane.
    pub control_plane: Identity,
    /// For the gateway.
    pub gateway: Identity,
}

impl Certificates {
    /// Makes new certificates for `localhost` and 127.0.0.1 and writes them to `dir`, replacing
    /// older ones: `ca.pem`, `control-plane.{pem,key}`, `gateway.{pem,key}`.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn generate(dir: &Path) -> anyhow::Result<Self> {
        Self::generate_for(dir, &[])
    }

    /// As [`Self::generate`], for additional host names or IP addresses.
    ///
    /// # Errors
    /// If a name is not valid, or a file cannot be written.
    pub fn generate_for(dir: &Path, names: &[&str]) -> anyhow::Result<Self> {
        let issuer = authority()?;
        let ca = issuer.pem();
        let ca_path = dir.join("ca.pem");
        write(&ca_path, &ca, 0o644)?;
        Ok(Self {
            ca,
            ca_path,
            control_plane: identity(&issuer, dir, "control-plane", names)?,
            gateway: identity(&issuer, dir, "gateway", names)?,
        })
    }
}

/// TLS for a server that presents `identity` and speaks HTTP/2 and HTTP/1.1.
///
/// # Errors
/// If certificate and key are not PEM or do not match.
pub fn server_config(identity: &Identity) -> anyhow::Result<Arc<ServerConfig>> {
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes())
        .context("reading the certificate")?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).context("reading the key")?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .context("using the certificate")?;
    config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
    Ok(Arc::new(config))
}

/// TLS for a client that trusts the authority `ca` (PEM) and offers `alpn`.
///
/// # Errors
/// If `ca` is not a certificate.
pub fn client_config(ca: &str, alpn: &[&[u8]]) -> anyhow::Result<Arc<ClientConfig>> {
    let ca = CertificateDer::from_pem_slice(ca.as_bytes()).context("reading the authority")?;
    let mut roots = RootCertStore::empty();
    roots.add(ca).context("trusting the authority")?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

fn authority() -> anyhow::Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = params("zonegate demo authority", &[])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate()?).context("signing the authority")
}

fn identity(
    issuer: &CertifiedIssuer<'static, KeyPair>,
    dir: &Path,
    name: &str,
    names: &[&str],
) -> anyhow::Result<Identity> {
    let mut all = vec!["localhost", "127.0.0.1"];
    all.extend(names);
    let mut params = params(name, &all)?;
    // Client authentication too, for peers that require a client certificate.
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    let identity = Identity {
        certificate: params.signed_by(&key, issuer)?.pem(),
        key: key.serialize_pem(),
        certificate_path: dir.join(format!("{name}.pem")),
        key_path: dir.join(format!("{name}.key")),
    };
    write(&identity.certificate_path, &identity.certificate, 0o644)?;
    write(&identity.key_path, &identity.key, 0o600)?;
    Ok(identity)
}

/// Valid for decades: the tests move Envoy's clock by decades to make tokens expire, and TLS must not fail then.
fn params(common_name: &str, names: &[&str]) -> anyhow::Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).context("naming the certificate")?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(1975, 1, 1);
    params.not_after = date_time_ymd(2099, 12, 31);
    Ok(params)
}

/// Removes an older file first: only a new file gets the mode.
fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("replacing {}", path.display()));
        }
        _ => {}
    }
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("writing {}", path.display()))
}
