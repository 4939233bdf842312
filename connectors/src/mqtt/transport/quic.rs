//! MQTT over QUIC: a connection is one MQTT connection, its first stream in both directions is what a TCP connection would be.
//!
//! A client may open more streams, so that a lost datagram holds up only the messages of its own stream. Each of them carries whole
//! packets of the same MQTT connection: what is merged here is one stream of packets for the broker, which knows nothing of it.
//! What answers a packet goes back on the packet's stream; all else, deliveries too, goes on the first, the control stream.
//!
//! What always holds: nothing of a data stream is read before the control stream's first packet, CONNECT; packets are not torn
//! apart by those of other streams; a silent connection has no buffer; streams and what is kept of each are bounded; when the
//! control stream ends, all ends.

mod answers;
mod cut;
mod inlet;
#[cfg(test)]
mod tests;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use quinn::{Connection, ConnectionError, RecvStream, SendStream};

use crate::quic::endpoint::{Arrived, ConnectionPermit};
use crate::tls::ClientCertificate;
use answers::Answers;
use cut::Length;
use inlet::{Inlet, Missing, Step};

/// Most streams of a connection beside the control stream. Clients have one per topic, or one per priority.
pub const DATA_STREAMS_MAX: usize = 15;

type Streams = (SendStream, RecvStream);
type Ending = Pin<Box<dyn Future<Output = ()> + Send>>;
type Accepting = Pin<Box<dyn Future<Output = Result<Streams, ConnectionError>> + Send>>;

/// A stream in both directions.
#[derive(Debug)]
struct Lane {
    id: u64,
    send: SendStream,
    inlet: Inlet,
    /// Answers that are still to go out on it.
    owed: usize,
}

impl Lane {
    fn new((send, receive): Streams) -> Self {
        Self { id: send.id().into(), send, inlet: Inlet::new(receive), owed: 0 }
    }
}

/// See the module.
pub struct Quic {
    connection: Connection,
    control: Lane,
    data: Vec<Lane>,
    accepting: Accepting,
    /// CONNECT was handed on.
    has_begun: bool,
    /// The stream of a packet that was handed on in part, and what is missing.
    floor: Option<(u64, Missing)>,
    /// The place of the stream that is read first next time, the control stream's being 0.
    turn: usize,
    answers: Answers,
    /// The stream of a run of packets that has been written in part, and the bytes left.
    writing: Option<(u64, usize)>,
    /// Our side is ended: until the client has all of it.
    ending: Option<Ending>,
    certificate: Option<ClientCertificate>,
    _permit: ConnectionPermit,
}

impl std::fmt::Debug for Quic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Quic").field("control", &self.control).field("data", &self.data).finish_non_exhaustive()
    }
}

impl Quic {
    /// Waits for the client's first stream. The caller bounds the time.
    pub(super) async fn accept(arrived: Arrived) -> io::Result<Self> {
        let Arrived { connection, certificate, permit, .. } = arrived;
        let control = Lane::new(connection.accept_bi().await?);
        let accepting = accepting(&connection);
        Ok(Self {
            connection,
            control,
            data: Vec::new(),
            accepting,
            has_begun: false,
            floor: None,
            turn: 0,
            answers: Answers::default(),
            writing: None,
            ending: None,
            certificate,
            _permit: permit,
        })
    }

    pub(super) fn certificate(&self) -> Option<ClientCertificate> {
        self.certificate.clone()
    }

