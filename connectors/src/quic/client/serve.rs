//! One connection, from its first byte to its end: between the streams of QUIC and the session core.
//!
//! What always holds: when it is over, no task of it is left that could hand old bytes to the core.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use quinn::{Connection, ConnectionError, ReadError, RecvStream, SendStream, VarInt, WriteError, ZeroRttAccepted};
use tokio::task::JoinSet;

use super::dial::{Dialled, early_refused};
use super::link::Link;
use crate::quic::frame::{Code, bounds};
use crate::quic::session::Fault;

/// Bytes that are read or written at a time.
const CHUNK_BYTES: usize = 256 * 1024;
/// From the connection to WELCOME: the node may have to hash passwords of many clients.
const WELCOME_WAIT: Duration = Duration::from_secs(20);
/// From GOAWAY to the end of the connection.
const GOING_WAIT: Duration = Duration::from_secs(10);
/// For the node to learn that we are gone.
const GOODBYE_WAIT: Duration = Duration::from_secs(1);

/// Why a connection is over.
pub(super) enum Ended {
    /// The owner wants it.
    Stopped,
    Lost(ConnectionError),
    /// The node broke the protocol.
    Fault(Fault),
    /// The node does not want to serve now.
    Postponed(String),
    /// What was sent in 0-RTT has to be sent again, on the same connection.
    EarlyRefused,
}

/// What became of a connection.
pub(super) struct Served {
    pub ended: Ended,
    /// How long it lived from WELCOME on, if it came.
    pub lived: Option<Duration>,
}

/// Serves a connection to its end.
pub(super) async fn serve(link: &Arc<Link>, dialled: Dialled) -> Served {
    let Dialled { endpoint, connection, mut early } = dialled;
    let began = Instant::now();
    let mut lived = None;
    let ended = loop {
        link.connected(endpoint.clone());
        let mut streams = JoinSet::new();
        let ended = talk(link, &connection, early.take(), &mut streams).await;
        streams.shutdown().await;
        if link.lock().greeting.is_some() {
            lived = Some(began.elapsed());
        }
        link.disconnected();
        match (ended, connection.close_reason()) {
            (Ended::EarlyRefused, None) => {}
            (Ended::EarlyRefused, Some(error)) => break Ended::Lost(error),
            (ended, _) => break ended,
        }
    };
    match &ended {
        Ended::Fault(fault) => {
            let text = &fault.text[..fault.text.floor_char_boundary(512)];
            connection.close(code(fault.code), text.as_bytes());
        }
        _ => connection.close(code(Code::NONE), b""),
    }
    if matches!(ended, Ended::Stopped) {
        // Late is late: the node finds out by itself.
        let _ = tokio::time::timeout(GOODBYE_WAIT, endpoint.wait_idle()).await;
    }
    Served { ended, lived }
}

fn code(code: Code) -> VarInt {
    VarInt::from_u64(code.0).unwrap_or(VarInt::MAX)
}

async fn talk(
    link: &Arc<Link>,
    connection: &Connection,
    early: Option<ZeroRttAccepted>,
    streams: &mut JoinSet<Option<Ended>>,
) -> Ended {
    let (send, receive) = match connection.open_bi().await {
        Ok(control) => control,
        Err(error) => return Ended::Lost(error),
    };
    tokio::select! {
        biased;
        () = link.stopped() => Ended::Stopped,
        ended = read_control(link, receive) => ended,
        ended = take_streams(link, connection, streams) => ended,
        () = early_refused(early) => Ended::EarlyRefused,
        error = connection.closed() => Ended::Lost(error),
        ended = write_control(link, send) => ended,
        ended = publish(link, connection) => ended,
        ended = watch(link) => ended,
    }
}

async fn read_control(link: &Link, mut stream: RecvStream) -> Ended {
    loop {
        match stream.read_chunk(bounds::CONTROL_BODY_BYTES_MAX, true).await {
            Ok(Some(chunk)) => {
                if let Err(fault) = link.input(|core, now_ms| core.handle_control(&chunk.bytes, now_ms)) {
                    return Ended::Fault(fault);
                }
            }
            Ok(None) => return Ended::Fault(Fault::new(Code::PROTOCOL, "the control stream has ended")),
            Err(error) => return read_error(error).await,
        }
    }
}

async fn read_error(error: ReadError) -> Ended {
    match error {
        ReadError::ConnectionLost(error) => Ended::Lost(error),
        // Somebody else learns that and begins anew.
        ReadError::ZeroRttRejected => pending().await,
        error => Ended::Fault(Fault::new(Code::PROTOCOL, error.to_string())),
    }
}

async fn write_error(error: WriteError) -> Ended {
    match error {
        WriteError::ConnectionLost(error) => Ended::Lost(error),
        WriteError::ZeroRttRejected => pending().await,
        // It reads no more of a stream when it is about to go.
        WriteError::Stopped(_) => Ended::Postponed("the node reads no more".to_owned()),
        error => Ended::Fault(Fault::new(Code::PROTOCOL, error.to_string())),
    }
}

