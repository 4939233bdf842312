//! The work of a connection that stands: read receipts, write messages that are due, ping, notice what is overdue.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Instant;

use super::super::MqttError;
use super::super::codec::{
    CodecError, Draft, Packet, Qos, Receipt, ReceiptKind, Version, decode, is_lasting, v5_reason, write_ping,
    write_receipt,
};
use super::super::window::Waiting;
use super::super::worker::{Desk, WRITE_BYTES};
use super::{End, Link, Publisher};
use crate::clock::now_us;

/// A broker has nothing to say to a publisher that is longer.
const PACKET_BYTES_MAX: usize = 1024 * 1024;
/// An empty outbox keeps so much memory.
const OUTBOX_BYTES_KEPT: usize = 512;

impl Publisher {
    /// Works until there is nothing to do but wait.
    pub(super) fn poll_drive(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let worker = self.worker.clone();
        let Some(mut link) = self.link.take() else { return Poll::Ready(End::Broken("no connection".to_owned())) };
        let polled = self.poll_link(cx, &mut link, &mut worker.desk.borrow_mut());
        self.link = Some(link);
        polled
    }

    fn poll_link(&mut self, cx: &mut Context<'_>, link: &mut Link, desk: &mut Desk) -> Poll<End> {
        if std::mem::take(&mut link.inbox_unread)
            && let Err(end) = self.take_in(link, desk, &[])
        {
            return Poll::Ready(end);
        }
        loop {
            let worked = self.read(cx, link, desk).and_then(|()| {
                self.watch_clock(link, Instant::now())?;
                self.write(cx, link, desk)
            });
            let all_written = match worked {
                Ok(all_written) => all_written,
                Err(end) => return Poll::Ready(end),
            };
            let no_more = self.stopping || self.schedule.is_some() && self.sent == self.quota;
            if no_more && all_written && self.window.is_empty() {
                return Poll::Ready(End::Finished);
            }
            let Some(wake) = self.wake(link, all_written) else { return Poll::Pending };
            if self.timer.deadline() != wake.into() {
                self.timer.as_mut().reset(wake.into());
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Reads all there is.
    fn read(&mut self, cx: &mut Context<'_>, link: &mut Link, desk: &mut Desk) -> Result<(), End> {
        let mut read = std::mem::take(&mut desk.read);
        let ended = loop {
            match link.stream.poll_read(cx, &mut read) {
                Poll::Pending => break Ok(()),
                Poll::Ready(Ok(0)) => break Err(self.broken("the broker closed the connection")),
                Poll::Ready(Ok(count)) => {
                    if let Err(end) = self.take_in(link, desk, &read[..count]) {
                        break Err(end);
                    }
                }
                Poll::Ready(Err(error)) => break Err(self.broken(error)),
            }
        };
        desk.read = read;
        ended
    }

    fn take_in(&mut self, link: &mut Link, desk: &mut Desk, bytes: &[u8]) -> Result<(), End> {
        let mut waited = std::mem::take(&mut link.inbox);
        if waited.is_empty() {
            let used = self.take_packets(link, desk, bytes)?;
            link.inbox = bytes[used..].to_vec();
        } else {
            waited.extend_from_slice(bytes);
            let used = self.take_packets(link, desk, &waited)?;
            waited.drain(..used);
            link.inbox = if waited.is_empty() { Vec::new() } else { waited };
        }
        Ok(())
    }

    /// Acts on the whole packets at the front: how many bytes they have.
    fn take_packets(&mut self, link: &mut Link, desk: &mut Desk, bytes: &[u8]) -> Result<usize, End> {
        let version = self.worker.run.plan.access.version;
        let now = self.worker.us(Instant::now());
        let (mut used, mut acknowledged, mut last_us) = (0, 0, 0);
        let ended = loop {
            let (packet, size) = match decode(version, &bytes[used..], PACKET_BYTES_MAX) {
                Ok(Some(found)) => found,
                Ok(None) => break Ok(used),
                Err(error) => break Err(self.fatal(error)),
            };
            used += size;
            match packet {
                Packet::Receipt(receipt) => match self.take_receipt(link, desk, receipt, now) {
                    Ok(None) => {}
                    Ok(Some(latency_us)) => {
                        acknowledged += 1;
                        last_us = latency_us;
                        desk.book.latencies.record_us(latency_us);
                    }
                    Err(end) => break Err(end),
                },
                Packet::PingResp => link.pinged = None,
                Packet::Disconnect { reason } => {
                    let why = v5_reason(reason);
                    // Of two who have the same client id, each would throw the other out for ever.
                    if is_lasting(Version::V5, reason) || reason == 0x8E {
                        let target = self.worker.run.plan.access.target.to_string();
                        break Err(End::Fatal(MqttError::Disconnected { target, client: self.number, reason: why }));
                    }
                    break Err(self.broken(why));
                }
                // What a publisher never asked for.
                Packet::Publish(_) => {}
                Packet::ConnAck(_) | Packet::SubAck { .. } => break Err(self.broken("an answer to no question")),
            }
        };
        if acknowledged > 0 {
            link.got_receipts = true;
            self.worker.run.progress.acknowledged(acknowledged, std::time::Duration::from_micros(last_us));
        }
        ended
    }

    /// The message's latency if this is its last receipt.
    fn take_receipt(
        &mut self,
        link: &mut Link,
        desk: &mut Desk,
        receipt: Receipt,
        now: u64,
    ) -> Result<Option<u64>, End> {
        let Receipt { kind, packet_id, reason } = receipt;
        let qos = self.worker.run.plan.qos;
        let refused = match (kind, qos) {
            (ReceiptKind::Ack, Qos::AtLeastOnce) => reason >= 0x80,
            (ReceiptKind::Rec, Qos::ExactlyOnce) if reason >= 0x80 => true,
            (ReceiptKind::Rec, Qos::ExactlyOnce) => {
                // A message that nobody waits for is released too, or the broker would keep its id for ever.
                self.window.received(packet_id, now);
                write_receipt(ReceiptKind::Rel, packet_id, &mut link.outbox);
                return Ok(None);
            }
            // After PUBREC the broker has it, even if it has forgotten the id.
            (ReceiptKind::Comp, Qos::ExactlyOnce) => false,
            _ => return Err(self.broken("a receipt that the QoS does not have")),
        };
        let Some(Waiting { emitted, intended_us }) = self.window.done(packet_id) else { return Ok(None) };
        if refused {
            desk.book.refused += 1;
            desk.book.ledger.give_up(emitted.device, emitted.seq);
            let target = &self.worker.run.plan.access.target;
            self.worker.run.progress.retried(&format!("{target} refused a message: {}", v5_reason(reason)));
            return Ok(None);
        }
        desk.book.ledger.acknowledge(emitted.device, emitted.seq);
        Ok(Some(now.saturating_sub(intended_us)))
    }

    /// Receipts and pings that are overdue end the connection; a ping that is due goes out.
    fn watch_clock(&mut self, link: &mut Link, now: Instant) -> Result<(), End> {
        let timeout = self.worker.run.plan.access.request_timeout;
        let oldest = self.window.oldest_sent_us().map(|us| self.worker.instant(us));
        if oldest.is_some_and(|oldest| now >= oldest + timeout) {
            return Err(self.broken(format!("no receipt within {timeout:?}")));
        }
        match (link.pinged, link.keep_alive) {
            (Some(pinged), _) if now >= pinged + timeout => {
                return Err(self.broken(format!("no answer to a ping within {timeout:?}")));
            }
            (None, Some(keep_alive)) if now >= link.wrote + keep_alive => {
                write_ping(&mut link.outbox);
                link.pinged = Some(now);
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes all that may be written: true if nothing is left behind.
    fn write(&mut self, cx: &mut Context<'_>, link: &mut Link, desk: &mut Desk) -> Result<bool, End> {
        loop {
            while link.out_at < link.outbox.len() {
                match link.stream.poll_write(cx, &link.outbox[link.out_at..]) {
                    Poll::Ready(Ok(count)) => link.out_at += count,
                    Poll::Ready(Err(error)) => return Err(self.broken(error)),
                    Poll::Pending => return Ok(false),
                }
                link.wrote = Instant::now();
            }
            link.outbox.clear();
            link.out_at = 0;
            desk.out.clear();
            self.produce(desk)?;
            if desk.out.is_empty() {
                link.outbox.shrink_to(OUTBOX_BYTES_KEPT);
                break;
            }
            let written = match link.stream.poll_write(cx, &desk.out) {
                Poll::Ready(Ok(count)) => count,
                Poll::Ready(Err(error)) => return Err(self.broken(error)),
                Poll::Pending => 0,
            };
            link.outbox.extend_from_slice(&desk.out[written..]);
            link.wrote = Instant::now();
        }
        if link.flushes {
            match link.stream.poll_flush(cx) {
                Poll::Ready(flushed) => flushed.map_err(|error| self.broken(error))?,
                Poll::Pending => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Appends messages to `desk.out` as long as it, the window and the schedule allow: first those that go out again.
    fn produce(&mut self, desk: &mut Desk) -> Result<(), End> {
        let worker = self.worker.clone();
        let plan = &worker.run.plan;
        let now = Instant::now();
        let run_us = worker.us(now);
        while desk.out.len() < WRITE_BYTES
            && let Some(sent) = self.window.send_again(run_us, &mut desk.out)
        {
            if let Some(emitted) = sent {
                desk.book.ledger.repeat(emitted.device, emitted.seq);
            }
        }
        self.due = None;
        let Some(schedule) = &mut self.schedule else { return Ok(()) };
        if self.stopping {
            return Ok(());
        }
        let has_receipts = plan.qos > Qos::AtMostOnce;
        let (before, ts_us) = (self.sent, now_us());
        while desk.out.len() < WRITE_BYTES && self.sent < self.quota && (!has_receipts || self.window.has_room()) {
            let due = schedule.due(self.sent);
            if due.is_some_and(|due| due > now) {
                self.due = due;
                break;
            }
            // The topic, which comes first, needs to know whose event it is.
            desk.payload.clear();
            let emitted = desk.fleet.write_event_of(self.place, ts_us, &mut desk.payload);
            self.place = if self.place + 1 == self.places.end { self.places.start } else { self.place + 1 };
            let start = desk.out.len();
            let mut draft = Draft::begin(&mut desk.out, plan.qos, plan.retain);
            plan.topic.write(emitted.device, &mut desk.out);
            draft.topic_ends(&mut desk.out, plan.access.version, has_receipts.then(|| self.window.next_packet_id()));
            desk.out.extend_from_slice(&desk.payload);
            if let Err(error) = draft.finish(&mut desk.out) {
                return Err(self.fatal(error));
            }
            desk.book.ledger.send(emitted.device, emitted.seq);
            if has_receipts {
                let intended_us = due.map_or(run_us, |due| worker.us(due));
                self.window.push(Waiting { emitted, intended_us }, run_us, &desk.out[start..]);
            }
            self.sent += 1;
        }
        if !desk.out.is_empty() {
            worker.run.progress.sent_events.fetch_add(self.sent - before, Ordering::Relaxed);
            worker.run.progress.sent_bytes.fetch_add(desk.out.len() as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    /// When there is something to do again, even if the broker says nothing.
    fn wake(&self, link: &Link, all_written: bool) -> Option<Instant> {
        let timeout = self.worker.run.plan.access.request_timeout;
        let due = if all_written { self.due } else { None };
        let receipt = self.window.oldest_sent_us().map(|us| self.worker.instant(us) + timeout);
        let ping = match (link.pinged, link.keep_alive) {
            (Some(pinged), _) => Some(pinged + timeout),
            (None, Some(keep_alive)) => Some(link.wrote + keep_alive),
            (None, None) => None,
        };
        [due, receipt, ping].into_iter().flatten().min()
    }

    fn broken(&self, why: impl std::fmt::Display) -> End {
        End::Broken(format!("the connection to {} broke: {why}", self.worker.run.plan.access.target))
    }

    fn fatal(&self, error: CodecError) -> End {
        End::Fatal(MqttError::Codec { target: self.worker.run.plan.access.target.to_string(), error })
    }
}
