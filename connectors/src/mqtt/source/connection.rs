//! The task of one connection: writes what is to be written, reads what is there, and at the end gives the client a moment to
//! read why.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

use super::{Core, READ_BYTES_MAX};
use crate::mqtt::broker::Broker;
use crate::mqtt::connection::Phase;
use crate::mqtt::registry::Place;
use crate::mqtt::transport::Transport;

/// Reads of one connection before others on the core have their turn.
const READS_PER_POLL_MAX: usize = 4;
/// How long a connection that is over may take to send the rest and to end: a client that is told why shall be able to read it.
const LINGER: Duration = Duration::from_secs(1);
/// A piece of a packet that is longer is read on in its own memory, not in the core's buffer.
const SHORT_PIECE_BYTES_MAX: usize = READ_BYTES_MAX;

/// See the module. Small, because most of a fleet is silent most of the time.
pub struct ConnectionTask {
    core: Rc<Core>,
    place: Place,
    transport: Transport,
    /// It is over: until when it may take.
    ending: Option<Box<Ending>>,
}

struct Ending {
    deadline: Pin<Box<Sleep>>,
    /// The rest, taken from the broker.
    rest: Vec<u8>,
    written: usize,
    is_shut: bool,
}

impl ConnectionTask {
    /// For a connection that the broker has opened.
    pub fn new(core: Rc<Core>, place: Place, transport: Transport) -> Self {
        Self { core, place, transport, ending: None }
    }

    /// Sends what there is, as much as the socket takes. An error: the connection is gone.
    fn write(&mut self, broker: &mut Broker, cx: &mut Context<'_>) -> std::io::Result<()> {
        let Some(connection) = broker.connection(self.place) else { return Ok(()) };
        if connection.unsent() == 0 {
            return Ok(());
        }
        while connection.unsent() > 0 {
            match self.transport.poll_write(cx, &connection.out[connection.written..]) {
                Poll::Ready(Ok(0)) => return Err(std::io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(bytes)) => connection.sent(bytes),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        let is_drained = connection.unsent() == 0;
        if let Poll::Ready(Err(error)) = self.transport.poll_flush(cx) {
            return Err(error);
        }
        if is_drained && broker.drained(self.place) {
            self.core.want_turn();
        }
        Ok(())
    }

    /// Reads once. `Ready(true)`: there may be more; `Ready(false)`: the client has ended.
    fn read(&mut self, broker: &mut Broker, cx: &mut Context<'_>) -> Poll<std::io::Result<bool>> {
        let mut buffer = self.core.read_buffer.borrow_mut();
        let Some(connection) = broker.connection(self.place) else { return Poll::Ready(Ok(false)) };
        let kept = connection.partial.len();
        if kept > SHORT_PIECE_BYTES_MAX {
            let bytes = match self.transport.poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(bytes)) => bytes,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            };
            connection.partial.extend_from_slice(&buffer[..bytes]);
            drop(buffer);
            self.handle_partial(broker);
            return Poll::Ready(Ok(bytes > 0));
        }
        let bytes = match self.transport.poll_read(cx, &mut buffer[kept..kept + READ_BYTES_MAX]) {
            Poll::Ready(Ok(bytes)) => bytes,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        };
        if bytes == 0 {
            return Poll::Ready(Ok(false));
        }
        buffer[..kept].copy_from_slice(&connection.partial);
        let all = kept + bytes;
        let used = broker.input(self.place, &buffer[..all]);
        if let Some(connection) = broker.connection(self.place) {
            keep(&mut connection.partial, &buffer[used..all]);
        }
        Poll::Ready(Ok(true))
    }

    /// Handles packets that were read before.
    fn handle_partial(&mut self, broker: &mut Broker) {
        let Some(connection) = broker.connection(self.place) else { return };
        let mut partial = std::mem::take(&mut connection.partial);
        let used = broker.input(self.place, &partial);
        if let Some(connection) = broker.connection(self.place) {
            partial.drain(..used);
            connection.partial = partial;
            if connection.partial.is_empty() {
                connection.partial = Vec::new();
            }
        }
    }

