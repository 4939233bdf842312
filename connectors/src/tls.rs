//! TLS of the listeners: certificates, who is asked for one, and new files without a restart.
//!
//! What always holds: a [`TlsSource`] serves the last set of files that was good; handshakes that are under way and connections
//! that stand are not touched by a reload. What a client certificate proves beyond its key is not decided here but by
//! `mqtt::access`. QUIC reads the same files in the same way, see `quic::tls`.

mod clients;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use serde::Deserialize;
use tokio_rustls::TlsAcceptor;

use crate::config::Problem;
use clients::AnyCertificate;

/// The leaf certificate of a TLS client, whose private key the client proved to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate.
    pub der: Vec<u8>,
    /// Whether it leads to a configured authority. Otherwise its names say nothing and only a thumbprint counts.
    pub is_verified: bool,
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// They are not asked.
    #[default]
    None,
    /// They are asked and may have none. One that no configured authority signed gets through TLS, but its names prove nothing.
    Optional,
    /// They must have one; where there is a `client_ca_file`, one of those authorities.
    Required,
}

/// The tables `[listeners.mqtt.tls]` and `[listeners.quic.tls]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the server's certificate and those between it and its authority.
    pub cert_file: PathBuf,
    /// PEM file with its private key.
    pub key_file: PathBuf,
    /// PEM file with the authorities of client certificates.
    #[serde(default)]
    pub client_ca_file: Option<PathBuf>,
    /// Whether clients are asked for a certificate: `"none"`, `"optional"` or `"required"`.
    #[serde(default)]
    pub client_certificates: ClientCertificates,
}

impl TlsConfig {
    /// All that is wrong with the values, without opening anything.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let files = [
            ("tls.cert_file", Some(&self.cert_file)),
            ("tls.key_file", Some(&self.key_file)),
            ("tls.client_ca_file", self.client_ca_file.as_ref()),
        ];
        for (field, path) in files {
            if path.is_some_and(|path| path.as_os_str().is_empty()) {
                found.push(Problem {
                    field,
                    message: "the path is empty".to_owned(),
                    help: "name a PEM file".to_owned(),
                });
            }
        }
        if self.client_ca_file.is_some() && self.client_certificates == ClientCertificates::None {
            found.push(Problem {
                field: "tls.client_certificates",
                message: "clients are not asked for certificates, so client_ca_file has no use".to_owned(),
                help: "set it to \"optional\" or \"required\", or leave client_ca_file out".to_owned(),
            });
        }
        found
    }
}

/// Why there can be no TLS with these files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificates.
    #[error("cannot read certificates from {}: {error}; it should be a PEM file", path.display())]
    Certificates {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: pem::Error,
    },
    /// The private key.
    #[error("cannot read a private key from {}: {error}; it should be a PEM file", path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: pem::Error,
    },
    /// A file without a certificate.
    #[error("{} holds no certificate", .0.display())]
    Empty(PathBuf),
    /// Certificate and key do not belong together, or the library cannot use them.
    #[error("the certificate of {} and the key of {} cannot be used: {error}", cert.display(), key.display())]
    Pair {
        /// File of the certificate.
        cert: PathBuf,
        /// File of the key.
        key: PathBuf,
        /// Why.
        error: rustls::Error,
    },
    /// An authority that cannot be used.
    #[error("an authority in {} cannot be used: {error}", path.display())]
    Authority {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: rustls::Error,
    },
    /// The authorities as a whole.
    #[error("the authorities in {} cannot be used: {error}", path.display())]
    Authorities {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: VerifierBuilderError,
    },
    /// What the library says.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

/// Knows who may have signed a client's certificate; none: no name in one is worth anything.
#[derive(Clone, Debug)]
pub(crate) struct Authorities(Option<Arc<dyn ClientCertVerifier>>);

impl Authorities {
    /// The client's certificate after the handshake. Whether its authority is ours is looked at here, not only in the handshake:
    /// a resumed session repeats its certificate without the handshake looking at it again.
    pub(crate) fn certificate(&self, chain: Option<&[CertificateDer<'_>]>) -> Option<ClientCertificate> {
        let (leaf, between) = chain?.split_first()?;
        let is_verified =
            self.0.as_ref().is_some_and(|verifier| verifier.verify_client_cert(leaf, between, UnixTime::now()).is_ok());
        Some(ClientCertificate { der: leaf.to_vec(), is_verified })
    }
}

/// What one set of files made.
#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    authorities: Authorities,
}

