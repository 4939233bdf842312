//! QUIC: the protocol `anabranch/1` for publishers and subscribers, as `docs/quic.md` specifies it.

pub mod frame;
pub mod session;
