//! Who may begin a handshake.
//!
//! What always holds: it takes the same memory whoever comes; who has not proved its address is never refused because of the
//! address, because anybody can write any address on a packet: it is asked to prove it, which costs the node nothing.

#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use super::QuicEndpointLimits;

/// Addresses are counted in so many places. Two addresses that share one share their rate; which ones do, only the process
/// knows.
const PLACES: usize = 4096;

/// What is done with one who knocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Shakes hands.
    Accept,
    /// Is asked to prove the address.
    Retry,
    /// The node has as many connections as it may.
    Full,
    /// The core has as many handshakes as it may.
    Busy,
    /// The address has been proved, and opens too many.
    TooOften,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "accepted",
            Self::Retry => "has to prove its address",
            Self::Full => "the node has its connections_max connections",
            Self::Busy => "the core has its handshakes_max handshakes",
            Self::TooOften => "its address opens more than arrivals_per_address_per_s",
        })
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Admission {
    /// Handshakes under way.
    pub(super) handshakes: usize,
    connections_max: usize,
    handshakes_max: usize,
    retry_from: usize,
    unproved: Rates,
    proved: Rates,
}

impl Admission {
    pub(super) fn new(limits: &QuicEndpointLimits) -> Self {
        Self {
            handshakes: 0,
            connections_max: limits.connections_max,
            handshakes_max: limits.handshakes_max,
            retry_from: limits.retry_from,
            unproved: Rates::new(limits),
            proved: Rates::new(limits),
        }
    }

    /// `connections`: open ones of the node.
    pub(super) fn judge(&mut self, now: Duration, address: IpAddr, is_proved: bool, connections: usize) -> Verdict {
        if connections >= self.connections_max {
            return Verdict::Full;
        }
        if !is_proved {
            let is_quiet = self.handshakes < self.retry_from && self.unproved.take(now, address);
            return if is_quiet { Verdict::Accept } else { Verdict::Retry };
        }
        if self.handshakes >= self.handshakes_max {
            return Verdict::Busy;
        }
        if self.proved.take(now, address) { Verdict::Accept } else { Verdict::TooOften }
    }
}

/// For each place, when it will have used up what it has had: so far ahead of now as was taken at once.
#[derive(Debug)]
struct Rates {
    until_us: Box<[u64]>,
    hasher: RandomState,
    interval_us: u64,
    ahead_us_max: u64,
}

impl Rates {
    fn new(limits: &QuicEndpointLimits) -> Self {
        let interval_us = 1_000_000 / u64::from(limits.arrivals_per_address_per_s.max(1));
        Self {
            until_us: vec![0; PLACES].into(),
            hasher: RandomState::new(),
            interval_us,
            ahead_us_max: interval_us * u64::from(limits.arrivals_per_address_at_once.max(1)),
        }
    }

    fn take(&mut self, now: Duration, address: IpAddr) -> bool {
        // A customer of IPv6 has a network of at least 64 bits.
        let network = match address.to_canonical() {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
        };
        let place = self.hasher.hash_one(network) as usize % PLACES;
        let now_us = now.as_micros() as u64;
        let until = self.until_us[place].max(now_us);
        if until + self.interval_us > now_us + self.ahead_us_max {
            return false;
        }
        self.until_us[place] = until + self.interval_us;
        true
    }
}
