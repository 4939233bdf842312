//! What a run is to do, where to, and how the far end is known to be the right one.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;

use crate::fleet::Model;
use crate::pace::Pace;

/// Where to: `quic://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(super) host: String,
    pub(super) port: u16,
}

/// A text that names no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the address of a node; write it as quic://127.0.0.1:4433")]
pub struct TargetError(String);

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let wrong = || TargetError(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        if uri.scheme_str() != Some("quic") || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wrong());
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        // An IPv6 address stands in brackets.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: uri.port_u16().unwrap_or(4433) })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (left, right) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "quic://{left}{}{right}:{}", self.host, self.port)
    }
}

/// The SHA-256 of a certificate, written as `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub(super) [u8; 32]);

/// A text that is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is `sha256:` and 64 hexadecimal digits, as the node prints it when it starts")]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(FingerprintError);
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).map_err(|_| FingerprintError)?;
        }
        Ok(Self(bytes))
    }
}

/// How the node is known to be the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Its certificate is of an authority that the system trusts, or of one in this PEM file.
    Authorities(Option<PathBuf>),
    /// Its certificate is this one.
    Fingerprint(Fingerprint),
    /// Any certificate will do.
    Insecure,
}

/// How to get into a node: what publishers and subscribers have in common.
#[derive(Clone, Debug)]
pub struct Access {
    /// Where to.
    pub target: Target,
    /// Whom to trust.
    pub trust: Trust,
    /// Bearer token.
    pub token: Option<String>,
    /// User.
    pub user: Option<String>,
    /// Password.
    pub password: Option<String>,
    /// A connection on which nothing comes for so long is dead; a silent one is asked three times as often.
    pub idle_timeout: Duration,
    /// How long a handshake, an answer or an ACK may take before the connection counts as broken.
    pub request_timeout: Duration,
    /// How long a connection is tried again before it is given up.
    pub give_up_after: Duration,
    /// Bytes that may come on one stream before they are read.
    pub stream_bytes: u32,
}

impl Access {
    /// As nobody in particular; dead after 10 seconds, answers within 30, a minute before giving up.
    pub fn new(target: Target, trust: Trust) -> Self {
        Self {
            target,
            trust,
            token: None,
            user: None,
            password: None,
            idle_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            give_up_after: Duration::from_secs(60),
            stream_bytes: 4 << 20,
        }
    }
}

/// A fleet that publishes.
#[derive(Clone, Debug)]
pub struct QuicPlan {
    /// Where to and how to get in.
    pub access: Access,
    /// What the devices are like.
    pub model: Arc<Model>,
    /// Size of the fleet.
    pub devices: u32,
    /// Events to send; `u64::MAX` goes on until told to stop.
    pub events: u64,
    /// Connections, each a gateway that carries its share of the devices, with a producer of its own.
    pub connections: u32,
    /// Publish streams of a connection; partitions are divided among them.
    pub streams: u32,
    /// Threads that carry the connections.
    pub threads: u32,
    /// Closed loop, or a rate.
    pub pace: Pace,
    /// The fleet's seed.
    pub seed: u64,
    /// Most bytes of records without an ACK of one connection.
    pub window_bytes: usize,
    /// A PUBLISH is filled up to about this, unless there is nothing to wait for.
    pub frame_bytes: usize,
    /// In an open loop: what comes due within this time leaves together.
    pub linger: Duration,
}

impl QuicPlan {
    /// A closed loop without an end: 8 gateways on one thread, each with 2 MiB under way in frames of 32 KiB. In an open loop they
    /// linger for a quarter of a millisecond.
    pub fn new(access: Access, devices: u32) -> Self {
        Self {
            access,
            model: Model::telemetry(),
            devices,
            events: u64::MAX,
            connections: 8,
            streams: 1,
            threads: 1,
            pace: Pace::Closed,
            seed: 1,
            window_bytes: 2 << 20,
            frame_bytes: 32 << 10,
            linger: Duration::from_micros(250),
        }
    }
}

/// Where a subscription begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// Behind the last event.
    Latest,
    /// At the first event that the log has.
    Earliest,
    /// At the first event accepted at this time or later, milliseconds since 1970.
    TimeMs(u64),
    /// Where this name committed last; where it did not, at the first event.
    Cursor(String),
    /// At these offsets, of these partitions alone.
    Offsets(Vec<(u32, u64)>),
}

/// What is subscribed to, and how.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// A named route; `None`: the hub.
    pub route: Option<String>,
    /// Filter on the hub's events.
    pub filter: Option<String>,
    /// The filter's dialect, if not the node's own.
    pub dialect: Option<String>,
    /// Where it begins.
    pub from: From,
    /// Credit that is kept up: half of it is given again when it is used.
    pub credit_bytes: u64,
    /// Data streams wanted.
    pub groups: u32,
    /// What is read of 1 whole, 2 masked, 4 packed.
    pub encodings: u32,
}

impl Default for Wanted {
    /// All that comes from now on, on one stream, with 4 MiB of credit.
    fn default() -> Self {
        Self {
            route: None,
            filter: None,
            dialect: None,
            from: From::Latest,
            credit_bytes: 4 << 20,
            groups: 1,
            encodings: 7,
        }
    }
}
