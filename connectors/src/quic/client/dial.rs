//! Making a connection: names, sockets, and which of several addresses answers first.

use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use quinn::{Connection, ConnectionError, Endpoint, IdleTimeout, TransportConfig, VarInt, ZeroRttAccepted};

use super::connect::{Address, Connect};
use super::error::ClientError;
use crate::quic::endpoint::Alpn;
use crate::quic::tls::client_config;

/// Pause between beginnings with the addresses of one name.
const STAGGER: Duration = Duration::from_millis(250);
/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 6;
/// Bytes of a data stream that wait to be read: they are read at once, so this is what a path with much delay holds.
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Most data streams of a subscription.
const STREAMS_MAX: u32 = 64;

/// A connection, and the socket under it.
pub(super) struct Dialled {
    pub endpoint: Endpoint,
    pub connection: Connection,
    /// The handshake is not over: it speaks in 0-RTT.
    pub early: Option<ZeroRttAccepted>,
}

/// What there is no connection for.
pub(super) enum DialError {
    /// The name is not known, or no socket can be had.
    System(io::Error),
    Connection(ConnectionError),
    Late,
}

/// TLS, and what the connections have in common. Kept, so that sessions can be resumed.
pub(super) fn settings(connect: &Connect) -> Result<quinn::ClientConfig, ClientError> {
    let made = client_config(&connect.trust, connect.identity.as_ref(), Alpn::Anabranch);
    let mut config = made.map_err(|error| ClientError::Tls(Arc::new(error)))?;
    let mut transport = TransportConfig::default();
    // A duration below an hour has less milliseconds than a number of QUIC can say.
    let idle = IdleTimeout::try_from(connect.idle_timeout).unwrap_or_else(|_| VarInt::MAX.into());
    transport
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(connect.idle_timeout / 3))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(STREAMS_MAX))
        .datagram_receive_buffer_size(None)
        .datagram_send_buffer_size(0);
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// A socket of the system's choice that reaches `remote`.
pub(super) fn socket(is_v4: bool) -> io::Result<UdpSocket> {
    UdpSocket::bind(match is_v4 {
        true => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        false => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    })
}

fn endpoint(remote: SocketAddr) -> io::Result<Endpoint> {
    let runtime = Arc::new(quinn::TokioRuntime);
    Endpoint::new(quinn::EndpointConfig::default(), None, socket(remote.is_ipv4())?, runtime)
}

/// Connects within `wait`, in 0-RTT if that may and can be.
pub(super) async fn dial(
    address: &Address,
    config: &quinn::ClientConfig,
    wait: Duration,
    may_be_early: bool,
) -> Result<Dialled, DialError> {
    match tokio::time::timeout(wait, reach(address, config, may_be_early)).await {
        Ok(reached) => reached,
        Err(_) => Err(DialError::Late),
    }
}

async fn reach(address: &Address, config: &quinn::ClientConfig, may_be_early: bool) -> Result<Dialled, DialError> {
    let found = tokio::net::lookup_host((address.host.as_str(), address.port)).await.map_err(DialError::System)?;
    let found: Vec<SocketAddr> = found.take(ADDRESSES_MAX).collect();
    // With several it is not known which one was here before, and whoever answers first is to be the one.
    let may_be_early = may_be_early && found.len() == 1;
    let mut attempts: FuturesUnordered<_> = found
        .into_iter()
        .enumerate()
        .map(|(index, remote)| async move {
            tokio::time::sleep(STAGGER * index as u32).await;
            one(remote, &address.host, config, may_be_early).await
        })
        .collect();
    let mut last = None;
    while let Some(attempt) = attempts.next().await {
        match attempt {
            Ok(dialled) => return Ok(dialled),
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(error),
        None => Err(DialError::System(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))),
    }
}

async fn one(
    remote: SocketAddr,
    name: &str,
    config: &quinn::ClientConfig,
    may_be_early: bool,
) -> Result<Dialled, DialError> {
    let endpoint = endpoint(remote).map_err(DialError::System)?;
    let connecting = endpoint
        .connect_with(config.clone(), remote, name)
        .map_err(|error| DialError::System(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    let connecting = match may_be_early {
        true => match connecting.into_0rtt() {
            Ok((connection, accepted)) => return Ok(Dialled { endpoint, connection, early: Some(accepted) }),
            Err(connecting) => connecting,
        },
        false => connecting,
    };
    let connection = connecting.await.map_err(DialError::Connection)?;
    Ok(Dialled { endpoint, connection, early: None })
}

/// Whether what was sent in 0-RTT has arrived; never, if nothing was.
pub(super) async fn early_refused(early: Option<ZeroRttAccepted>) {
    let is_accepted = match early {
        Some(accepted) => accepted.await,
        None => true,
    };
    if is_accepted {
        pending().await
    }
}
