//! TLS towards a broker: whom we trust, and the certificate that we show.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::error::MqttError;
use super::reach::ReachArgs;

/// The connector, and the name that the broker's certificate must be for.
pub(super) fn connector(reach: &ReachArgs) -> Result<(TlsConnector, ServerName<'static>), MqttError> {
    let setup = |error: rustls::Error| MqttError::Tls(error.to_string());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(setup)?
        .with_root_certificates(roots(reach.ca_file.as_deref())?);
    let config = match (&reach.cert, &reach.key) {
        (Some(cert), Some(key)) => {
            let private = PrivateKeyDer::from_pem_file(key).map_err(|error| pem(key, error.to_string()))?;
            builder.with_client_auth_cert(certificates(cert)?, private).map_err(setup)?
        }
        _ => builder.with_no_client_auth(),
    };
    let host = reach.url.host.clone();
    let name = ServerName::try_from(host)
        .map_err(|_| MqttError::Tls(format!("{} is no name that a certificate can be for", reach.url.host)))?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, MqttError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| pem(path, error.to_string()))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(MqttError::Tls("the system trusts no authority; name one with --ca-file".to_owned()));
            }
        }
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, MqttError> {
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(|found| found.collect())
        .map_err(|error| pem(path, error.to_string()))?;
    match found.is_empty() {
        true => Err(pem(path, "there is no certificate in it".to_owned())),
        false => Ok(found),
    }
}

fn pem(path: &Path, reason: String) -> MqttError {
    MqttError::Pem { path: path.to_owned(), reason }
}
