//! Opens connections: address, handshake, HELLO and its answer.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig, IdleTimeout, RecvStream, SendStream,
    TokioRuntime, TransportConfig, VarInt,
};

use super::QuicError;
use super::codec::{Control, Frames, Hello, Welcome, code, write_hello};
use super::plan::Access;
use super::trust::client_crypto;

/// Bytes that may come on a connection before they are read.
const CONNECTION_BYTES: u32 = 16 << 20;
/// Bytes sent and not acknowledged.
const SEND_BYTES: u64 = 8 << 20;
/// What the system should keep for the socket that all connections of a thread share.
const SOCKET_BYTES: usize = 8 << 20;
/// Streams that a node may open: one for each group of each subscription.
const DATA_STREAMS_MAX: u32 = 65_536;
const AGENT: &str = concat!("loadgen/", env!("CARGO_PKG_VERSION"));

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum DialError {
    /// Another attempt may do.
    Again(String),
    /// Another attempt would end the same way.
    Fatal(QuicError),
}

/// A connection whose HELLO was answered.
pub(super) struct Link {
    pub connection: Connection,
    pub send: SendStream,
    pub control: ControlReader,
    pub welcome: Welcome,
}

/// The node's side of the control stream.
pub(super) struct ControlReader {
    stream: RecvStream,
    frames: Frames,
}

impl ControlReader {
    /// The next frame; not to be dropped while it waits.
    pub(super) async fn next(&mut self, access: &Access) -> Result<Control, DialError> {
        loop {
            let frame = self.frames.control().map_err(|error| not_the_protocol(access, error))?;
            if let Some(frame) = frame {
                return Ok(frame);
            }
            match self.stream.read_chunk(usize::MAX, true).await {
                Ok(Some(chunk)) => self.frames.push(&chunk.bytes),
                Ok(None) => return Err(DialError::Again("the node ended the control stream".to_owned())),
                Err(quinn::ReadError::ConnectionLost(error)) => return Err(ended(access, error)),
                Err(error) => return Err(DialError::Again(error.to_string())),
            }
        }
    }
}

/// Knows the way to a node.
pub(super) struct Dialer {
    access: Access,
    addresses: Vec<SocketAddr>,
    config: ClientConfig,
}

