//! Why a command over QUIC ended, in words for whoever typed it.

use std::path::PathBuf;
use std::time::Duration;

use connectors::quic::client::{ClientError, Code, CommitError};

use super::clean;

/// Why it ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum QuicError {
    /// Flags that do not go together, or a filter that is wrong.
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
    /// The connection, or what was asked for.
    #[error("{}{}", clean(&.0.to_string()), help(.0))]
    Client(#[from] ClientError),
    /// Positions were not kept.
    #[error("{}{}", clean(&.0.to_string()), commit_help(.0))]
    Commit(#[from] CommitError),
    /// Where events go.
    #[error("{0}")]
    Output(String),
    /// Standard input.
    #[error("cannot read standard input: {0}")]
    Input(std::io::Error),
    /// Some events are not in the log; each has been named, up to a number.
    #[error("{refused} of {all} events were refused")]
    NotTaken {
        /// So many.
        refused: u64,
        /// Of so many.
        all: u64,
    },
    /// The node does not acknowledge.
    #[error(
        "{acknowledged} of {sent} events are acknowledged, and no more were within {} s; the others may be kept or not: \
         --timeout waits longer",
        .within.as_secs_f64()
    )]
    Late {
        /// So many are.
        acknowledged: u64,
        /// Of so many.
        sent: u64,
        /// In this time.
        within: Duration,
    },
}

/// Alerts of TLS.
const CERTIFICATE_REQUIRED: u8 = 116;
const NO_APPLICATION_PROTOCOL: u8 = 120;

fn help(error: &ClientError) -> String {
    match error {
        ClientError::Unreachable { .. } => {
            "; start a node with `anabranch run --quic-listen 127.0.0.1:4433`, or name one with --url".to_owned()
        }
        ClientError::Untrusted { reason, .. } if reason.contains("sha256:") => {
            "; if the node has a new certificate, give the --fingerprint that it says when it starts; if not, somebody \
             stands between"
                .to_owned()
        }
        ClientError::Untrusted { reason, .. } if reason.contains("not valid for name") => {
            "; use a name of the certificate in --url, or check the certificate itself with --fingerprint".to_owned()
        }
        ClientError::Untrusted { .. } => {
            "; give the --fingerprint that the node says when it starts, or name the authority of its certificate with --ca-file"
                .to_owned()
        }
        ClientError::Handshake { alert: Some(CERTIFICATE_REQUIRED), .. } => {
            "; show a certificate with --cert and --key".to_owned()
        }
        ClientError::Handshake { alert: Some(NO_APPLICATION_PROTOCOL), .. } => {
            "; whoever answers there does not speak anabranch/1: name a node's QUIC listener with --url".to_owned()
        }
        ClientError::Closed { code: Code::UNAUTHENTICATED, .. } => {
            "; check --user and the password (--password-file, ANABRANCH_QUIC_PASSWORD), the token (--token-file, \
             ANABRANCH_QUIC_TOKEN), or show a certificate with --cert and --key"
                .to_owned()
        }
        ClientError::Closed { code, .. } => format!("; {}", code.advice()),
        ClientError::Refused { code: Code::OFFSET_BEYOND_END, .. } => {
            "; the position is of another log: begin --from beginning or --from latest".to_owned()
        }
        ClientError::Refused { advice, .. } if !advice.is_empty() => format!("; {}", clean(advice)),
        ClientError::Refused { code, .. } => format!("; {}", code.advice()),
        ClientError::Forbidden(_) => "; ask who runs the node for the permission".to_owned(),
        _ => String::new(),
    }
}

fn commit_help(error: &CommitError) -> String {
    match error {
        CommitError::Client(error) => help(error),
        CommitError::Refused { code, .. } => format!("; {}", code.advice()),
        _ => String::new(),
    }
}
