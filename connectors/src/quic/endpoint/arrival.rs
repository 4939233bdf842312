//! A connection's way from its first packet to whoever serves it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Shared;
use quinn::crypto::rustls::HandshakeData;
use quinn::{Connection, ConnectionError, Incoming, RecvStream, SendStream, VarInt, ZeroRttAccepted};
use rustls::pki_types::CertificateDer;

use super::admission::Admission;
use super::{QuicEndpointLimits, QuicStats};
use crate::quic::tls::Loaded;
use crate::tls::ClientCertificate;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// `anabranch/1`.
    Anabranch,
    /// `mqtt`.
    Mqtt,
}

impl Alpn {
    /// In the order in which the node prefers them.
    pub const ALL: [Self; 2] = [Self::Anabranch, Self::Mqtt];

    /// As it is written in a handshake.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anabranch => "anabranch/1",
            Self::Mqtt => "mqtt",
        }
    }
}

/// A connection that is to be served, on the core where it stays.
#[derive(Debug)]
pub struct Arrived {
    /// The connection.
    pub connection: Connection,
    /// What it speaks.
    pub alpn: Alpn,
    /// The certificate that the client showed and proved to own. In 0-RTT, the one of the session that is resumed.
    pub certificate: Option<ClientCertificate>,
    /// The handshake is not over: only what may be done twice may be done. Never with MQTT, which waits.
    pub early: Option<Early>,
    /// To be kept as long as the connection.
    pub permit: ConnectionPermit,
}

/// A connection that speaks before its handshake is over.
#[derive(Debug)]
pub struct Early {
    /// The first stream, which is already there.
    pub control: (SendStream, RecvStream),
    /// The end of the handshake.
    pub confirmed: Confirmed,
}

/// The end of a handshake. Dropped: the handshake goes on all the same.
#[derive(Debug)]
pub struct Confirmed {
    connection: Connection,
    accepted: Accepted,
}

/// quinn's word, for the endpoint and for whoever serves the connection.
type Accepted = Shared<ZeroRttAccepted>;

impl Confirmed {
    /// The client has proved that it is here and now. Never late: what can be read and came after the end of the handshake is read
    /// after this says so, since quinn tells both under one lock.
    pub fn is_over(&self) -> bool {
        // It says so too when the connection has ended.
        self.accepted.clone().now_or_never().is_some() && self.connection.close_reason().is_none()
    }
}

/// Counts a connection as open.
#[derive(Debug)]
pub struct ConnectionPermit {
    connections: Arc<AtomicUsize>,
    /// None until the handshake has succeeded.
    stats: Option<Arc<QuicStats>>,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
        if let Some(stats) = &self.stats {
            stats.connections_closed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Counts a handshake as under way.
struct HandshakePermit(Rc<RefCell<Admission>>);

impl Drop for HandshakePermit {
    fn drop(&mut self) {
        self.0.borrow_mut().handshakes -= 1;
    }
}

/// A handshake that was let in.
pub(super) struct Handshake {
    under_way: HandshakePermit,
    permit: ConnectionPermit,
}

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("the client and the node have no protocol in common")]
    Protocol,
}

impl Handshake {
    pub(super) fn new(admission: Rc<RefCell<Admission>>, connections: Arc<AtomicUsize>) -> Self {
        admission.borrow_mut().handshakes += 1;
        connections.fetch_add(1, Ordering::Relaxed);
        Self { under_way: HandshakePermit(admission), permit: ConnectionPermit { connections, stats: None } }
    }

    /// Until the connection has been shown to whoever serves it and its handshake is over, or it has failed.
    pub(super) async fn run(
        self,
        incoming: Incoming,
        tls: Arc<Loaded>,
        limits: QuicEndpointLimits,
        stats: Arc<QuicStats>,
        on_arrival: Rc<impl Fn(Arrived)>,
    ) {
        let client = incoming.remote_address();
        let Self { under_way: _under_way, permit } = self;
        let limit = Duration::from_millis(limits.handshake_timeout_ms.into());
        // Closed if the time is over; a client that does not finish its handshake would stay until its idle timeout.
        let mut opened = None;
        let work = shake_hands(incoming, &tls, &limits, &stats, permit, &*on_arrival, &mut opened);
        let (counter, error): (_, Box<dyn std::error::Error>) = match tokio::time::timeout(limit, work).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => (&stats.handshakes_failed, error.into()),
            Err(error) => (&stats.handshakes_timed_out, error.into()),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(%client, %error, "a QUIC handshake came to nothing");
        if let Some(connection) = opened {
            connection.close(VarInt::from_u32(0), b"the handshake took too long or failed");
        }
    }
}

async fn shake_hands(
    incoming: Incoming,
    tls: &Loaded,
    limits: &QuicEndpointLimits,
    stats: &Arc<QuicStats>,
    mut permit: ConnectionPermit,
    on_arrival: &impl Fn(Arrived),
    opened: &mut Option<Connection>,
) -> Result<(), HandshakeError> {
    let mut connecting = incoming.accept_with(tls.server.clone())?;
    let alpn = alpn(connecting.handshake_data().await?).ok_or(HandshakeError::Protocol)?;
    // A server always gets its connection here: before the client has proved anything, which is what is waited for below.
    let Ok((connection, accepted)) = connecting.into_0rtt() else { return Err(HandshakeError::Protocol) };
    *opened = Some(connection.clone());
    let accepted = accepted.shared();
    let count_as_open = |permit: &mut ConnectionPermit| {
        permit.stats = Some(stats.clone());
        stats.connections_opened.fetch_add(1, Ordering::Relaxed);
    };
    let arrived = |permit, early| Arrived {
        connection: connection.clone(),
        alpn,
        certificate: certificate(&connection, tls),
        early,
        permit,
    };
    let confirm = confirm(&connection, accepted.clone(), limits);
    if alpn == Alpn::Mqtt {
        confirm.await?;
        connection.set_max_concurrent_bi_streams(VarInt::from_u32(limits.mqtt_streams_max));
        count_as_open(&mut permit);
        on_arrival(arrived(permit, None));
        return Ok(());
    }
    let mut confirm = std::pin::pin!(confirm);
    let control = tokio::select! {
        biased;
        confirmed = &mut confirm => {
            confirmed?;
            count_as_open(&mut permit);
            on_arrival(arrived(permit, None));
            return Ok(());
        }
        // Before the end of the handshake only 0-RTT brings a stream.
        control = connection.accept_bi() => control?,
    };
    stats.early_connections.fetch_add(1, Ordering::Relaxed);
    count_as_open(&mut permit);
    let confirmed = Confirmed { connection: connection.clone(), accepted };
    on_arrival(arrived(permit, Some(Early { control, confirmed })));
    confirm.await?;
    Ok(())
}

/// The end of the handshake; from then on the client may send as much as others.
async fn confirm(
    connection: &Connection,
    accepted: Accepted,
    limits: &QuicEndpointLimits,
) -> Result<(), ConnectionError> {
    accepted.await;
    match connection.close_reason() {
        Some(error) => Err(error),
        None => {
            connection.set_receive_window(VarInt::from_u32(limits.connection_receive_bytes));
            Ok(())
        }
    }
}

fn alpn(handshake: Box<dyn std::any::Any>) -> Option<Alpn> {
    let protocol = handshake.downcast::<HandshakeData>().ok()?.protocol?;
    Alpn::ALL.into_iter().find(|alpn| alpn.name().as_bytes() == protocol)
}

fn certificate(connection: &Connection, tls: &Loaded) -> Option<ClientCertificate> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    tls.authorities.certificate(Some(&chain))
}
