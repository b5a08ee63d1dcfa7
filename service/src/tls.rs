//! The certificate of the service, and the CA of its clients.
//!
//! In: files, polled for changes. Out: the configuration of handshakes. If the files do not fit together, the previous
//! certificate stays in use.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use zonegate::log_line::Level;

use crate::gate::Log;
use crate::watched::Watched;

/// Certificates and keys take a few KiB.
const MAX_BYTES: usize = 1024 * 1024;

/// The paths of certificate, key and CA.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate, PEM, followed by the chain to its CA.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The CA of clients, PEM. If it is given, a client must have a certificate of this CA.
    pub client_ca: Option<PathBuf>,
}

/// The current configuration of handshakes.
#[derive(Debug)]
pub(crate) struct Tls {
    now: RwLock<Arc<ServerConfig>>,
}

/// Why there is no TLS.
#[derive(Debug)]
pub struct TlsError(String);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

/// The files, and their state at the last poll.
#[derive(Debug)]
pub(crate) struct WatchedFiles {
    files: TlsFiles,
    watched: Vec<Watched>,
    /// Whether a file has changed, and not all files could be read since.
    is_new: bool,
}

impl Tls {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// They cannot be read, or do not fit together.
    pub(crate) fn open(files: TlsFiles) -> Result<(Self, WatchedFiles), TlsError> {
        let paths = [&files.certificate, &files.key].into_iter().chain(&files.client_ca);
        let watched = paths.map(|path| Watched::new(path, MAX_BYTES)).collect();
        let mut watched = WatchedFiles { files, watched, is_new: false };
        let config = watched.read()?.ok_or_else(|| TlsError("nothing was read".to_owned()))?;
        Ok((Self { now: RwLock::new(config) }, watched))
    }

    /// The configuration for a handshake.
    pub(crate) fn now(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Uses the files, if they have changed.
    pub(crate) fn renew(&self, files: &mut WatchedFiles, log: Log) {
        match files.read() {
            Ok(None) => {}
            Ok(Some(config)) => {
                *self.now.write().unwrap_or_else(PoisonError::into_inner) = config;
                log(Level::Info, "zonegate: new certificate files are in use");
            }
            Err(error) => log(Level::Error, &format!("zonegate: certificate files: {error}")),
        }
    }
}

impl WatchedFiles {
    /// Reads all files, if one of them has changed.
    fn read(&mut self) -> Result<Option<Arc<ServerConfig>>, TlsError> {
        for watched in &mut self.watched {
            let path = watched.path().display().to_string();
            let news = watched.news().map_err(|error| TlsError(format!("{path}: {error}")))?;
            self.is_new |= news.is_some();
        }
        match std::mem::take(&mut self.is_new) {
            false => Ok(None),
            true => config(&self.files).map(Some),
        }
    }
}

fn config(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let certificates = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| TlsError(format!("{}: {error}", files.key.display())))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError(error.to_string()))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in self::certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|error| TlsError(format!("{}: {error}", path.display())))?;
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            let verifier =
                verifier.map_err(|error| TlsError(format!("{}: {error}", path.display())))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(certificates, key)
        .map_err(|error| TlsError(format!("{}: {error}", files.certificate.display())))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bad = |error: &dyn fmt::Display| TlsError(format!("{}: {error}", path.display()));
    let all = CertificateDer::pem_file_iter(path).map_err(|error| bad(&error))?;
    let all = all.collect::<Result<Vec<_>, _>>().map_err(|error| bad(&error))?;
    match all.is_empty() {
        true => Err(bad(&"the file contains no certificate")),
        false => Ok(all),
    }
}
