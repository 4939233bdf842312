//! Simulated device fleets that send real events, and the ledger that proves what became of them.
//!
//! A black box on purpose: nothing of Anabranch is imported, so what it finds holds for any broker or endpoint. In reading order:
//! [`fleet`] makes events, [`pace`] says when, [`client`] sends them over real sockets and counts an event as acknowledged only
//! after a receipt, [`ledger`] remembers what was sent and acknowledged and holds what is read back against it, [`receiver`] is
//! the far end of a webhook, [`histogram`], [`series`] and [`report`] say how it went, [`watch`] what the process under load used.

pub mod client;
pub mod clock;
pub mod fleet;
pub mod generate;
pub mod histogram;
pub mod journal;
pub mod ledger;
pub mod pace;
pub mod receiver;
pub mod report;
pub mod series;
pub mod udp_faults;
pub mod verify;
pub mod watch;
