//! How many events a run is: instructions per event are those of a run divided by this.

/// Events of a run: some batches of 64 KiB, so that what is paid per batch has its share.
pub const EVENTS: usize = 2048;
