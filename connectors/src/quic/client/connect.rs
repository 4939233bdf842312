//! Where a node is, how it is known to be the right one, and who the client is to it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::quic::tls::{ClientIdentity, Fingerprint, ServerTrust};

/// The port of a node's QUIC listener unless it is configured otherwise.
const PORT: u16 = 4433;

/// The address of a node: `quic://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name or IP address, without brackets.
    pub host: String,
    /// UDP port.
    pub port: u16,
}

/// A text that is no address of a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; write for example quic://127.0.0.1:4433 or quic://node.example")]
pub struct AddressError(&'static str);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let Some(rest) = text.strip_prefix("quic://") else {
            return Err(AddressError("an address of a QUIC listener begins with quic://"));
        };
        if rest.contains('@') {
            return Err(AddressError("an address holds no user name and no password"));
        }
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(AddressError("an address has no path"));
        }
        Self::of_authority(authority).ok_or(AddressError("this is no host with a port"))
    }
}

impl Address {
    /// Of `host`, `host:port` or `[IPv6]:port`.
    pub(super) fn of_authority(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, behind) = rest.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (host, if behind.is_empty() { None } else { Some(behind.strip_prefix(':')?) })
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let is_host = |c: char| !c.is_whitespace() && !c.is_control();
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port > 0)?,
            None => PORT,
        };
        (!host.is_empty() && host.chars().all(is_host)).then(|| Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "quic://[{}]:{}", self.host, self.port),
            false => write!(f, "quic://{}:{}", self.host, self.port),
        }
    }
}

/// What became of the connection, for a log or a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The connection is gone or could not be made, and is tried again.
    Away(String),
    /// There is a connection again.
    Back,
    /// What the node finds doubtful about the filter.
    FilterWarning(String),
    /// A node that acknowledged before it synced has crashed, and has lost so many acknowledged events.
    Forgotten(u64),
}

type Watch = Arc<dyn Fn(&Notice) + Send + Sync>;
type TokenSource = Arc<dyn Fn() -> String + Send + Sync>;

/// How a node is reached. Cloned, it can serve several publishers and subscribers.
#[derive(Clone)]
pub struct Connect {
    pub(super) address: Address,
    pub(super) trust: ServerTrust,
    pub(super) identity: Option<ClientIdentity>,
    pub(super) token: Option<TokenSource>,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) agent: String,
    pub(super) idle_timeout: Duration,
    pub(super) first_timeout: Duration,
    pub(super) retry_max: Duration,
    pub(super) watch: Option<Watch>,
}

impl Connect {
    /// To a node at `quic://host:port`, whose certificate must be of an authority that the system trusts.
    pub fn to(address: &str) -> Result<Self, AddressError> {
        Ok(Self::at(address.parse()?))
    }

    /// The same, with the address read already.
    pub fn at(address: Address) -> Self {
        Self {
            address,
            trust: ServerTrust::System,
            identity: None,
            token: None,
            user: String::new(),
            password: String::new(),
            agent: concat!("anabranch/", env!("CARGO_PKG_VERSION")).to_owned(),
            idle_timeout: Duration::from_secs(15),
            first_timeout: Duration::from_secs(10),
            retry_max: Duration::from_secs(5),
            watch: None,
        }
    }

    /// Where the node is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The node's certificate must be of an authority in this PEM file.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.trust = ServerTrust::Authorities(path.into());
        self
    }

    /// The node's certificate must be this one; neither its names nor its dates matter.
    pub fn fingerprint(mut self, fingerprint: Fingerprint) -> Self {
        self.trust = ServerTrust::Fingerprint(fingerprint);
        self
    }

    /// Nobody is checked: whoever stands between can read and change everything.
    pub fn insecure(mut self) -> Self {
        self.trust = ServerTrust::Insecure;
        self
    }

    /// The client shows a certificate.
    pub fn identity(mut self, identity: ClientIdentity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The client has a bearer token.
    pub fn token(self, token: impl Into<String>) -> Self {
        let token = token.into();
        self.token_from(move || token.clone())
    }

    /// The client has bearer tokens that end: the function is asked for one before each connection.
    pub fn token_from(mut self, source: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.token = Some(Arc::new(source));
        self
    }

    /// The client has a user name and a password.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        (self.user, self.password) = (name.into(), password.into());
        self
    }

    /// Program and version, for the node's log.
    pub fn agent(mut self, agent: impl Into<String>) -> Self {
        self.agent = agent.into();
        self
    }

    /// Longest silence before the connection counts as gone; a third of it is the longest silence before the node is asked whether it
    /// is there. 15 seconds unless said. At least 300 ms.
    pub fn idle_timeout(mut self, silence: Duration) -> Self {
        self.idle_timeout = silence.clamp(Duration::from_millis(300), Duration::from_secs(3600));
        self
    }

    /// Longest wait for the first connection. 10 seconds unless said.
    pub fn first_timeout(mut self, wait: Duration) -> Self {
        self.first_timeout = wait;
        self
    }

    /// Longest pause between two attempts to connect again. 5 seconds unless said.
    pub fn retry_max(mut self, pause: Duration) -> Self {
        self.retry_max = pause;
        self
    }

    /// Is told what becomes of the connection. It must not block: the connection waits for it.
    pub fn watch(mut self, watch: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        self.watch = Some(Arc::new(watch));
        self
    }

    pub(super) fn tell(&self, notice: &Notice) {
        if let Some(watch) = &self.watch {
            watch(notice);
        }
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing secret.
        f.debug_struct("Connect")
            .field("address", &self.address)
            .field("trust", &self.trust)
            .field("identity", &self.identity)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
