//! A client of `anabranch/1` for Rust programs: [`Subscriber`] takes events from a node, [`Publisher`] sends it some.
//!
//! Each has a connection of its own that is made again whenever it breaks, after a pause that grows. What always holds, however
//! often that happens: a subscriber is given every matching event once and in the order of its partition; an event that was
//! acknowledged to a publisher is in the log once. What trying again cannot mend ends it with a [`ClientError`] that says why.
//! Memory is bounded by [`SubscribeOptions::window_bytes`] and [`PublishOptions::in_flight_bytes_max`].
//!
//! Both need a runtime of tokio with its timers and sockets, of either kind: a task of theirs does the talking, so a
//! subscription stays alive while the program is busy with something else. Dropping them says goodbye to the node in the background.
//!
//! ```no_run
//! use connectors::quic::client::{Connect, Incoming, NewEvent, PublishOptions, Publisher, StartAt, SubscribeOptions, Subscriber};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // The node says its fingerprint when it starts; with a certificate of an authority nothing is needed here.
//! let node = Connect::to("quic://127.0.0.1:4433")?.fingerprint(
//!     "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".parse()?,
//! );
//!
//! let publisher = Publisher::open(node.clone(), PublishOptions::default()).await?;
//! let event = NewEvent::new(br#"{"temp":71}"#).key("press-1").attribute("type", "reading");
//! let receipt = publisher.publish(&event).await?;
//! receipt.await?; // It is on the node's disk.
//!
//! let wanted = SubscribeOptions {
//!     filter: "temp > 70".to_owned(),
//!     start: StartAt::Cursor { subscriber: "billing".to_owned(), else_earliest: true },
//!     ..SubscribeOptions::default()
//! };
//! let mut subscriber = Subscriber::open(node, wanted).await?;
//! loop {
//!     match subscriber.next().await? {
//!         Incoming::Batch(batch) => {
//!             for event in batch.events() {
//!                 println!("{}:{} {:?}", event.partition(), event.offset(), event.data());
//!             }
//!         }
//!         Incoming::Lost { partition, from, to } => eprintln!("partition {partition}: {from} to {to} are gone"),
//!     }
//!     // What was taken so far is done: the next run begins behind it.
//!     subscriber.commit("billing").await?;
//! }
//! # }
//! ```

mod backoff;
mod connect;
mod dial;
mod error;
mod event;
mod link;
mod publisher;
mod receipt;
mod serve;
mod subscriber;

#[cfg(test)]
mod tests;

pub use connect::{Address, AddressError, Connect, Notice};
pub use error::{ClientError, CommitError, PublishError};
pub use event::NewEvent;
pub use publisher::{PublishOptions, Publisher, Totals};
pub use receipt::{BulkOutcome, BulkReceipt, Receipt, RefusedEvent};
pub use subscriber::{Batch, Incoming, Subscriber};

pub use super::frame::Code;
pub use super::session::client::{Greeting, SubscribeOptions};
pub use super::session::server::StartAt;
pub use super::tls::{ClientIdentity, Fingerprint, ServerTrust};
