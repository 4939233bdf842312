//! What a client's owner is told.

use super::Received;
use crate::quic::frame::{Code, Welcome};

/// Something has happened, or came.
#[derive(Debug)]
pub enum Event {
    /// The node has let the client in.
    Welcome(Greeting),
    /// The subscription is open, for the first time or again.
    Subscribed {
        /// Its handle.
        subscription: u32,
        /// What the route adds to every event; it is not in the events that come.
        properties: Vec<(String, String)>,
        /// What is doubtful about the filter.
        warnings: Vec<String>,
    },
    /// The subscription is not opened, and is forgotten.
    Refused {
        /// Its handle.
        subscription: u32,
        /// Why.
        code: Code,
        /// Why, for people.
        text: String,
        /// What to do.
        advice: String,
    },
    /// The subscription is over.
    Ended {
        /// Its handle.
        subscription: u32,
        /// Why; [`Code::NONE`]: as it was asked for.
        code: Code,
        /// Why, for people.
        text: String,
        /// What to do.
        advice: String,
    },
    /// The subscription is not served now; it goes on with the next connection, from where it is.
    Postponed {
        /// Its handle.
        subscription: u32,
        /// Why.
        code: Code,
        /// Why, for people.
        text: String,
    },
    /// Events.
    Batch(Received),
    /// The log does not have these events any more.
    Lost {
        /// Handle of the subscription.
        subscription: u32,
        /// The partition.
        partition: u32,
        /// The first of them.
        from: u64,
        /// The offset behind the last.
        to: u64,
        /// Where the partition goes on when this was handed over.
        settled_to: u64,
    },
    /// Positions are kept, or are not and why.
    Committed {
        /// What `commit` returned.
        request: u64,
        /// Whether.
        result: Result<(), (Code, String)>,
    },
    /// The node will never take these published events; they are forgotten.
    Rejected {
        /// Their partition.
        partition: u32,
        /// Number of the first, as `publish` returned it.
        number: u64,
        /// How many.
        count: u32,
        /// Why.
        code: Code,
        /// Why, for people.
        text: String,
    },
    /// The node does not know events any more that it had acknowledged: it acknowledges before it syncs, and has crashed.
    Forgotten {
        /// Their partition.
        partition: u32,
        /// How many.
        count: u64,
    },
    /// The connection will end: connect again.
    GoingAway {
        /// Why.
        code: Code,
        /// How long to wait before.
        after_ms: u64,
        /// Why, for people.
        text: String,
        /// Where to; empty: to the same address.
        address: String,
    },
}

/// What the node said about itself and the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The node's name.
    pub node: String,
    /// Program and version of the node.
    pub agent: String,
    /// Who the client is to the node.
    pub principal: String,
    /// Partitions of the log.
    pub partitions: u32,
    /// Most credit of a subscription.
    pub credit_max: u64,
    /// Sum of what the client may do: [`Welcome::MAY_READ`] and so on.
    pub permissions: u64,
    /// What an acknowledgement means: 0 memory, 1 written, 2 synced.
    pub ack_level: u64,
    /// When the token's time is over, in milliseconds since the Unix epoch.
    pub expires_ms: Option<u64>,
}

impl Greeting {
    pub(super) fn of(welcome: &Welcome<'_>) -> Self {
        Self {
            node: welcome.node.to_owned(),
            agent: welcome.agent.to_owned(),
            principal: welcome.principal.to_owned(),
            partitions: welcome.partitions,
            credit_max: welcome.credit_max,
            permissions: welcome.permissions,
            ack_level: welcome.ack_level,
            expires_ms: welcome.expires_ms,
        }
    }
}