/// Server side of TLS for new connections, replaced whole when the files change. Shared by all cores.
#[derive(Debug)]
pub struct TlsSource {
    config: TlsConfig,
    loaded: ArcSwap<Loaded>,
}

/// What a handshake goes on with, from one set of files.
pub(crate) struct Handshake {
    pub(crate) acceptor: TlsAcceptor,
    loaded: Arc<Loaded>,
}

impl TlsSource {
    /// Reads the files.
    pub fn load(config: &TlsConfig) -> Result<Self, TlsError> {
        Ok(Self { config: config.clone(), loaded: ArcSwap::from_pointee(Loaded::new(config)?) })
    }

    /// Reads the files again; connections from now on see what is in them. On an error all stays as it was.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.loaded.store(Arc::new(Loaded::new(&self.config)?));
        Ok(())
    }

    pub(crate) fn handshake(&self) -> Handshake {
        let loaded = self.loaded.load_full();
        Handshake { acceptor: TlsAcceptor::from(loaded.config.clone()), loaded }
    }
}

impl Handshake {
    /// The client's certificate after the handshake.
    pub(crate) fn certificate(&self, chain: Option<&[CertificateDer<'_>]>) -> Option<ClientCertificate> {
        self.loaded.authorities.certificate(chain)
    }
}

impl Loaded {
    fn new(config: &TlsConfig) -> Result<Self, TlsError> {
        let Served { config: mut server, authorities, .. } = server_config(config, rustls::DEFAULT_VERSIONS)?;
        // Sessions are resumed from tickets, so that a fleet's sessions take no memory here. New files make new ticket keys: a
        // session with an authority that is gone cannot be resumed.
        server.ticketer = Ticketer::new().map_err(TlsError::Setup)?;
        server.send_tls13_tickets = 1;
        Ok(Self { config: Arc::new(server), authorities })
    }
}

/// What the files say.
pub(crate) struct Served {
    /// For whichever transport; how sessions are resumed is the transport's to set.
    pub(crate) config: ServerConfig,
    /// See there.
    pub(crate) authorities: Authorities,
    /// The certificate that clients are shown.
    pub(crate) leaf: CertificateDer<'static>,
}

/// Reads the files.
pub(crate) fn server_config(
    config: &TlsConfig,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<Served, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let chain = certificates(&config.cert_file)?;
    let leaf = chain.first().cloned().ok_or_else(|| TlsError::Empty(config.cert_file.clone()))?;
    let key = private_key(&config.key_file)?;
    let authorities = config.client_ca_file.as_deref().map(|path| authorities(path, &provider)).transpose()?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(TlsError::Setup)?;
    let builder = match (config.client_certificates, &authorities) {
        (ClientCertificates::None, _) => builder.with_no_client_auth(),
        (ClientCertificates::Required, Some(verifier)) => builder.with_client_cert_verifier(verifier.clone()),
        (wanted, verifier) => builder.with_client_cert_verifier(Arc::new(AnyCertificate::new(
            &provider,
            wanted == ClientCertificates::Required,
            verifier.as_ref().map(|verifier| verifier.root_hint_subjects().to_vec()).unwrap_or_default(),
        ))),
    };
    let server = builder.with_single_cert(chain, key).map_err(|error| TlsError::Pair {
        cert: config.cert_file.clone(),
        key: config.key_file.clone(),
        error,
    })?;
    Ok(Served { config: server, authorities: Authorities(authorities), leaf })
}

/// The key in a PEM file.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| TlsError::Key { path: path.to_owned(), error })
}

/// All certificates in a PEM file; at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fault = |error| TlsError::Certificates { path: path.to_owned(), error };
    let found: Vec<_> = CertificateDer::pem_file_iter(path).and_then(|found| found.collect()).map_err(fault)?;
    match found.is_empty() {
        true => Err(TlsError::Empty(path.to_owned())),
        false => Ok(found),
    }
}

/// The authorities in a PEM file.
pub(crate) fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| TlsError::Authority { path: path.to_owned(), error })?;
    }
    Ok(roots)
}

fn authorities(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let roots = roots(path)?;
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| TlsError::Authorities { path: path.to_owned(), error })
}
