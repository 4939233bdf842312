//! The ways bytes come from and go to a client: TCP, TLS, WebSocket, both, and QUIC.
//!
//! What always holds: a [`Transport`] is a stream of MQTT bytes, whatever frames carried them; it keeps no buffer of its own on
//! plain TCP; handshakes are bounded in bytes (their time is the caller's to bound).

mod quic;
mod upgrade;
mod websocket;
#[cfg(test)]
mod tests;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::access::ClientCertificate;
use super::tls::TlsSource;
use crate::quic::endpoint::Arrived;
use quic::Quic;
use websocket::WebSocket;

pub use quic::DATA_STREAMS_MAX;

/// A connection of whichever kind. Small, because most of a fleet is silent most of the time: what is large is boxed.
#[derive(Debug)]
pub enum Transport {
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS over TCP.
    Tls(Box<Tls>),
    /// WebSocket over one of the others.
    Ws(Box<WebSocket>),
    /// Streams of a QUIC connection.
    Quic(Box<Quic>),
}

/// A TLS connection after its handshake.
#[derive(Debug)]
pub struct Tls {
    stream: TlsStream<TcpStream>,
    certificate: Option<ClientCertificate>,
}

/// Does the server's part of a TLS handshake.
pub async fn accept_tls(stream: TcpStream, source: &TlsSource) -> io::Result<Transport> {
    let handshake = source.handshake();
    let stream = handshake.acceptor.accept(stream).await?;
    let certificate = handshake.certificate(stream.get_ref().1.peer_certificates());
    Ok(Transport::Tls(Box::new(Tls { stream, certificate })))
}

/// Does the server's part of a WebSocket handshake. `message_bytes_max` is the largest WebSocket message that is taken; an MQTT
/// packet of the largest size has to fit.
pub async fn accept_ws(stream: TcpStream, message_bytes_max: usize) -> io::Result<Transport> {
    upgrade::accept(Transport::Tcp(stream), message_bytes_max).await
}

/// TLS first, and WebSocket in it.
pub async fn accept_wss(stream: TcpStream, source: &TlsSource, message_bytes_max: usize) -> io::Result<Transport> {
    upgrade::accept(accept_tls(stream, source).await?, message_bytes_max).await
}

/// Waits for the first stream of a QUIC connection that speaks MQTT.
pub async fn accept_quic(arrived: Arrived) -> io::Result<Transport> {
    Ok(Transport::Quic(Box::new(Quic::accept(arrived).await?)))
}

impl Transport {
    /// Reads what is there; 0: the client has ended its side.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(into);
        let done = match self {
            Self::Ws(socket) => return socket.poll_read(cx, into),
            Self::Quic(quic) => return quic.poll_read(cx, into),
            below => below.poll_read_stream(cx, &mut buffer),
        };
        done.map_ok(|()| buffer.filled().len())
    }

    fn poll_read_stream(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(tls) => match Pin::new(&mut tls.stream).poll_read(cx, buffer) {
                // Devices hang up without a word of TLS. MQTT sees by itself whether something is cut off.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
                other => other,
            },
            Self::Ws(socket) => {
                socket.poll_read(cx, buffer.initialize_unfilled()).map_ok(|count| buffer.advance(count))
            }
            Self::Quic(quic) => quic.poll_read(cx, buffer.initialize_unfilled()).map_ok(|count| buffer.advance(count)),
        }
    }

    /// Writes some of `bytes`, which end where an MQTT packet ends; how many were taken. What was taken may lie here until
    /// [`Transport::poll_flush`].
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_write(cx, bytes),
            Self::Ws(socket) => socket.poll_write(cx, bytes),
            Self::Quic(quic) => quic.poll_write(cx, bytes),
        }
    }

    /// Sends what was taken and still lies here.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_flush(cx),
            Self::Ws(socket) => socket.poll_flush(cx),
            Self::Quic(quic) => quic.poll_flush(),
        }
    }

    /// Ends our side, with the farewells of TLS and WebSocket; the client's side can still be read.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_shutdown(cx),
            Self::Ws(socket) => socket.poll_shutdown(cx),
            Self::Quic(quic) => quic.poll_shutdown(cx),
        }
    }

    /// The certificate that the client showed and proved to own.
    pub fn certificate(&self) -> Option<ClientCertificate> {
        match self {
            Self::Tcp(_) => None,
            Self::Tls(tls) => tls.certificate.clone(),
            Self::Ws(socket) => socket.below().certificate(),
            Self::Quic(quic) => quic.certificate(),
        }
    }

    /// Whether a web page that is not of this machine opened the connection. Its browser may well run here, but whoever wrote the
    /// page does not: such a connection is none of this machine's.
    pub fn is_from_foreign_page(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Tls(_) | Self::Quic(_) => false,
            Self::Ws(socket) => socket.is_from_foreign_page(),
        }
    }

    /// `tcp`, `tls`, `ws`, `wss` or `quic`, for logs and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::Tls(_) => "tls",
            Self::Ws(socket) => match socket.below() {
                Self::Tcp(_) => "ws",
                _ => "wss",
            },
            Self::Quic(_) => "quic",
        }
    }
}

/// What the WebSocket library reads from.
impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_read_stream(cx, into)
    }
}

/// And writes to.
impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Transport::poll_write(self.get_mut(), cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_write_vectored(cx, parts),
            Self::Ws(socket) => {
                let first = parts.iter().find(|part| !part.is_empty());
                socket.poll_write(cx, first.map_or(&[], |part| part))
            }
            // Parts need not end where a packet ends; nothing is framed over QUIC.
            Self::Quic(_) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Transport::poll_flush(self.get_mut(), cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Transport::poll_shutdown(self.get_mut(), cx)
    }
}