impl Dialer {
    /// Looks the target up once.
    pub(super) async fn new(access: Access) -> Result<Self, QuicError> {
        let target = &access.target;
        let fail = |error: String| QuicError::Resolve { target: target.to_string(), error };
        let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
        let addresses: Vec<SocketAddr> = found.map_err(|error| fail(error.to_string()))?.collect();
        if addresses.is_empty() {
            return Err(fail("it has no address".to_owned()));
        }
        let mut config = ClientConfig::new(client_crypto(&access.trust)?);
        let mut transport = TransportConfig::default();
        let idle = IdleTimeout::try_from(access.idle_timeout)
            .map_err(|_| QuicError::Fault(format!("an idle timeout cannot be {:?}", access.idle_timeout)))?;
        transport
            .max_idle_timeout(Some(idle))
            .keep_alive_interval(Some(access.idle_timeout / 3))
            .stream_receive_window(VarInt::from_u32(access.stream_bytes))
            .receive_window(VarInt::from_u32(CONNECTION_BYTES))
            .send_window(SEND_BYTES)
            .max_concurrent_bidi_streams(VarInt::from_u32(0))
            .max_concurrent_uni_streams(VarInt::from_u32(DATA_STREAMS_MAX));
        config.transport_config(Arc::new(transport));
        Ok(Self { access, addresses, config })
    }

    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    /// A socket for all connections of a thread. To be called inside its runtime.
    pub(super) fn endpoint(&self) -> Result<Endpoint, QuicError> {
        let any: SocketAddr = match self.addresses[0].is_ipv4() {
            true => (Ipv4Addr::UNSPECIFIED, 0).into(),
            false => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let opened = UdpSocket::bind(any).and_then(|socket| {
            // The system gives what it allows; with less, bursts are lost and sent again.
            let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BYTES);
            let _ = rustix::net::sockopt::set_socket_send_buffer_size(&socket, SOCKET_BYTES);
            Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime))
        });
        opened.map_err(|error| QuicError::Socket(error.to_string()))
    }

    /// Opens a connection, for the `attempt`-th time.
    pub(super) async fn dial(&self, endpoint: &Endpoint, attempt: u32) -> Result<Link, DialError> {
        let (target, timeout) = (&self.access.target, self.access.request_timeout);
        match tokio::time::timeout(timeout, self.dial_untimed(endpoint, attempt)).await {
            Ok(dialed) => dialed,
            Err(_) => Err(DialError::Again(format!("cannot connect to {target} within {timeout:?}"))),
        }
    }

    async fn dial_untimed(&self, endpoint: &Endpoint, attempt: u32) -> Result<Link, DialError> {
        let access = &self.access;
        // Attempts take turns, so that of two addresses the living one is found. One socket is of one kind.
        let usable: Vec<_> =
            self.addresses.iter().filter(|address| address.is_ipv4() == self.addresses[0].is_ipv4()).collect();
        let address = *usable[attempt as usize % usable.len()];
        let connecting = endpoint
            .connect_with(self.config.clone(), address, &access.target.host)
            .map_err(|error| DialError::Fatal(QuicError::Fault(error.to_string())))?;
        let connection = connecting.await.map_err(|error| ended(access, error))?;
        let (mut send, stream) = connection.open_bi().await.map_err(|error| ended(access, error))?;
        let mut hello = Vec::new();
        let (token, user, password) = (access.token.as_deref(), access.user.as_deref(), access.password.as_deref());
        write_hello(&Hello { agent: AGENT, token, user, password }, &mut hello);
        send.write_all(&hello).await.map_err(|error| write_ended(access, &connection, error))?;
        let mut control = ControlReader { stream, frames: Frames::default() };
        match control.next(access).await? {
            Control::Welcome(welcome) => Ok(Link { connection, send, control, welcome }),
            _ => Err(DialError::Fatal(QuicError::Protocol {
                target: access.target.to_string(),
                what: "an answer other than WELCOME".to_owned(),
            })),
        }
    }
}

pub(super) fn not_the_protocol(access: &Access, what: impl ToString) -> DialError {
    DialError::Fatal(QuicError::Protocol { target: access.target.to_string(), what: what.to_string() })
}

/// What the end of a stream for writing means.
pub(super) fn write_ended(access: &Access, connection: &Connection, error: quinn::WriteError) -> DialError {
    match connection.close_reason() {
        Some(reason) => ended(access, reason),
        None => DialError::Again(error.to_string()),
    }
}

/// What the end of a connection means.
pub(super) fn ended(access: &Access, error: ConnectionError) -> DialError {
    let target = access.target.to_string();
    match &error {
        ConnectionError::ApplicationClosed(closed) => {
            let number = closed.error_code.into_inner();
            let reason = String::from_utf8_lossy(&closed.reason).into_owned();
            match number {
                number if code::is_unwanted(number) => {
                    DialError::Fatal(QuicError::Refused { target, code: number, reason })
                }
                number if code::is_fault(number) => {
                    let what = format!("it ended the connection with code {number:#04x}: {reason}");
                    DialError::Fatal(QuicError::Protocol { target, what })
                }
                _ => DialError::Again(format!("{target} ended the connection with code {number:#04x}: {reason}")),
            }
        }
        // A fault of TLS: another certificate than was asked for, or no protocol in common.
        ConnectionError::TransportError(fault) if (0x100..0x200).contains(&u64::from(fault.code)) => {
            DialError::Fatal(QuicError::Handshake { target, why: error.to_string() })
        }
        _ => DialError::Again(format!("the connection to {target} broke: {error}")),
    }
}

/// Takes leave: what is closed is told so, if it can be.
pub(super) async fn leave(endpoint: &Endpoint) {
    // Whoever does not answer is not waited for.
    let _ = tokio::time::timeout(Duration::from_secs(1), endpoint.wait_idle()).await;
}
