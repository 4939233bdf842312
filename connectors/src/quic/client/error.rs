//! Why a client has ended, and which ends of a connection are the client's end too.

use std::sync::Arc;

use quinn::{ConnectionError, TransportErrorCode};

use super::connect::Address;
use crate::quic::frame::Code;
use crate::quic::session::Fault;
use crate::quic::session::client::PublishError as CoreError;
use crate::quic::tls::ClientTlsError;

/// Codes of QUIC for alerts of TLS: this and the alert's number.
const CRYPTO_FROM: u64 = 0x100;
const CRYPTO_TO: u64 = 0x1ff;
/// Said of a node's certificate that is not to be trusted; the words are the library's.
const CERTIFICATE: &str = "invalid peer certificate: ";

/// Why a subscriber or publisher can go on no more.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Files of certificates.
    #[error(transparent)]
    Tls(#[from] Arc<ClientTlsError>),
    /// The system gives no socket, or nothing random.
    #[error("cannot connect: {0}")]
    System(String),
    /// The first connection could not be made.
    #[error("no node answers at {address} ({reason})")]
    Unreachable {
        /// Where.
        address: Address,
        /// Why.
        reason: String,
    },
    /// The node's certificate is not the one, or not of those, that are trusted.
    #[error("the certificate of the node at {address} is not trusted: {reason}")]
    Untrusted {
        /// Where.
        address: Address,
        /// Why.
        reason: String,
    },
    /// Whoever answers does not speak this protocol, or refuses the client's certificate.
    #[error("no connection with {address}: {reason}")]
    Handshake {
        /// Where.
        address: Address,
        /// Why.
        reason: String,
        /// The alert of TLS, if it is one.
        alert: Option<u8>,
    },
    /// The node has ended the connection in a way that trying again does not mend.
    #[error("the node ended the connection: {code}: {text}")]
    Closed {
        /// Why.
        code: Code,
        /// Why, for people.
        text: String,
    },
    /// The node does not serve the subscription.
    #[error("the node refused the subscription: {code}: {text}")]
    Refused {
        /// Why.
        code: Code,
        /// Why, for people.
        text: String,
        /// What to do.
        advice: String,
    },
    /// The client may connect, and not do this.
    #[error("the node does not let this client {0}")]
    Forbidden(&'static str),
    /// The node broke the protocol.
    #[error("the node broke the protocol: {0}")]
    Protocol(#[from] Fault),
    /// It was closed by its owner.
    #[error("it was closed")]
    Stopped,
}

/// Why positions were not kept.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The client has ended.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The node says no.
    #[error("the node did not keep the positions: {code}: {text}")]
    Refused {
        /// Why.
        code: Code,
        /// Why, for people.
        text: String,
    },
    /// Nothing has come yet, so there is nothing to keep.
    #[error("a partition is named twice, or none is")]
    Positions,
}

/// Why an event was not taken, or not kept.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The client has ended. Whether the event is kept is not known.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It cannot be sent as it is.
    #[error("the event cannot be sent: {0}")]
    Unsendable(#[source] CoreError),
    /// The node will never take it.
    #[error("the node refused the event: {code}: {text}")]
    Refused {
        /// Why.
        code: Code,
        /// Why, for people.
        text: String,
    },
}

/// Whether to try again.
pub(super) enum Verdict {
    /// Yes; why, for people.
    Again(String),
    Never(ClientError),
}

/// What the end of a connection means.
pub(super) fn verdict(address: &Address, error: &ConnectionError) -> Verdict {
    let again = || Verdict::Again(error.to_string());
    match error {
        ConnectionError::TransportError(fault) => match u64::from(fault.code) {
            crypto @ CRYPTO_FROM..=CRYPTO_TO => Verdict::Never(match fault.reason.strip_prefix(CERTIFICATE) {
                Some(reason) => {
                    ClientError::Untrusted { address: address.clone(), reason: own_words(reason).to_owned() }
                }
                None => handshake(address, fault.reason.clone(), crypto),
            }),
            _ => again(),
        },
        ConnectionError::ConnectionClosed(close) => match u64::from(close.error_code) {
            crypto @ CRYPTO_FROM..=CRYPTO_TO => {
                let said = String::from_utf8_lossy(&close.reason).into_owned();
                Verdict::Never(handshake(address, if said.is_empty() { close.to_string() } else { said }, crypto))
            }
            _ => again(),
        },
        ConnectionError::ApplicationClosed(close) => {
            let code = Code(close.error_code.into_inner());
            let text = String::from_utf8_lossy(&close.reason).into_owned();
            match code.is_final() {
                true => Verdict::Never(ClientError::Closed { code, text }),
                false => Verdict::Again(if text.is_empty() { code.to_string() } else { text }),
            }
        }
        ConnectionError::VersionMismatch => {
            Verdict::Never(ClientError::Handshake { address: address.clone(), reason: error.to_string(), alert: None })
        }
        ConnectionError::Reset
        | ConnectionError::TimedOut
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => again(),
    }
}

/// The node has ended the connection before its handshake was over, so QUIC does not say why: the next connection does without 0-RTT,
/// and learns it.
pub(super) fn is_hidden(error: &ConnectionError) -> bool {
    matches!(error, ConnectionError::ConnectionClosed(close) if close.error_code == TransportErrorCode::APPLICATION_ERROR)
}

/// Without what the library puts around an error that is not its own.
fn own_words(reason: &str) -> &str {
    let inner = reason.strip_prefix("Other(OtherError(").and_then(|inner| inner.strip_suffix("))"));
    inner.unwrap_or(reason)
}

fn handshake(address: &Address, reason: String, crypto: u64) -> ClientError {
    ClientError::Handshake { address: address.clone(), reason, alert: Some((crypto - CRYPTO_FROM) as u8) }
}
