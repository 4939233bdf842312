//! Trust for `mqtts://` and `quic://`: the system's certificates and those of a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of `tls_ca`.
    #[error("cannot read certificates from {}: {error}; it should be a PEM file", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: pem::Error,
    },
    /// The file of `tls_ca` holds nothing that can be trusted.
    #[error("{} holds no certificate of an authority", .0.display())]
    Empty(PathBuf),
    /// The system trusts nobody.
    #[error("the system has no certificates to trust; name a PEM file with --tls-ca")]
    NoRoots,
    /// The host's name.
    #[error("`{host}` is not a name that a certificate can be for: {error}")]
    Name {
        /// Which.
        host: String,
        /// Why.
        error: InvalidDnsNameError,
    },
    /// What the library says.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// A connector and the name that the far end must have.
pub(in crate::client) struct Tls {
    pub connector: TlsConnector,
    pub name: ServerName<'static>,
}

impl Tls {
    pub(in crate::client) fn new(host: &str, ca: Option<&Path>) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots(ca)?)
            .with_no_client_auth();
        let name =
            ServerName::try_from(host.to_owned()).map_err(|error| TlsError::Name { host: host.to_owned(), error })?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }
}

/// Whom to trust: the system's authorities and those of a PEM file.
pub(in crate::client) fn roots(ca: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    // Where the system's cannot be read, the file alone is trusted.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca {
        let fault = |error| TlsError::File { path: path.to_owned(), error };
        let certificates: Vec<_> =
            CertificateDer::pem_file_iter(path).and_then(|found| found.collect()).map_err(fault)?;
        let (added, _) = roots.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(TlsError::Empty(path.to_owned()));
        }
    } else if roots.is_empty() {
        return Err(TlsError::NoRoots);
    }
    Ok(roots)
}
