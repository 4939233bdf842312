//! Why a command over MQTT ended, in words for whoever typed it.

use std::path::PathBuf;
use std::time::Duration;

use connectors::mqtt::codec::{DecodeError, Reason};

use super::address::Address;

/// Why it ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum MqttError {
    /// Flags that do not go together.
    #[error("{0}")]
    Usage(String),
    /// A file that was named.
    #[error("cannot read {}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file of certificates or keys.
    #[error("cannot use {}: {reason}; it should be a PEM file", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// TLS as such.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// Nobody answers.
    #[error(
        "no broker answers at {address} ({error}); start a node with `anabranch run --mqtt-listen 127.0.0.1:1883`, \
         or name a broker with --url"
    )]
    Unreachable {
        /// Where.
        address: Address,
        /// The system's words.
        error: std::io::Error,
    },
    /// The handshake of TLS failed.
    #[error("no TLS with {address}: {error}{}", handshake_help(error))]
    Handshake {
        /// Where.
        address: Address,
        /// The library's words.
        error: std::io::Error,
    },
    /// CONNACK says no.
    #[error("the broker refused the connection: {}{}", reason_in_words(*reason, text), connect_help(*reason))]
    Refused {
        /// Why.
        reason: Reason,
        /// The broker's words.
        text: Option<String>,
    },
    /// SUBACK says no.
    #[error("the broker refused the subscription to {filter}: {}", reason_in_words(*reason, text))]
    Filter {
        /// Which filter.
        filter: String,
        /// Why.
        reason: Reason,
        /// The broker's words.
        text: Option<String>,
    },
    /// DISCONNECT.
    #[error("the broker ended the connection: {}", reason_in_words(*reason, text))]
    Ended {
        /// Why.
        reason: Reason,
        /// The broker's words.
        text: Option<String>,
    },
    /// The connection ended without a word.
    #[error("the broker closed the connection without a reason{}", if *is_v5 { "" } else { "; MQTT 5 can say one: try --mqtt-version 5" })]
    Closed {
        /// The version could have said one.
        is_v5: bool,
    },
    /// Bytes that are no MQTT.
    #[error("what came from the broker is no MQTT: {0}")]
    Decode(#[from] DecodeError),
    /// A packet that has no place.
    #[error("the broker broke the protocol: {0}")]
    Protocol(&'static str),
    /// The connection broke.
    #[error("the connection broke: {0}{help}", help = handshake_help(.0))]
    Io(std::io::Error),
    /// No answer in time.
    #[error("the broker did not {what} within {} s", .within.as_secs_f64())]
    Late {
        /// What it should have done.
        what: &'static str,
        /// How long we waited.
        within: Duration,
    },
    /// The request was taken, and nobody answered it.
    #[error("no answer came to {topic} within {} s", .within.as_secs_f64())]
    NoAnswer {
        /// Where it should have come.
        topic: String,
        /// How long we waited.
        within: Duration,
    },
    /// Fewer messages than wanted.
    #[error("{got} of {wanted} messages came within {} s", .within.as_secs_f64())]
    Few {
        /// So many came.
        got: u64,
        /// So many were wanted.
        wanted: u64,
        /// In this time.
        within: Duration,
    },
    /// The broker does not take such a message.
    #[error("{0}")]
    Unsendable(String),
    /// Messages were refused; each has been named.
    #[error("{refused} of {sent} messages were refused")]
    NotTaken {
        /// So many.
        refused: u64,
        /// Of so many.
        sent: u64,
    },
    /// Standard input.
    #[error("cannot read standard input: {0}")]
    Input(std::io::Error),
}

/// `not authorized (0x87): the broker's words`
pub(super) fn reason_in_words(reason: Reason, text: &Option<String>) -> String {
    let mut words = format!("{} (0x{:02X})", reason.text(), reason as u8);
    if let Some(text) = text {
        words += ": ";
        words.extend(text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }));
    }
    words
}

fn connect_help(reason: Reason) -> &'static str {
    match reason {
        Reason::BadUserNameOrPassword | Reason::NotAuthorized => {
            "; check --user and the password (--password-file, ANABRANCH_MQTT_PASSWORD), or show a certificate with --cert and --key"
        }
        Reason::UnsupportedProtocolVersion => "; try another --mqtt-version",
        Reason::ClientIdentifierNotValid => "; try another --client-id",
        _ => "",
    }
}

const PLAIN: &str = "; the port may be one without TLS: try mqtt://";

fn handshake_help(error: &std::io::Error) -> &'static str {
    use rustls::{AlertDescription, CertificateError, Error};
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        return PLAIN;
    }
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
    match cause {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => "; name its authority with --ca-file",
        Some(Error::InvalidMessage(_)) => PLAIN,
        Some(Error::AlertReceived(AlertDescription::CertificateRequired)) => {
            "; show a certificate with --cert and --key"
        }
        _ => "",
    }
}
