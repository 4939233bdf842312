//! A WebSocket as a stream of bytes: packets may span messages, and messages may hold many packets.
//!
//! What always holds: only binary messages carry bytes, a text message ends the connection; at most one answer to a ping waits to
//! be sent, because nothing more is read before it is gone.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use tokio_websockets::{CloseCode, Config, Error, Limits, Message, ServerBuilder, WebSocketStream};

use super::Transport;

/// Most bytes of one message that we send: what a write takes is copied once into a frame of its own.
const FRAME_BYTES_MAX: usize = 64 * 1024;

/// The server's end.
#[derive(Debug)]
pub struct WebSocket {
    stream: WebSocketStream<Transport>,
    /// What is left of the last message.
    pending: Bytes,
    /// An answer to a ping has to go before more is read.
    must_flush: bool,
    farewell_is_sent: bool,
    is_from_foreign_page: bool,
}

impl WebSocket {
    /// After the handshake.
    pub(super) fn new(below: Transport, message_bytes_max: usize, is_from_foreign_page: bool) -> Self {
        let stream = ServerBuilder::new()
            .config(Config::default().frame_size(FRAME_BYTES_MAX))
            .limits(Limits::default().max_payload_len(Some(message_bytes_max)))
            .serve(below);
        Self { stream, pending: Bytes::new(), must_flush: false, farewell_is_sent: false, is_from_foreign_page }
    }

    pub(super) fn below(&self) -> &Transport {
        self.stream.get_ref()
    }

    pub(super) fn is_from_foreign_page(&self) -> bool {
        self.is_from_foreign_page
    }

    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        while self.pending.is_empty() {
            if self.must_flush {
                ready!(self.poll_flush(cx))?;
                self.must_flush = false;
            }
            let message = match ready!(Pin::new(&mut self.stream).poll_next(cx)) {
                None => return Poll::Ready(Ok(0)),
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    // The library has put a reason for the other side into its queue; that it leaves is all we can do.
                    let _ = self.poll_flush(cx);
                    return Poll::Ready(end_or_fault(error));
                }
            };
            if message.is_binary() {
                self.pending = message.into_payload().into();
            } else if message.is_text() {
                if !self.farewell_is_sent {
                    let reason = Message::close(Some(CloseCode::UNSUPPORTED_DATA), "MQTT needs binary messages");
                    let _ = self.queue_farewell(reason);
                    let _ = self.poll_flush(cx);
                }
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a text message over WebSocket")));
            } else {
                self.must_flush = message.is_ping();
            }
        }
        let count = self.pending.len().min(into.len());
        into[..count].copy_from_slice(&self.pending[..count]);
        self.pending.advance(count);
        if self.pending.is_empty() {
            // The message's memory goes back now, not when the next one comes.
            self.pending = Bytes::new();
        }
        Poll::Ready(Ok(count))
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.stream).poll_ready(cx)).map_err(fault)?;
        let count = bytes.len().min(FRAME_BYTES_MAX);
        let message = Message::binary(Bytes::copy_from_slice(&bytes[..count]));
        Poll::Ready(Pin::new(&mut self.stream).start_send(message).map(|()| count).map_err(fault))
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx).map_err(fault)
    }

    /// Says farewell and ends our side. The library's own way would wait for the other's farewell.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.farewell_is_sent {
            // Where the client was first, its farewell is answered already.
            let _ = self.queue_farewell(Message::close(Some(CloseCode::NORMAL_CLOSURE), ""));
        }
        ready!(self.poll_flush(cx))?;
        self.stream.get_mut().poll_shutdown(cx)
    }

    fn queue_farewell(&mut self, message: Message) -> Result<(), Error> {
        self.farewell_is_sent = true;
        Pin::new(&mut self.stream).start_send(message)
    }
}

fn fault(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

fn end_or_fault(error: Error) -> io::Result<usize> {
    match fault(error) {
        error if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
        error => Err(error),
    }
}
