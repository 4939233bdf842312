//! A certificate for a node that was given none: made on the first run, signed by itself, the same ever after.
//!
//! Nobody trusts it by its signature; a client is told its fingerprint.

use std::io;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DnType, KeyPair};

use crate::quic::private_file;
use crate::tls::{ClientCertificates, TlsConfig};

/// Names of this machine, whatever it is called.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum DevelopmentError {
    /// A file.
    #[error("cannot make {}: {error}; the node's user must be able to write there", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The library.
    #[error("cannot make a certificate for development: {0}")]
    Make(#[from] rcgen::Error),
}

/// The files `quic/dev-cert.pem` and `quic/dev-key.pem` of the data folder, made if they are not both there. `names`: what the node
/// is called beside `localhost`; host names or addresses.
pub fn development_certificate(data_folder: &Path, names: &[String]) -> Result<TlsConfig, DevelopmentError> {
    let folder = data_folder.join("quic");
    let config = TlsConfig {
        cert_file: folder.join("dev-cert.pem"),
        key_file: folder.join("dev-key.pem"),
        client_ca_file: None,
        client_certificates: ClientCertificates::None,
    };
    if config.cert_file.exists() && config.key_file.exists() {
        return Ok(config);
    }
    let fault = |path: &Path, error| DevelopmentError::File { path: path.to_owned(), error };
    std::fs::create_dir_all(&folder).map_err(|error| fault(&folder, error))?;
    let mut all: Vec<String> = LOCAL_NAMES.iter().map(|name| (*name).to_owned()).collect();
    all.extend(names.iter().filter(|name| !LOCAL_NAMES.contains(&name.as_str())).cloned());
    let mut params = CertificateParams::new(all)?;
    params.distinguished_name.push(DnType::CommonName, "anabranch development");
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    // The certificate last: with it, the pair is whole.
    private_file::write(&config.key_file, key.serialize_pem().as_bytes())
        .map_err(|error| fault(&config.key_file, error))?;
    private_file::write(&config.cert_file, certificate.pem().as_bytes())
        .map_err(|error| fault(&config.cert_file, error))?;
    Ok(config)
}