    /// Whole packets of one stream, or a piece of one; then all pieces of it come before anything else.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        self.accept_more(cx);
        loop {
            let places = if self.has_begun { 1 + self.data.len() } else { 1 };
            let (first, count) = match self.floor {
                Some((id, _)) => (self.place(id), 1),
                None => (self.turn % places, places),
            };
            let mut has_lost = false;
            for place in (0..count).map(|step| (first + step) % places) {
                match (self.poll_place(place, cx, into), place.checked_sub(1)) {
                    (Poll::Ready(Ok(Step::Bytes(bytes))), _) => {
                        self.has_begun |= self.floor.is_none();
                        self.turn = place + 1;
                        return Poll::Ready(Ok(bytes));
                    }
                    (Poll::Ready(Ok(Step::End)), None) => return Poll::Ready(Ok(0)),
                    (Poll::Ready(Err(error)), None) => return Poll::Ready(Err(error)),
                    (Poll::Ready(Ok(Step::End) | Err(_)), Some(at)) => {
                        if self.floor.is_some() {
                            // The broker has a piece of a packet that nobody will complete.
                            let what = "a data stream ended within a packet";
                            return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, what)));
                        }
                        self.data[at].inlet.end();
                        has_lost = true;
                    }
                    (Poll::Pending, _) => {}
                }
            }
            if !has_lost {
                return Poll::Pending;
            }
            self.forget_ended();
            self.accept_more(cx);
        }
    }

    /// The control stream is at 0, data streams follow.
    fn place(&self, id: u64) -> usize {
        self.data.iter().position(|lane| lane.id == id).map_or(0, |at| at + 1)
    }

    fn poll_place(&mut self, place: usize, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<Step>> {
        let mut missing = self.floor.map(|(_, missing)| missing);
        let (id, step) = match place.checked_sub(1) {
            None => {
                let is_alone = self.data.is_empty();
                (self.control.id, self.control.inlet.poll(cx, into, &mut missing, is_alone, |_| {}))
            }
            Some(at) => {
                let Lane { id, inlet, owed, .. } = &mut self.data[at];
                // One that has ended waits only for its answers; all wait while too many are owed, until some were written.
                if inlet.has_ended() || missing.is_none() && !self.answers.has_room() {
                    return Poll::Pending;
                }
                let on_packet = |packet: &[u8]| *owed += usize::from(self.answers.expect(*id, packet));
                (*id, inlet.poll(cx, into, &mut missing, false, on_packet))
            }
        };
        self.floor = missing.map(|missing| (id, missing));
        step
    }

    /// New data streams. An error shows itself on the control stream too.
    fn accept_more(&mut self, cx: &mut Context<'_>) {
        while self.data.len() < DATA_STREAMS_MAX {
            let Poll::Ready(Ok(streams)) = self.accepting.as_mut().poll(cx) else { return };
            self.data.push(Lane::new(streams));
            self.accepting = accepting(&self.connection);
        }
    }

    /// Data streams that the client has ended and that are owed nothing are ended by us too, which lets the client open others.
    fn forget_ended(&mut self) {
        let writing = self.writing.map(|(id, _)| id);
        self.data.retain(|lane| !lane.inlet.has_ended() || lane.owed > 0 || writing == Some(lane.id));
    }

    /// Writes some of `bytes`, which have to end where a packet ends.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let had_room = self.answers.has_room();
        let mut taken = 0;
        while taken < bytes.len() {
            let rest = &bytes[taken..];
            let (id, run) = match self.writing.take() {
                Some(begun) => begun,
                None if self.answers.is_empty() => (self.control.id, rest.len()),
                None => self.next_run(rest),
            };
            let part = &rest[..run.min(rest.len())];
            let written = match self.lane(id) {
                Some(lane) => Pin::new(&mut lane.send).poll_write(cx, part),
                // Nobody is there to read the answer.
                None => Poll::Ready(Ok(part.len())),
            };
            let written = match written {
                Poll::Ready(Ok(written)) => written,
                Poll::Ready(Err(error)) if id == self.control.id => return Poll::Ready(Err(error.into())),
                // The client does not want this stream's answers.
                Poll::Ready(Err(_)) => part.len(),
                Poll::Pending => {
                    self.writing = Some((id, run));
                    break;
                }
            };
            taken += written;
            self.writing = (written < run).then_some((id, run - written));
        }
        if !had_room && self.answers.has_room() {
            // Data streams are read again.
            cx.waker().wake_by_ref();
        }
        if taken == 0 && !bytes.is_empty() { Poll::Pending } else { Poll::Ready(Ok(taken)) }
    }

    /// The first packets that go to the same stream.
    fn next_run(&mut self, bytes: &[u8]) -> (u64, usize) {
        let mut to = None;
        let mut run = 0;
        while run < bytes.len() {
            let packet = match cut::length(&bytes[run..]) {
                Length::Known { total, .. } => &bytes[run..bytes.len().min(run + total)],
                // The broker writes whole packets.
                _ => &bytes[run..],
            };
            let id = self.answers.stream_of(packet).unwrap_or(self.control.id);
            if to.is_some_and(|to| to != id) {
                break;
            }
            to = Some(id);
            if id != self.control.id {
                self.answers.take(packet);
                if let Some(lane) = self.lane(id) {
                    lane.owed -= 1;
                }
            }
            run += packet.len();
        }
        (to.unwrap_or(self.control.id), run)
    }

    fn lane(&mut self, id: u64) -> Option<&mut Lane> {
        match id == self.control.id {
            true => Some(&mut self.control),
            false => self.data.iter_mut().find(|lane| lane.id == id),
        }
    }

    /// Nothing lies here that was taken. Streams whose last answer is written go.
    pub(super) fn poll_flush(&mut self) -> Poll<io::Result<()>> {
        self.forget_ended();
        Poll::Ready(Ok(()))
    }

    /// Ends our side of all streams, and waits until the client has got what was written on the control stream: once the connection
    /// is dropped, nothing is sent again.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { control, data, ending, .. } = self;
        let ending = ending.get_or_insert_with(|| {
            for lane in std::iter::once(&mut *control).chain(data) {
                // One that the client does not listen to any more is ended already.
                let _ = lane.send.finish();
            }
            let stopped = control.send.stopped();
            Box::pin(async move { drop(stopped.await) })
        });
        ending.as_mut().poll(cx).map(Ok)
    }
}

fn accepting(connection: &Connection) -> Accepting {
    let connection = connection.clone();
    Box::pin(async move { connection.accept_bi().await })
}
