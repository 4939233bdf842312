//! TLS of QUIC: the listener's certificates, resumption and 0-RTT, and whom a client trusts.
//!
//! What always holds: the listener's files and settings are those of [`crate::tls`], with the same way to a client's certificate;
//! a session can be resumed once, so that what came in 0-RTT cannot be sent again by somebody else; new files forget all
//! sessions of the old ones.

mod client;
mod development;
mod fingerprint;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::hkdf;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::server::ServerSessionMemoryCache;
use rustls::version::TLS13;

pub use client::{ClientIdentity, ClientTlsError, ServerTrust, client_config};
pub use development::{DevelopmentError, development_certificate};
pub use fingerprint::{Fingerprint, FingerprintError};

use super::endpoint::{Alpn, QuicEndpointLimits};
use super::secret::QuicSecret;
use crate::tls::{Authorities, Served, TlsConfig, TlsError, server_config};

/// What is kept of clients that wait to be looked at, all together.
const WAITING_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Why there can be no TLS for QUIC.
#[derive(Debug, thiserror::Error)]
pub enum QuicTlsError {
    /// Files.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The library lacks what QUIC is begun with.
    #[error("TLS cannot be set up for QUIC: the library has no AES-128")]
    Suite,
}

/// What one set of files made.
pub(super) struct Loaded {
    pub(super) server: Arc<quinn::ServerConfig>,
    pub(super) authorities: Authorities,
    fingerprint: Fingerprint,
}

/// The listener's side for new connections, replaced whole when the files change. Shared by all cores.
pub struct QuicTls {
    config: TlsConfig,
    limits: QuicEndpointLimits,
    /// Signs the tokens by which clients prove their address.
    token_key: Arc<hkdf::Prk>,
    loaded: ArcSwap<Loaded>,
}

impl QuicTls {
    /// Reads the files.
    pub fn load(config: &TlsConfig, limits: &QuicEndpointLimits, secret: &QuicSecret) -> Result<Self, QuicTlsError> {
        let token_key = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&secret.key("quic: tokens of addresses"));
        let token_key = Arc::new(token_key);
        let loaded = ArcSwap::from_pointee(Loaded::new(config, limits, &token_key)?);
        Ok(Self { config: config.clone(), limits: limits.clone(), token_key, loaded })
    }

    /// Reads the files again; connections from now on see what is in them. On an error all stays as it was.
    pub fn reload(&self) -> Result<(), QuicTlsError> {
        self.loaded.store(Arc::new(Loaded::new(&self.config, &self.limits, &self.token_key)?));
        Ok(())
    }

    /// Of the certificate that clients are shown now.
    pub fn fingerprint(&self) -> Fingerprint {
        self.loaded.load().fingerprint
    }

    pub(super) fn current(&self) -> Arc<Loaded> {
        self.loaded.load_full()
    }

    pub(super) fn server(&self) -> Arc<quinn::ServerConfig> {
        self.loaded.load().server.clone()
    }
}

impl std::fmt::Debug for QuicTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QuicTls").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Loaded {
    fn new(config: &TlsConfig, limits: &QuicEndpointLimits, token_key: &Arc<hkdf::Prk>) -> Result<Self, QuicTlsError> {
        let Served { config: mut tls, authorities, leaf } = server_config(config, &[&TLS13])?;
        tls.alpn_protocols = Alpn::ALL.map(|alpn| alpn.name().as_bytes().to_vec()).into();
        // Kept here and taken out when used: with tickets that the client keeps, 0-RTT could be repeated, and the library refuses it.
        tls.session_storage = ServerSessionMemoryCache::new(limits.resumable_sessions_max);
        tls.send_tls13_tickets = 1;
        // QUIC knows only all or nothing here; how much may come is bounded by the windows of the transport.
        tls.max_early_data_size = if limits.early_bytes_max > 0 { u32::MAX } else { 0 };
        let crypto = QuicServerConfig::try_from(tls).map_err(|_| QuicTlsError::Suite)?;
        let mut server = quinn::ServerConfig::new(Arc::new(crypto), token_key.clone());
        server
            .transport_config(limits.transport())
            .max_incoming(limits.handshakes_max)
            .incoming_buffer_size(limits.early_bytes_max.into())
            .incoming_buffer_size_total(WAITING_BYTES_MAX);
        Ok(Self { server: Arc::new(server), authorities, fingerprint: Fingerprint::of(&leaf) })
    }
}
