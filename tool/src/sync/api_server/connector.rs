//! Connections to an API server.
//!
//! In: an address, and PEM files. Out: a connector that trusts only this CA, and shows a client certificate if there is
//! one. No connection is made here.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use super::trust::Trust;
use super::{ApiServer, ClientCertificate};
use crate::sync::address::Transport;
use crate::sync::fetch_error::FetchError;

pub(super) type Https = HttpsConnector<HttpConnector>;

pub(super) struct Connector(pub(super) Https);

impl Connector {
    pub(super) fn new(server: &ApiServer) -> Result<Self, FetchError> {
        let tls = tls(server)?;
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls);
        let builder = match server.address.transport() {
            Transport::Https => builder.https_only(),
            Transport::Http => builder.https_or_http(),
        };
        Ok(Self(builder.enable_http1().build()))
    }
}

fn tls(server: &ApiServer) -> Result<ClientConfig, FetchError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| FetchError::Tls(error.to_string()))?;
    let builder = match (server.address.transport(), &server.ca) {
        (Transport::Https, Some(ca)) => {
            let trust = Trust::of(certificates(ca)?)
                .map_err(|why| FetchError::NotACa { path: ca.clone(), why: why.to_string() })?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(trust))
        }
        (Transport::Https, None) => return Err(FetchError::NoCa),
        (Transport::Http, _) => builder.with_root_certificates(RootCertStore::empty()),
    };
    let Some(ClientCertificate { certificate, key }) = &server.client else {
        return Ok(builder.with_no_client_auth());
    };
    let not_pem = || FetchError::NotPem { path: key.clone(), what: "private key" };
    let pem = Zeroizing::new(read(key)?);
    let private = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| not_pem())?;
    builder.with_client_auth_cert(certificates(certificate)?, private).map_err(|error| {
        FetchError::ClientCertificate { path: certificate.clone(), why: error.to_string() }
    })
}

/// Reads at least one certificate.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FetchError> {
    let not_pem = || FetchError::NotPem { path: path.to_owned(), what: "certificate" };
    let pem = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(not_pem()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, FetchError> {
    fs::read(path).map_err(|error| FetchError::Unreadable { path: PathBuf::from(path), error })
}
