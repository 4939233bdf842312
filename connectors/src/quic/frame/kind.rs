//! Numbers of the frame types. All that version 1 has are odd: who does not know one must not go on without it.

/// Client to node, first on the control stream.
pub const HELLO: u64 = 0x01;
/// Node to client, first on the control stream.
pub const WELCOME: u64 = 0x03;
/// Client to node: open a subscription.
pub const SUBSCRIBE: u64 = 0x05;
/// Node to client: it is open.
pub const SUBSCRIBED: u64 = 0x07;
/// Node to client: it is not.
pub const REFUSED: u64 = 0x09;
/// Client to node: end a subscription.
pub const UNSUBSCRIBE: u64 = 0x0b;
/// Node to client: a subscription has ended.
pub const ENDED: u64 = 0x0d;
/// Client to node: more may be sent.
pub const CREDIT: u64 = 0x0f;
/// Client to node: keep positions.
pub const COMMIT: u64 = 0x11;
/// Node to client: they are kept, or are not.
pub const COMMITTED: u64 = 0x13;
/// Node to client: published events are kept.
pub const ACK: u64 = 0x15;
/// Node to client: published events are not kept.
pub const NACK: u64 = 0x17;
/// Node to client: this connection will end.
pub const GOAWAY: u64 = 0x19;
/// First on a data stream.
pub const DATA: u64 = 0x21;
/// Events.
pub const BATCH: u64 = 0x23;
/// No event up to here.
pub const POSITION: u64 = 0x25;
/// Events that nobody can have any more.
pub const LOST: u64 = 0x27;
/// First on a publish stream.
pub const PRODUCER: u64 = 0x31;
/// Events to be kept.
pub const PUBLISH: u64 = 0x33;

/// Whether version 1 has frames of this type, on whatever stream.
pub fn is_known(kind: u64) -> bool {
    matches!(kind, HELLO..=GOAWAY | DATA..=LOST | PRODUCER..=PUBLISH) && !kind.is_multiple_of(2)
}

/// Whether a client may send it on the control stream.
pub fn is_of_a_client(kind: u64) -> bool {
    matches!(kind, HELLO | SUBSCRIBE | UNSUBSCRIBE | CREDIT | COMMIT)
}
