//! The webhook endpoint: events pushed as CloudEvents by HTTP POST, with retries, and dead letters for what nobody takes.
//!
//! What always holds:
//! - A delivery is settled when each of its events was answered with 200 to 204 or stands, synced, in the dead letter file.
//! - Requests under way, events that wait for a retry and deliveries held are bounded. At a bound the sink stops taking from its
//!   feed; the endpoint then falls behind to the log, and nobody else notices.
//! - What an answer means is decided by the pure [`policy`], whose clock and dice are arguments.
//! - At least once: an event whose answer was lost is sent again.

mod client;
mod config;
pub mod dead_letter;
mod parked;
pub mod policy;
mod queue;
mod sink;
mod written_off;

pub use client::{ClientError, client};
pub use config::{Full, TtlFrom, WebhookConfig};
pub use sink::{OpenError, Webhook, run};
