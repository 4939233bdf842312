//! The client's side: whom it trusts, and the certificate that it shows.

use std::path::PathBuf;
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

use super::Fingerprint;
use crate::quic::endpoint::Alpn;
use crate::tls::{TlsError, certificates, private_key, roots};

/// How a node is known to be the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerTrust {
    /// Its certificate is of an authority that the system trusts.
    System,
    /// Of an authority in this PEM file.
    Authorities(PathBuf),
    /// It is this one. Neither its names nor its dates matter.
    Fingerprint(Fingerprint),
    /// Any certificate is as good as another: whoever stands between can read and change everything. To be said aloud.
    Insecure,
}

/// PEM files of a client that shows a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate, and those between it and its authority.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

/// Why a client cannot do TLS.
#[derive(Debug, thiserror::Error)]
pub enum ClientTlsError {
    /// Files.
    #[error(transparent)]
    Files(#[from] TlsError),
    /// The system's list is empty.
    #[error("the system trusts no authority; name a PEM file of authorities, or the node's fingerprint")]
    NoAuthorities,
    /// The client's own certificate and key.
    #[error("the certificate of {} and the key of {} cannot be used: {error}", identity.cert_file.display(), identity.key_file.display())]
    Identity {
        /// Which files.
        identity: ClientIdentity,
        /// Why.
        error: Error,
    },
    /// What the library says.
    #[error("TLS cannot be set up: {0}")]
    Setup(Error),
    /// The library lacks what QUIC is begun with.
    #[error("TLS cannot be set up for QUIC: the library has no AES-128")]
    Suite,
}

/// A client's settings, with 0-RTT for whom it has been connected to before; keep them for that. The transport is quinn's default: the
/// caller knows what it wants to receive.
pub fn client_config(
    trust: &ServerTrust,
    identity: Option<&ClientIdentity>,
    alpn: Alpn,
) -> Result<quinn::ClientConfig, ClientTlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])
        .map_err(ClientTlsError::Setup)?;
    let builder = match trust {
        ServerTrust::System => {
            let mut trusted = RootCertStore::empty();
            trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if trusted.is_empty() {
                return Err(ClientTlsError::NoAuthorities);
            }
            builder.with_root_certificates(trusted)
        }
        ServerTrust::Authorities(path) => builder.with_root_certificates(roots(path)?),
        ServerTrust::Fingerprint(fingerprint) => {
            let verifier = KnownServer { provider, fingerprint: Some(*fingerprint) };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        ServerTrust::Insecure => {
            let verifier = KnownServer { provider, fingerprint: None };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    let mut tls = match identity {
        Some(identity) => builder
            .with_client_auth_cert(certificates(&identity.cert_file)?, private_key(&identity.key_file)?)
            .map_err(|error| ClientTlsError::Identity { identity: identity.clone(), error })?,
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![alpn.name().as_bytes().to_vec()];
    tls.enable_early_data = true;
    let crypto = QuicClientConfig::try_from(tls).map_err(|_| ClientTlsError::Suite)?;
    Ok(quinn::ClientConfig::new(Arc::new(crypto)))
}

/// Another certificate than the one.
#[derive(thiserror::Error)]
#[error("it is {shown}, and not {known}")]
struct WrongCertificate {
    shown: Fingerprint,
    known: Fingerprint,
}

impl std::fmt::Debug for WrongCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The library shows errors of others in this form alone.
        std::fmt::Display::fmt(self, f)
    }
}

/// Takes the one certificate, or any. In both cases the node has to prove that it has the key.
#[derive(Debug)]
struct KnownServer {
    provider: Arc<CryptoProvider>,
    fingerprint: Option<Fingerprint>,
}

impl ServerCertVerifier for KnownServer {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _between: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.fingerprint {
            Some(known) if known != Fingerprint::of(leaf) => {
                let wrong = WrongCertificate { shown: Fingerprint::of(leaf), known };
                Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(wrong)))))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
