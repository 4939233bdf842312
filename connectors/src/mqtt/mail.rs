//! What the cores of a node say to each other about sessions. Nothing of it is on the way of a message but for shared subscriptions.

use std::sync::Arc;

use engine::batch::Batch;

use super::codec::Qos;
use super::registry::{Parked, Place};

/// From core to core.
#[derive(Debug)]
pub enum Mail {
    /// The session of `from` is wanted by the connection `by`.
    TakeOver {
        /// Who has it.
        from: Place,
        /// Who wants it.
        by: Place,
    },
    /// The session that `to` waits for; `None`: it has ended.
    Session {
        /// Who waits.
        to: Place,
        /// What there is.
        parked: Option<Box<Parked>>,
    },
    /// Subscriptions are stored, or could not be.
    Stored {
        /// Whose, with the packet identifiers of their SUBSCRIBEs.
        subscribers: Vec<(Place, u16)>,
        /// They are stored.
        is_kept: bool,
    },
    /// A client subscribes to a share, or has come back to it, or has gone away from it for now (`place` is `None`).
    ShareJoin {
        /// `GROUP/FILTER`
        share: Box<str>,
        /// The client.
        client_id: Arc<str>,
        /// Where it is.
        place: Option<Place>,
        /// How it is to get messages.
        member: Member,
        /// Where a share that is not there yet begins; none: where the store left it.
        since: Option<Box<[u64]>>,
    },
    /// A client is no longer subscribed to a share.
    ShareLeave {
        /// `GROUP/FILTER`
        share: Box<str>,
        /// The client.
        client_id: Arc<str>,
    },
    /// A message for a member of a share.
    ShareGive {
        /// The member.
        to: Place,
        /// The batch that holds it.
        batch: Arc<Batch>,
        /// Its row.
        row: u16,
        /// How it is to be sent.
        member: Member,
        /// Number of the group at its home.
        group: (u16, u32),
    },
    /// A member has room for one more, or, with `unsent`, did not send these and is gone.
    ShareCredit {
        /// Number of the group at its home.
        group: u32,
        /// The member.
        client_id: Arc<str>,
        /// How many more it takes.
        credit: u32,
        /// Partition and offset of what it did not send.
        unsent: Vec<(u32, u64)>,
    },
    /// The access files were read again: everybody gets what they grant now.
    Renew,
}

/// How a member of a share gets its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// QoS granted.
    pub qos: Qos,
    /// Retain as published.
    pub retain_as_published: bool,
    /// Identifier of its subscription; 0: none.
    pub id: u32,
}
