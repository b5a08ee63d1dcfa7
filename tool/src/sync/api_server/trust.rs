//! The certificates that an API server may have.
//!
//! In: the certificates of `--ca-cert-file`, and the certificate that a server presents. Out: whether it is trusted:
//! either one of the given certificates issued it for the requested name, or it is one of them, for that name. The
//! second case is for the certificate that kuma-cp makes for itself. It is marked as a CA, and webpki refuses such a
//! certificate of a server (RFC 5280 section 4.2.1.9 does not forbid it; Go and BoringSSL accept it). Revocation of
//! certificates is not checked.

use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{
    VerifierBuilderError, WebPkiServerVerifier, verify_server_name,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// Trust in certain certificates.
#[derive(Debug)]
pub(super) struct Trust {
    issuers: Arc<WebPkiServerVerifier>,
    trusted: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// Trust in these certificates.
    pub(super) fn of(trusted: Vec<CertificateDer<'static>>) -> Result<Self, VerifierBuilderError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(trusted.iter().cloned());
        let provider = Arc::new(ring::default_provider());
        let issuers = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        Ok(Self { issuers: issuers.build()?, trusted })
    }

    /// webpki has checked the validity period before it refuses the certificate as a CA.
    fn is_trusted_itself(&self, refusal: &Error, presented: &CertificateDer<'_>) -> bool {
        is_ca_as_server(refusal) && self.trusted.iter().any(|trusted| trusted == presented)
    }
}

/// Whether webpki refused a CA certificate as a server's. rustls has no name for this error.
pub(in crate::sync) fn is_ca_as_server(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => matches!(
            other.0.downcast_ref::<webpki::Error>(),
            Some(webpki::Error::CaUsedAsEndEntity)
        ),
        _ => false,
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        presented: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.issuers.verify_server_cert(presented, intermediates, name, ocsp, now) {
            Err(refusal) if self.is_trusted_itself(&refusal, presented) => {
                verify_server_name(&ParsedCertificate::try_from(presented)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.issuers.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.issuers.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.issuers.supported_verify_schemes()
    }
}
