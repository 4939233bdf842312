//! TLS for QUIC: ALPN `anabranch/1`, and whom to trust.

use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::QuicError;
use super::plan::{Fingerprint, Trust};
use crate::client::tls::{TlsError, roots};

const ALPN: &[u8] = b"anabranch/1";

/// What connections are made with.
pub(super) fn client_crypto(trust: &Trust) -> Result<Arc<QuicClientConfig>, QuicError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let setup = |error| QuicError::Tls(TlsError::Setup(error));
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[&TLS13]).map_err(setup)?;
    let mut tls = match trust {
        Trust::Authorities(file) => builder.with_root_certificates(roots(file.as_deref())?).with_no_client_auth(),
        Trust::Fingerprint(_) | Trust::Insecure => {
            let wanted = match trust {
                Trust::Fingerprint(fingerprint) => Some(*fingerprint),
                _ => None,
            };
            let verifier = Arc::new(Known { provider, wanted });
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
        }
    };
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let crypto = QuicClientConfig::try_from(tls)
        .map_err(|_| QuicError::Fault("the TLS library has no suite that QUIC begins with".to_owned()))?;
    Ok(Arc::new(crypto))
}

/// Takes the one certificate, or any; the far end has to prove that it has the key.
#[derive(Debug)]
struct Known {
    provider: Arc<CryptoProvider>,
    wanted: Option<Fingerprint>,
}

impl Known {
    fn is_right(&self, certificate: &CertificateDer<'_>) -> bool {
        let Some(wanted) = self.wanted else { return true };
        let sha256 = self.provider.cipher_suites.iter().find_map(|suite| {
            let hash = suite.tls13()?.common.hash_provider;
            (hash.output_len() == wanted.0.len()).then_some(hash)
        });
        sha256.is_some_and(|hash| hash.hash(certificate).as_ref() == wanted.0)
    }
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _between: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.is_right(leaf) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
