//! Receipts from a client for what it was sent: each makes room for more (MQTT 5, 4.3, 4.9).

use super::backlog::Reading;
use super::{Broker, Handled};
use crate::mqtt::codec::{Reason, Receipt, ReceiptKind, write_receipt};
use crate::mqtt::connection::Connection;

impl Broker {
    pub(super) fn handle_puback(&mut self, connection: &mut Connection, receipt: &Receipt<'_>) -> Handled {
        if let Some(session) = &mut connection.session {
            // One that nothing is known of, or that says an error, ends the message all the same.
            session.acknowledge(receipt.packet_id);
        }
        self.has_room(connection);
        Handled::Done
    }

    pub(super) fn handle_pubrec(&mut self, connection: &mut Connection, receipt: &Receipt<'_>) -> Handled {
        let Some(session) = &mut connection.session else { return Handled::Done };
        if receipt.reason.is_error() {
            session.reject(receipt.packet_id);
            self.has_room(connection);
            return Handled::Done;
        }
        let is_known = session.receive(receipt.packet_id);
        let reason = if is_known { Reason::Success } else { Reason::PacketIdentifierNotFound };
        let answer = Receipt::new(receipt.packet_id, reason);
        write_receipt(&mut connection.out, connection.version, ReceiptKind::Rel, &answer);
        self.touch(connection);
        Handled::Done
    }

    pub(super) fn handle_pubcomp(&mut self, connection: &mut Connection, receipt: &Receipt<'_>) -> Handled {
        if let Some(session) = &mut connection.session {
            session.complete(receipt.packet_id);
        }
        self.has_room(connection);
        Handled::Done
    }

    /// The client has forgotten its message of QoS 2: so does the node.
    pub(super) fn handle_pubrel(&mut self, connection: &mut Connection, receipt: &Receipt<'_>) -> Handled {
        let Some(session) = &mut connection.session else { return Handled::Done };
        let is_known = session.release(receipt.packet_id);
        let reason = if is_known { Reason::Success } else { Reason::PacketIdentifierNotFound };
        if is_known {
            connection.received = connection.received.saturating_sub(1);
        }
        let answer = Receipt::new(receipt.packet_id, reason);
        write_receipt(&mut connection.out, connection.version, ReceiptKind::Comp, &answer);
        self.touch(connection);
        Handled::Done
    }

    /// The client takes more: what waits for it goes on.
    pub(super) fn has_room(&mut self, connection: &mut Connection) {
        if let Some(waker) = connection.reader_waker.take() {
            waker.wake();
        }
        self.send_waiting(connection);
    }

    /// The out buffer of a connection is empty again. Whether something waited for that.
    pub fn drained(&mut self, place: super::Place) -> bool {
        let Some(mut connection) = self.take(place) else { return false };
        let waits = connection.reader_waker.is_some()
            || !connection.given.is_empty()
            || connection.session.as_ref().is_some_and(|session| !session.waiting.is_empty());
        if waits {
            self.has_room(&mut connection);
        }
        self.put(connection);
        waits
    }

    /// Has the backlog of a connection's session read, if nobody does.
    pub(super) fn read_backlog(&mut self, connection: &mut Connection) {
        if !connection.has_reader {
            connection.has_reader = true;
            self.counts.backlogs += 1;
            self.effects.readers.push(Reading::Session(connection.place));
        }
    }
}
