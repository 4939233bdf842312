//! Cases `decode` and `submit`: from the body of a request to the ring of a shard.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use connectors::cloudevents::Decoder;
use connectors::intake::Intake;
use engine::batch::HeaderWriter;
use engine::event::put_attribute;
use engine::mesh::{Ack, AckLevel, Placed, Submitted};
use engine::ring::{Bell, Consumer, Producer, ring};

use super::Case;
use super::events::{START_MS, bodies, device, telemetry};

/// Events of a request.
const REQUEST_EVENTS: usize = 128;
/// Partitions of the log.
const PARTITIONS: u32 = 8;
/// Attributes that are kept of an event of `decode`: all but `specversion`.
const ATTRIBUTES: usize = 6;

/// Requests in CloudEvents' JSON batch format.
pub struct Decode {
    decoder: Decoder,
    headers: HeaderWriter,
    requests: Vec<String>,
}

impl Decode {
    /// Sixteen requests.
    pub fn cloudevents() -> Self {
        let event = |(n, body): (usize, &String)| {
            format!(
                "{{\"specversion\":\"1.0\",\"id\":\"{n:08x}\",\"source\":\"/plants/7\",\"type\":\"com.example.telemetry\",\
                 \"subject\":\"{}\",\"partitionkey\":\"{}\",\"datacontenttype\":\"application/json\",\"data\":{body}}}",
                device(n as u64),
                device(n as u64),
            )
        };
        let events: Vec<String> = bodies(telemetry).iter().enumerate().map(event).collect();
        let requests = events.chunks(REQUEST_EVENTS).map(|events| format!("[{}]", events.join(","))).collect();
        Self { decoder: Decoder::default(), headers: HeaderWriter::default(), requests }
    }
}

impl Case for Decode {
    fn run(&mut self) -> usize {
        let Self { decoder, headers, requests } = self;
        let mut done = 0;
        for request in requests {
            let mut each = |event: &[u8]| {
                let decoded = decoder.decode(event, headers).is_ok_and(|decoded| !decoded.data.is_empty());
                done += usize::from(decoded && headers.count() == ATTRIBUTES);
            };
            Decoder::split_batch(request.as_bytes(), &mut each).expect("a JSON array");
        }
        done
    }
}

/// One core's intake, with both ends of its shard's rings.
pub struct Submit {
    intake: Intake,
    batches: Consumer<Submitted>,
    acks: Producer<Ack>,
    headers: HeaderWriter,
    /// Key and body.
    events: Vec<(String, String)>,
}

impl Submit {
    /// Events with keys and three attributes, one submission.
    pub fn keyed() -> Self {
        let bell = Bell::default();
        let (to_shard, batches) = ring(256, &bell);
        let (acks, from_shard) = ring(256, &bell);
        let intake = Intake::new(0, PARTITIONS, vec![to_shard], vec![from_shard], bell);
        let mut headers = HeaderWriter::default();
        put_attribute(&mut headers, "id", "0badcafe");
        put_attribute(&mut headers, "source", "/plants/7");
        put_attribute(&mut headers, "type", "com.example.telemetry");
        let events = (0..).map(device).zip(bodies(telemetry)).collect();
        Self { intake, batches, acks, headers, events }
    }
}

impl Case for Submit {
    fn run(&mut self) -> usize {
        let mut submission = self.intake.submission(AckLevel::Synced);
        for (n, (key, body)) in self.events.iter().enumerate() {
            let now_ms = START_MS as i64 + n as i64;
            let pushed = submission.push(Some(key.as_bytes()), body.as_bytes(), &self.headers, now_ms);
            pushed.expect("an event is small");
        }
        let mut context = Context::from_waker(Waker::noop());
        let mut commit = pin!(submission.commit());
        let mut run_acks = pin!(self.intake.run_acks());
        loop {
            if let Poll::Ready(receipt) = commit.as_mut().poll(&mut context) {
                return receipt.expect("nobody refuses").events() as usize;
            }
            while let Some(Submitted { batch, ticket }) = self.batches.pop() {
                let (partition, rows) = (batch.partition(), batch.rows().len() as u32);
                let placed = Placed { partition, base_offset: 0, rows, duplicates: 0 };
                self.acks.push(Ack { ticket, result: Ok(placed) }).expect("room for every batch");
            }
            assert!(run_acks.as_mut().poll(&mut context).is_pending(), "acks are taken for ever");
        }
    }
}
