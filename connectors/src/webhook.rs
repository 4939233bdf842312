//! The webhook endpoint: events pushed as CloudEvents by HTTP POST, with retries, and dead letters for what nobody takes.
//!
//! What always holds:
//! - A delivery is settled when each of its events was answered with 200 to 204 or stands, synced, in the dead letter file.
//! - Requests under way, events that wait for a retry and deliveries held are bounded. At a bound the sink stops taking from its
//!   feed; the endpoint then falls behind to the log, and nobody else notices.
//! - What is sent when is decided by [`Dispatch`], what an answer means by [`policy`]. Both are pure: clock and dice are arguments.
//! - With `ordered`, the events of a key go one after the other, through retries too; a key that fails holds no other.
//! - At least once: an event whose answer was lost is sent again.

mod client;
mod config;
pub mod dead_letter;
mod dispatch;
mod filling;
mod keys;
mod parked;
pub mod policy;
mod queue;
mod shot;
mod sink;
mod span;
mod written_off;

pub use client::{ClientError, client};
pub use config::{Full, TtlFrom, WebhookConfig};
pub use dispatch::{Dispatch, HELD_DELIVERIES_MAX, Judged};
pub use shot::{GivenUp, Shot, Tried};
pub use sink::{OpenError, Webhook, run};
