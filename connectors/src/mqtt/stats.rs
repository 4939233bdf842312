//! What a core's broker counts: plain numbers while it works, added up once a turn for whoever wants to show them.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counts {
    ($($name:ident: $text:literal;)*) => {
        /// Numbers of one turn.
        #[derive(Clone, Copy, Debug, Default)]
        pub struct Counts {
            $(#[doc = $text] pub $name: u64,)*
        }

        /// Numbers since the start. Written by one core, read by anyone.
        #[derive(Debug, Default)]
        pub struct MqttStats {
            $(#[doc = $text] pub $name: AtomicU64,)*
        }

        impl MqttStats {
            /// Adds a turn's numbers.
            pub fn add(&self, counts: &Counts) {
                $(if counts.$name > 0 {
                    self.$name.fetch_add(counts.$name, Ordering::Relaxed);
                })*
            }

            /// All numbers with their names and what they are.
            pub fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((stringify!($name), $text, self.$name.load(Ordering::Relaxed)),)*].into_iter()
            }
        }
    };
}

counts! {
    connections_opened: "Clients let in";
    connections_closed: "Of these, gone";
    refused_connections: "Clients not let in";
    packets_received: "Packets from clients";
    malformed: "Packets that were none";
    messages_received: "Messages from clients, repeated ones not counted";
    bytes_received: "Bytes of their payloads";
    repeated_messages: "Messages of QoS 2 that came again";
    refused_messages: "Messages that were not taken: not allowed, too large, or the log failed";
    denied: "Actions that a client may not do";
    messages_sent: "Messages to clients";
    bytes_sent: "Bytes of their payloads";
    repeated_sends: "Of these, sent again";
    expired_messages: "Messages not sent because their time was over";
    oversized_messages: "Messages not sent because the client does not take packets of their size";
    skipped_events: "Events that lay further back than a session may lag, and are not looked at for it";
    lost_events: "Events that retention removed before a session got to them";
    backlogs: "Times that a session fell behind or came back to a backlog";
    subscriptions: "Subscriptions made";
    refused_subscriptions: "Subscriptions refused";
    taken_over: "Sessions taken over by another connection";
    wills: "Wills published";
}