/// Reads the data streams that the node opens, each in a task of its own.
async fn take_streams(link: &Arc<Link>, connection: &Connection, streams: &mut JoinSet<Option<Ended>>) -> Ended {
    loop {
        tokio::select! {
            stream = connection.accept_uni() => match stream {
                Ok(stream) => drop(streams.spawn(read_data(link.clone(), stream))),
                Err(error) => return Ended::Lost(error),
            },
            Some(read) = streams.join_next(), if !streams.is_empty() => match read {
                Ok(Some(ended)) => return ended,
                Ok(None) => {}
                Err(error) => return Ended::Fault(Fault::new(Code::INTERNAL, error.to_string())),
            },
        }
    }
}

async fn read_data(link: Arc<Link>, mut stream: RecvStream) -> Option<Ended> {
    let id = stream.id().index();
    loop {
        let (worked, has_ended) = match stream.read_chunk(CHUNK_BYTES, true).await {
            Ok(Some(chunk)) => (link.input(|core, _| core.handle_data(id, &chunk.bytes)), false),
            Ok(None) => (link.input(|core, _| core.handle_data_end(id, false)), true),
            Err(ReadError::Reset(_)) => (link.input(|core, _| core.handle_data_end(id, true)), true),
            Err(error) => return Some(read_error(error).await),
        };
        if let Err(fault) = worked {
            return Some(Ended::Fault(fault));
        }
        if has_ended {
            return None;
        }
    }
}

async fn write_control(link: &Link, mut stream: SendStream) -> Ended {
    loop {
        let mut to_send = pin!(link.to_send.notified());
        to_send.as_mut().enable();
        let mut bytes = Vec::new();
        if !link.lock().core.poll_control(&mut bytes) {
            to_send.await;
        } else if let Err(error) = stream.write_chunk(Bytes::from(bytes)).await {
            return write_error(error).await;
        }
    }
}

/// Sends what is published, once the node has said how many streams that may have.
async fn publish(link: &Link, connection: &Connection) -> Ended {
    let streams = loop {
        let mut noticed = pin!(link.noticed.notified());
        noticed.as_mut().enable();
        if link.lock().greeting.is_some() {
            break link.lock().core.publish_streams();
        }
        noticed.await;
    };
    let mut writers: FuturesUnordered<_> = (0..streams).map(|index| write_published(link, connection, index)).collect();
    match writers.next().await {
        Some(ended) => ended,
        None => pending().await,
    }
}

async fn write_published(link: &Link, connection: &Connection, index: u32) -> Ended {
    let mut stream = None;
    loop {
        let mut to_send = pin!(link.to_send.notified());
        to_send.as_mut().enable();
        let now = Instant::now();
        let now_ms = link.now_ms(now);
        let mut bytes = Vec::new();
        let (has_some, due) = {
            let mut state = link.lock();
            if state.linger_until.is_some_and(|until| until <= now) {
                state.linger_until = None;
                state.core.flush();
                // The other streams may have some of it.
                link.to_send.notify_waiters();
            }
            let has_some = state.core.poll_publish(index, now_ms, &mut bytes, CHUNK_BYTES);
            let again = state.core.next_due_ms(now_ms).and_then(|ms| link.at_ms(ms));
            (has_some, [state.linger_until, again].into_iter().flatten().min())
        };
        if has_some {
            let open = match &mut stream {
                Some(open) => open,
                none => match connection.open_uni().await {
                    Ok(opened) => none.insert(opened),
                    Err(error) => return Ended::Lost(error),
                },
            };
            if let Err(error) = open.write_chunk(Bytes::from(bytes)).await {
                return write_error(error).await;
            }
            continue;
        }
        tokio::select! {
            () = &mut to_send => {}
            () = tokio::time::sleep_until(due.unwrap_or(now).into()), if due.is_some() => {}
        }
    }
}

/// Resolves when the node does not do what it should in time, or does not want to.
async fn watch(link: &Link) -> Ended {
    let deadline = tokio::time::Instant::now() + WELCOME_WAIT;
    let mut goes_at = None;
    loop {
        let mut noticed = pin!(link.noticed.notified());
        noticed.as_mut().enable();
        let is_welcome = {
            let mut state = link.lock();
            if let Some((code, text)) = state.postponed.take() {
                return Ended::Postponed(if text.is_empty() { code.to_string() } else { text });
            }
            if state.going.is_some() && goes_at.is_none() {
                goes_at = Some(tokio::time::Instant::now() + GOING_WAIT);
            }
            state.greeting.is_some()
        };
        tokio::select! {
            () = &mut noticed => {}
            () = tokio::time::sleep_until(deadline), if !is_welcome => {
                return Ended::Postponed(format!("no WELCOME within {} s", WELCOME_WAIT.as_secs()));
            }
            () = tokio::time::sleep_until(goes_at.unwrap_or(deadline)), if goes_at.is_some() => {
                return Ended::Postponed("the node asked its clients to go".to_owned());
            }
        }
    }
}
