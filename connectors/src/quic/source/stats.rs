//! What a core's connections of `anabranch/1` count. Everything here happens per frame or seldomer, nothing per event.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counts {
    ($($name:ident: $text:literal;)*) => {
        /// Numbers since the start. Written by one core, read by anyone.
        #[derive(Debug, Default)]
        pub struct SessionStats {
            $(#[doc = $text] pub $name: AtomicU64,)*
        }

        impl SessionStats {
            /// All numbers with their names and what they are.
            pub fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((stringify!($name), $text, self.$name.load(Ordering::Relaxed)),)*].into_iter()
            }
        }
    };
}

counts! {
    subscriptions_opened: "Subscriptions that were opened";
    subscriptions_ended: "Of these, over";
    subscriptions_refused: "Subscriptions that were refused";
    delivered_batches: "BATCH frames";
    delivered_events: "Events in them";
    delivered_bytes: "Bytes given to data streams";
    lost_events: "Events that the log no longer had when a subscriber came to them";
    commits: "Positions of subscribers that were kept";
    published_batches: "PUBLISH frames that were taken";
    published_events: "Events in them";
    refused_publishes: "PUBLISH frames that the log did not keep";
    refused_clients: "Clients that did not prove who they are";
    faults: "Connections that were ended because the client broke the protocol";
}

/// Adds to one of them.
pub(super) fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}
