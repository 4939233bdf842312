//! Everything that is true across crates, in one test binary.
//!
//! `tidy` and `layers` read the sources and hold the rules of `docs/style.md` and `docs/architecture.md`. The rest starts the
//! real binary. What always holds: no test needs another to have run, a fixed port or a pause of a fixed length; every process
//! that a test starts ends with it.

mod analytics;
mod beside;
mod commands;
mod credentials;
mod dedup;
mod delta;
mod end_to_end;
mod extraction;
mod lake;
mod layers;
mod lifecycle;
mod loadgen;
mod loadgen_mqtt;
mod mqtt_broker;
mod mqtt_cli;
mod mqtt_clients;
mod mqtt_conformance;
mod mqtt_ledger;
mod npm;
mod pages;
mod places;
mod python;
mod quic_cli;
mod quic_client;
mod quic_ends;
mod quic_node;
mod quic_ledger;
mod quic_python;
mod replay;
mod republish;
mod routing;
mod sources;
mod stores;
mod support;
mod tidy;
