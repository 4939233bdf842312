//! The endpoint type `mqtt`: matches are published again, to a topic made from a template.
//!
//! What is published goes into the log as an event of its own, so that sessions that are away get it too and other routes see
//! it. What always holds: a delivery is settled when all that it became is on the device; an event that was published again
//! `hops_max` times is not published once more, so routes cannot feed themselves; an event of which no topic can be made is
//! dropped and counted; at least once, since a crash between sync and cursor publishes again.

mod config;
mod maker;
mod template;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use engine::mesh::{AckLevel, Refused};

pub use config::{MqttFormat, MqttSinkConfig};
pub use template::TemplateError;

use crate::intake::{Intake, IntakeError};
use crate::rate_limited::RateLimited;
use crate::sink::{Feed, Handed, SinkStats};
use maker::Maker;

/// Bytes of payload that are gathered before they are committed, while deliveries wait.
const GROUP_BYTES_MAX: usize = 1024 * 1024;

/// Why the endpoint stopped. What is not settled comes again.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// A template that cannot be read; the check of the configuration finds it before.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The log does not take what is published.
    #[error("cannot publish: {0}")]
    Intake(#[from] IntakeError),
}

/// Runs the endpoint of that name until its feed ends.
pub async fn run(
    name: &str,
    config: MqttSinkConfig,
    mut feed: Feed,
    intake: Intake,
    stats: Arc<SinkStats>,
) -> Result<(), SinkError> {
    let mut maker = Maker::new(name, config)?;
    let complaints = RateLimited::new(Duration::from_secs(10));
    while let Some(first) = feed.next().await {
        match publish(&mut maker, first, &mut feed, &intake, &stats, &complaints).await {
            // The node stops and takes nothing more: what is left comes after the next start.
            Err(IntakeError::Refused(Refused::Stopping)) => while feed.next().await.is_some() {},
            done => done?,
        }
    }
    Ok(())
}

/// Publishes a delivery and what waits behind it, in one commit.
async fn publish(
    maker: &mut Maker,
    first: Handed,
    feed: &mut Feed,
    intake: &Intake,
    stats: &SinkStats,
    complaints: &RateLimited,
) -> Result<(), IntakeError> {
    let now_ms = now_ms();
    let mut submission = intake.submission(AckLevel::Synced);
    let (mut tickets, mut next, mut dropped) = (Vec::new(), Some(first), 0);
    while let Some(Handed { delivery, ticket, .. }) = next {
        for event in delivery.events() {
            let Err(reason) = maker.publish(&event, &delivery.enrichments, now_ms, &mut submission) else { continue };
            dropped += 1;
            if let Some(held_back) = complaints.allow(Instant::now()) {
                let (partition, offset) = (event.partition(), event.offset());
                tracing::warn!(
                    endpoint = maker.name(),
                    partition,
                    offset,
                    held_back,
                    "an event is not published: {reason}"
                );
                stats.failed(format!("the event {partition}-{offset} is not published: {reason}"));
            }
        }
        tickets.push(ticket);
        next = if submission.bytes() < GROUP_BYTES_MAX { feed.try_next() } else { None };
    }
    let (events, bytes) = (submission.events(), submission.bytes() as u64);
    submission.commit().await?;
    SinkStats::add(&stats.delivered_events, events);
    SinkStats::add(&stats.delivered_bytes, bytes);
    SinkStats::add(&stats.dropped_events, dropped);
    tickets.into_iter().for_each(|ticket| ticket.settle());
    Ok(())
}

/// One clock read per commit.
fn now_ms() -> i64 {
    // A clock before 1970 is a broken clock; its events get the epoch.
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
