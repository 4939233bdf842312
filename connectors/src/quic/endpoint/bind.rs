//! One UDP socket per core on the same address.
//!
//! `SO_REUSEPORT` lets any process of the same user join silently, so the address is first bound without it: that fails if somebody
//! else has it.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use super::QuicEndpointLimits;
use crate::quic::steer::CORES_MAX;

/// Why there are no sockets.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address.
    #[error("cannot listen for QUIC on {addr} (UDP): {error}")]
    Listen {
        /// Which.
        addr: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// More cores than connection ids can name.
    #[error("QUIC can be served by at most {CORES_MAX} cores, and there are {0}; start the node with fewer")]
    Cores(usize),
}

/// The address that it is, and the sockets.
pub(super) fn bind(
    addr: SocketAddr,
    cores: usize,
    limits: &QuicEndpointLimits,
) -> Result<(SocketAddr, Vec<UdpSocket>), BindError> {
    if cores > CORES_MAX {
        return Err(BindError::Cores(cores));
    }
    let fail = |error| BindError::Listen { addr, error };
    let probe = socket(addr, false, limits).map_err(fail)?;
    let chosen = probe.local_addr().map_err(fail)?;
    drop(probe);
    let sockets = (0..cores).map(|_| socket(chosen, true, limits)).collect::<io::Result<_>>().map_err(fail)?;
    Ok((chosen, sockets))
}

fn socket(addr: SocketAddr, is_shared: bool, limits: &QuicEndpointLimits) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if is_shared {
        socket.set_reuse_port(true)?;
        // The system gives what it allows.
        let _ = socket.set_recv_buffer_size(limits.socket_receive_bytes);
        let _ = socket.set_send_buffer_size(limits.socket_send_bytes);
    }
    socket.bind(&addr.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