    /// The broker is done with it: sends the rest, ends its side, and reads on for a moment. An end without that can make the
    /// system throw away what the client has not read yet.
    fn end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(ending) = self.ending.as_deref_mut() else { return Poll::Ready(()) };
        if ending.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        while ending.written < ending.rest.len() {
            match self.transport.poll_write(cx, &ending.rest[ending.written..]) {
                Poll::Ready(Ok(bytes)) if bytes > 0 => ending.written += bytes,
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        if !ending.is_shut {
            match self.transport.poll_shutdown(cx) {
                Poll::Ready(Ok(())) => ending.is_shut = true,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        let mut buffer = self.core.read_buffer.borrow_mut();
        for _ in 0..READS_PER_POLL_MAX {
            match self.transport.poll_read(cx, &mut buffer[..READ_BYTES_MAX]) {
                Poll::Ready(Ok(bytes)) if bytes > 0 => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The broker is done with it, if it is.
    fn leave(&mut self, broker: &mut Broker) -> bool {
        let Some(connection) = broker.connection(self.place) else {
            self.ending.get_or_insert_with(|| Box::new(Ending::new(Vec::new(), 0)));
            return true;
        };
        if connection.phase != Phase::Closed {
            return false;
        }
        let rest = std::mem::take(&mut connection.out);
        self.ending = Some(Box::new(Ending::new(rest, connection.written)));
        broker.forget(self.place);
        true
    }
}

impl Future for ConnectionTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let task = &mut *self;
        if task.ending.is_some() {
            return task.end(cx);
        }
        let core = task.core.clone();
        let mut broker = core.broker.borrow_mut();
        core.set_now(&mut broker);
        let Some(connection) = broker.connection(task.place) else { return Poll::Ready(()) };
        match &mut connection.waker {
            Some(known) => known.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        if task.write(&mut broker, cx).is_err() {
            broker.lost(task.place);
        }
        if broker.connection(task.place).is_some_and(|connection| connection.has_more && connection.takes_packets()) {
            task.handle_partial(&mut broker);
            core.want_turn();
        }
        let mut reads = 0;
        loop {
            if task.leave(&mut broker) {
                drop(broker);
                core.want_turn();
                return task.end(cx);
            }
            let Some(connection) = broker.connection(task.place) else { return Poll::Ready(()) };
            if core.is_blocked.get() {
                core.blocked.borrow_mut().push(cx.waker().clone());
                break;
            }
            // Its task is woken when it takes packets again.
            if !connection.takes_packets() || connection.has_more {
                break;
            }
            if reads == READS_PER_POLL_MAX {
                cx.waker().wake_by_ref();
                break;
            }
            reads += 1;
            match task.read(&mut broker, cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(true)) => core.want_turn(),
                Poll::Ready(Ok(false) | Err(_)) => {
                    broker.lost(task.place);
                    core.want_turn();
                }
            }
        }
        if task.write(&mut broker, cx).is_err() {
            broker.lost(task.place);
            core.want_turn();
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for ConnectionTask {
    fn drop(&mut self) {
        // A task that is thrown away with its runtime leaves nothing to tell: the broker goes too.
        if let Ok(mut broker) = self.core.broker.try_borrow_mut() {
            broker.lost(self.place);
            broker.forget(self.place);
            broker.node().connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Ending {
    fn new(rest: Vec<u8>, written: usize) -> Self {
        Self { deadline: Box::pin(tokio::time::sleep(LINGER)), rest, written, is_shut: false }
    }
}

/// Keeps what was not used. A client that has no piece of a packet here has no memory here either: most have none most of the time.
fn keep(partial: &mut Vec<u8>, rest: &[u8]) {
    if rest.is_empty() {
        if partial.capacity() > 0 {
            *partial = Vec::new();
        }
        return;
    }
    partial.clear();
    partial.extend_from_slice(rest);
}
