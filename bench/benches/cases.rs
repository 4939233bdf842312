//! The eleven functions that an event's cost is made of, each with inputs that are the same on every machine and in every run.
//!
//! They are the functions through which every event goes, in its order; what runs once per batch is in them as far as it is paid for
//! by events. The first seven are paid by each event, the last four by each event that an endpoint or a subscriber gets:
//!
//! 1. `decode`: a CloudEvent in JSON becomes headers and data. The largest cost of the HTTP listener.
//! 2. `submit`: partition hash, row of the batch, checksum, the ring to the shard and its answer back. The price of being accepted.
//! 3. `extract`: bodies become columns, and are validated: with a shape that is known, with one that is not (the walker), and with
//!    escapes and other than ASCII (unescaping, UTF-8). The largest cost of matching.
//! 4. `route`: the same and the search for routes: one, which shows what matching costs as such, and ten thousand, which shows
//!    that it does not grow.
//! 5. `step`: a turn of the shard with all it does to a batch: ids that came before, place, group, match, lane, ack.
//! 6. `read_back`: a stored batch is checked and indexed. The price of reading what was written.
//! 7. `catch_up`: an endpoint that is behind finds its events in the log. What an outage costs afterwards.
//! 8. `columns`: a row of a Parquet file: body parsed whole, columns filled; by the column, and one row after the other.
//! 9. `envelope`: an event written as a CloudEvent for a webhook, a subscriber or a file.
//! 10. `dispatch`: a webhook's decisions about an event, from its delivery to its settlement, with keys in order.
//! 11. `pack`: nine of ten rows of a batch put together anew for a subscriber over QUIC, where a mask over the whole batch would do.
//!
//! What always holds: a run does [`EVENTS`] events and says so, and both harnesses check it; only `run` is measured; no input
//! comes from dice or from a clock. What a hash is seeded with at random in the engine changes counts by less than a thousandth.

mod endpoints;
mod events;
mod extract;
mod intake;
mod log;
mod matching;
mod shard;
mod size;

pub use endpoints::{Columns, Dispatched, Envelopes, Packed};
pub use extract::Extract;
pub use intake::{Decode, Submit};
pub use log::{CatchUp, ReadBack};
pub use matching::Routed;
pub use shard::Step;
pub use size::EVENTS;

/// What is measured.
pub trait Case {
    /// Makes what the next run uses up. Not measured.
    fn prepare(&mut self) {}

    /// Does the work; how many events it was done for.
    fn run(&mut self) -> usize;
}

/// Runs before the first that is measured: shapes are learnt, buffers have their size, tables of ids are full.
const WARM_UP_RUNS: usize = 3;

/// Makes a case and runs it until nothing is new to it; ready to be measured.
pub fn ready<C: Case>(make: impl FnOnce() -> C) -> C {
    let mut case = make();
    for _ in 0..WARM_UP_RUNS {
        case.prepare();
        assert_eq!(case.run(), EVENTS, "a warm-up did another number of events");
    }
    case.prepare();
    case
}
