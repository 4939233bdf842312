//! Keeps a connection on its core, whatever address its datagrams come from.
//!
//! The cores' sockets share one address, and the system picks a socket by the client's address. A client that changes its address
//! (another network, a NAT that forgot it) would so land on a core that does not know its connection. Therefore each connection id
//! that the node gives out carries the number of its core, and a core that finds another core's number in a datagram hands
//! it over.
//!
//! What always holds: a datagram is handed over at most once; an inbox is bounded and what it cannot take is dropped, as the network
//! might have; only ids that the node made itself get a datagram handed over.

mod id;
mod inbox;
mod socket;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use id::{CORES_MAX, CoreIds, ID_BYTES};
pub(super) use socket::SteeredSocket;

use super::secret::QuicSecret;
use id::Ids;
use inbox::Inbox;

/// What the cores' sockets know together.
#[derive(Debug)]
pub struct Steering {
    ids: Ids,
    inboxes: Box<[Inbox]>,
}

impl Steering {
    /// For `cores` cores, at least one and at most [`CORES_MAX`].
    pub fn new(secret: &QuicSecret, cores: usize) -> Arc<Self> {
        let cores = cores.clamp(1, CORES_MAX);
        Arc::new(Self { ids: Ids::new(secret, cores), inboxes: (0..cores).map(|_| Inbox::default()).collect() })
    }

    /// Makes the connection ids of a core.
    pub fn core_ids(self: &Arc<Self>, core: u8) -> CoreIds {
        CoreIds::new(self.clone(), core)
    }
}
