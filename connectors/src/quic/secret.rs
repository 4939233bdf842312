//! The secret that a node's keys for QUIC are made from, in the data folder.
//!
//! What always holds: it stays over restarts. So a node that was killed can answer a packet of a connection that it no longer knows
//! with a stateless reset, and the client connects again at once instead of waiting for its idle timeout.

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;

use super::private_file;

const SECRET_BYTES: usize = 32;

/// See the module. Never shown.
pub struct QuicSecret([u8; SECRET_BYTES]);

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The folder or the file.
    #[error("cannot read or make {}: {error}; the node's user must be able to write there", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is not ours.
    #[error("{} has {found} bytes and should have {SECRET_BYTES}; remove it, and the node makes a new one", path.display())]
    Length {
        /// Which.
        path: PathBuf,
        /// What it has.
        found: usize,
    },
    /// The system has none.
    #[error("the system gives no random numbers")]
    Random,
}

impl QuicSecret {
    /// The secret in `quic/secret` of the data folder, made if there is none.
    pub fn open(data_folder: &Path) -> Result<Self, SecretError> {
        let folder = data_folder.join("quic");
        let path = folder.join("secret");
        let fault = |error| SecretError::File { path: path.clone(), error };
        match std::fs::read(&path) {
            Ok(bytes) => match bytes.try_into() {
                Ok(secret) => Ok(Self(secret)),
                Err(bytes) => Err(SecretError::Length { path, found: bytes.len() }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = Self::random()?;
                std::fs::create_dir_all(&folder).map_err(fault)?;
                private_file::write(&path, &made.0).map_err(fault)?;
                Ok(made)
            }
            Err(error) => Err(fault(error)),
        }
    }

    /// One that ends with the process.
    pub fn random() -> Result<Self, SecretError> {
        let mut secret = [0; SECRET_BYTES];
        aws_lc_rs::rand::fill(&mut secret).map_err(|_| SecretError::Random)?;
        Ok(Self(secret))
    }

    /// A key for one use.
    pub(super) fn key(&self, used_for: &str) -> [u8; SECRET_BYTES] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), used_for.as_bytes());
        let mut key = [0; SECRET_BYTES];
        key.copy_from_slice(tag.as_ref());
        key
    }
}

impl std::fmt::Debug for QuicSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("QuicSecret")
    }
}
