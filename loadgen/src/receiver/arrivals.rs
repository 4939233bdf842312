//! What a receiver remembers, and how it reads CloudEvents.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Received;
use crate::fleet::{ReadBack, Unread, read_back};
use crate::histogram::Latencies;

/// The body is no CloudEvent.
#[derive(Debug, thiserror::Error)]
#[error("the body is not {what} in JSON: {source}")]
pub(super) struct Unreadable {
    what: &'static str,
    source: serde_json::Error,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// The payloads of a request's events by its content type: structured, batch, or the data of a binary one. An event without data has
/// an empty payload.
pub(super) fn payloads<'a>(content_type: &str, body: &'a [u8]) -> Result<Vec<&'a [u8]>, Unreadable> {
    let of = |envelope: Envelope<'a>| envelope.data.map_or(&b""[..], |data| data.get().as_bytes());
    if content_type.starts_with("application/cloudevents-batch") {
        let envelopes: Vec<Envelope<'a>> =
            serde_json::from_slice(body).map_err(|source| Unreadable { what: "a batch of CloudEvents", source })?;
        return Ok(envelopes.into_iter().map(of).collect());
    }
    if content_type.starts_with("application/cloudevents") {
        let envelope = serde_json::from_slice(body).map_err(|source| Unreadable { what: "a CloudEvent", source })?;
        return Ok(vec![of(envelope)]);
    }
    Ok(vec![body])
}

/// Is shown every payload that was answered with 200, with the time of its arrival.
pub type Taker = Box<dyn FnMut(&[u8], u64) + Send>;

#[derive(Default)]
pub(super) struct Arrivals {
    requests: u64,
    refused_requests: u64,
    strangers: u64,
    corrupted: u64,
    events: u64,
    /// Kept only where nobody takes the payloads: it grows with every event.
    order: Vec<(u32, u32)>,
    taker: Option<Taker>,
    latencies: Latencies,
}

impl Arrivals {
    pub(super) fn new(taker: Option<Taker>) -> Self {
        Self { taker, ..Self::default() }
    }

    pub(super) fn request(&mut self) {
        self.requests += 1;
    }

    pub(super) fn refuse(&mut self) {
        self.refused_requests += 1;
    }

    pub(super) fn accept(&mut self, payloads: &[&[u8]], arrived_us: u64) {
        self.events += payloads.len() as u64;
        for payload in payloads {
            if let Some(taker) = &mut self.taker {
                taker(payload, arrived_us);
            }
            match read_back(payload) {
                Ok(ReadBack { device, seq, ts_us }) => {
                    if self.taker.is_none() {
                        self.order.push((device, seq));
                    }
                    self.latencies.record_us(arrived_us.saturating_sub(ts_us));
                }
                Err(Unread::Stranger) => self.strangers += 1,
                Err(Unread::Corrupted) => self.corrupted += 1,
            }
        }
    }

    pub(super) fn clear_latencies(&mut self) {
        self.latencies.clear();
    }

    pub(super) fn order(&self) -> &[(u32, u32)] {
        &self.order
    }

    pub(super) fn view(&self) -> Received {
        Received {
            requests: self.requests,
            refused_requests: self.refused_requests,
            events: self.events,
            strangers: self.strangers,
            corrupted: self.corrupted,
            latency: self.latencies.quantiles(),
        }
    }
}
