//! The ways bytes come from and go to a client: TCP, TLS, WebSocket, and both.
//!
//! What always holds: a [`Transport`] is a stream of MQTT bytes, whatever frames carried them; it keeps no buffer of its own on
//! plain TCP; handshakes are bounded in bytes (their time is the caller's to bound).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::access::ClientCertificate;

/// A connection of whichever kind. Small, because most of a fleet is silent most of the time: what is large is boxed.
#[derive(Debug)]
pub enum Transport {
    /// Plain TCP.
    Tcp(TcpStream),
}

impl Transport {
    /// Reads what is there; 0: the client has ended its side.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(into);
        let done = match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
        };
        done.map_ok(|()| buffer.filled().len())
    }

    /// Writes some of `bytes`; how many were taken.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    /// Sends what was taken and still lies here.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Ends our side; the client's can still be read.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    /// The certificate that the client showed and proved to own.
    pub fn certificate(&self) -> Option<ClientCertificate> {
        match self {
            Self::Tcp(_) => None,
        }
    }

    /// `tcp`, `tls`, `ws` or `wss`, for logs and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
        }
    }
}
