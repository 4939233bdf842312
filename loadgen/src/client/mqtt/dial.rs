//! Opens connections: address, source address, TLS, CONNECT and its answer.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;

use super::MqttError;
use super::codec::{CodecError, ConnAck, Connect, Packet, connack_reason, decode, is_lasting};
use super::plan::Access;
use crate::client::tls::Tls;

/// From so many connections on, those to a loopback address come from several: a source address has about 28,000 ports.
const CONNECTIONS_PER_SOURCE: u32 = 20_000;
/// An answer to CONNECT is no longer than this.
const CONNACK_BYTES_MAX: usize = 64 * 1024;

/// A byte stream, with or without TLS.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Reads into `buffer`: how many bytes, 0 at the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
        })?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Writes some of `bytes`, never none of them.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        })?;
        Poll::Ready(if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) })
    }

    /// Until TLS has handed everything to the socket.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Says that nothing more will be written.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    pub(super) async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = poll_fn(|cx| self.poll_write(cx, bytes)).await?;
            bytes = &bytes[written..];
        }
        poll_fn(|cx| self.poll_flush(cx)).await
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum DialError {
    /// Another attempt may do.
    Again(String),
    /// Another attempt would end the same way.
    Fatal(MqttError),
}

/// What a new connection begins with.
pub(super) struct Dialed {
    pub stream: Stream,
    pub connack: ConnAck,
    /// What came after CONNACK.
    pub rest: Vec<u8>,
}

/// Knows the way to a broker.
pub(super) struct Dialer {
    access: Access,
    addresses: Vec<SocketAddr>,
    sources: Vec<IpAddr>,
    tls: Option<Tls>,
}

impl Dialer {
    /// Looks the target up once. `connections`: how many there will be.
    pub(super) async fn new(access: Access, sources: Vec<IpAddr>, connections: u32) -> Result<Self, MqttError> {
        let target = &access.target;
        let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
        let addresses: Vec<SocketAddr> = found
            .map_err(|error| MqttError::Resolve { target: target.to_string(), error: error.to_string() })?
            .filter(|address| sources.is_empty() || sources.iter().any(|source| source.is_ipv4() == address.is_ipv4()))
            .collect();
        if addresses.is_empty() {
            let error = "it has no address of the kind of the source addresses".to_owned();
            return Err(MqttError::Resolve { target: target.to_string(), error });
        }
        let tls = target.tls.then(|| Tls::new(&target.host, access.tls_ca.as_deref())).transpose()?;
        let all_loopback = addresses.iter().all(|address| address.is_ipv4() && address.ip().is_loopback());
        let sources = if sources.is_empty() && all_loopback && connections > CONNECTIONS_PER_SOURCE {
            let first = u32::from(Ipv4Addr::LOCALHOST);
            (0..connections.div_ceil(CONNECTIONS_PER_SOURCE)).map(|n| Ipv4Addr::from(first + n).into()).collect()
        } else {
            sources
        };
        Ok(Self { access, addresses, sources, tls })
    }

    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    /// Opens connection `number` for the `attempt`-th time.
    pub(super) async fn dial(&self, number: u32, attempt: u32, connect: &Connect<'_>) -> Result<Dialed, DialError> {
        let target = &self.access.target;
        let timeout = self.access.request_timeout;
        match tokio::time::timeout(timeout, self.dial_untimed(number, attempt, connect)).await {
            Ok(dialed) => dialed,
            Err(_) => Err(DialError::Again(format!("cannot connect to {target} within {timeout:?}"))),
        }
    }

    async fn dial_untimed(&self, number: u32, attempt: u32, connect: &Connect<'_>) -> Result<Dialed, DialError> {
        let (target, version) = (&self.access.target, self.access.version);
        let again = |error: io::Error| DialError::Again(format!("cannot connect to {target}: {error}"));
        let codec = |error: CodecError| DialError::Fatal(MqttError::Codec { target: target.to_string(), error });
        let mut first = Vec::new();
        connect.write(version, &mut first).map_err(codec)?;
        let mut stream = self.open(number, attempt).await.map_err(again)?;
        stream.write_all(&first).await.map_err(again)?;
        let mut read = Vec::new();
        let mut buffer = [0; 256];
        loop {
            let count = poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await.map_err(again)?;
            if count == 0 {
                return Err(DialError::Again(format!("{target} closed the connection instead of answering CONNECT")));
            }
            read.extend_from_slice(&buffer[..count]);
            let Some((packet, used)) = decode(version, &read, CONNACK_BYTES_MAX).map_err(codec)? else { continue };
            let Packet::ConnAck(connack) = packet else {
                return Err(codec(CodecError::Unexpected(read[0])));
            };
            if connack.reason == 0 {
                read.drain(..used);
                read.shrink_to_fit();
                return Ok(Dialed { stream, connack, rest: read });
            }
            let reason = connack_reason(version, connack.reason);
            if is_lasting(version, connack.reason) {
                let client = connect.client_id.to_owned();
                return Err(DialError::Fatal(MqttError::Refused { target: target.to_string(), client, reason }));
            }
            return Err(DialError::Again(format!("{target} refused a connection: {reason}")));
        }
    }

    async fn open(&self, number: u32, attempt: u32) -> io::Result<Stream> {
        let turn = number.wrapping_add(attempt) as usize;
        let (address, socket) = if self.sources.is_empty() {
            // Attempts take turns, so that of two addresses the living one is found.
            let address = self.addresses[attempt as usize % self.addresses.len()];
            (address, if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? })
        } else {
            let source = self.sources[turn % self.sources.len()];
            let fits = |address: &&SocketAddr| address.is_ipv4() == source.is_ipv4();
            let address = self.addresses.iter().find(fits).copied().ok_or(io::ErrorKind::AddrNotAvailable)?;
            let socket = if source.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            // Ports of connections that ended a moment ago are free for others.
            socket.set_reuseaddr(true)?;
            socket.bind(SocketAddr::new(source, 0))?;
            (address, socket)
        };
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Stream::Plain(stream)),
            Some(tls) => Ok(Stream::Tls(Box::new(tls.connector.connect(tls.name.clone(), stream).await?))),
        }
    }
}
