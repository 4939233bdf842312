//! What a core's endpoint counts. Everything here happens per connection or per refusal, but for datagrams that are steered.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counts {
    ($($name:ident: $text:literal;)*) => {
        /// Numbers since the start. Written by one core, read by anyone.
        #[derive(Debug, Default)]
        pub struct QuicStats {
            $(#[doc = $text] pub $name: AtomicU64,)*
        }

        impl QuicStats {
            /// All numbers with their names and what they are.
            pub fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((stringify!($name), $text, self.$name.load(Ordering::Relaxed)),)*].into_iter()
            }
        }
    };
}

counts! {
    arrivals: "Clients that knocked";
    connections_opened: "Connections whose handshake succeeded";
    connections_closed: "Of these, gone";
    early_connections: "Connections that sent something before their handshake was over";
    retries_sent: "Clients told to prove their address first";
    refused_full: "Connections refused because the node has as many as it may";
    refused_busy: "Connections refused because the core has as many handshakes as it may";
    refused_rate: "Connections refused because their address opens too many";
    handshakes_failed: "Handshakes that failed: no protocol in common, a certificate that was not taken, a client that left";
    handshakes_timed_out: "Handshakes that took too long";
    steered_out: "Datagrams that came to this core and were handed to another";
    steered_in: "Handed-over trains of datagrams that this core took";
    steer_dropped: "Datagrams dropped because the other core's inbox was full";
    steer_forged: "Datagrams dropped because they name another core in an id that the node did not make";
}
