//! The room of a feed, in bytes: deliveries may be of three events or of sixty thousand, so a number of them bounds nothing.
//!
//! What always holds: what has entered and not left takes no more than there is room for, or is one delivery that is larger.

use tokio::sync::{Notify, Semaphore};

use super::SinkGone;

#[derive(Debug)]
pub(super) struct Room {
    left: Semaphore,
    bytes_max: usize,
    half_taken: Notify,
}

impl Room {
    /// With room for so many bytes; at least one, at most 4 GiB.
    pub fn new(bytes_max: usize) -> Self {
        let bytes_max = bytes_max.clamp(1, u32::MAX as usize);
        Self { left: Semaphore::new(bytes_max), bytes_max, half_taken: Notify::new() }
    }

    /// Waits until there is room for so many bytes and takes it. What is larger than all of the room waits for all of it.
    pub async fn enter(&self, bytes: usize) -> Result<(), SinkGone> {
        let permit = self.left.acquire_many(self.taken_by(bytes) as u32).await.map_err(|_| SinkGone)?;
        permit.forget();
        if self.left.available_permits() < self.bytes_max.div_ceil(2) {
            self.half_taken.notify_one();
        }
        Ok(())
    }

    /// Gives back what was taken for so many bytes.
    pub fn leave(&self, bytes: usize) {
        self.left.add_permits(self.taken_by(bytes));
    }

    /// Resolves when more than half is taken, or has been since this resolved last.
    pub async fn half_taken(&self) {
        self.half_taken.notified().await;
    }

    /// Nobody takes anything out any more.
    pub fn close(&self) {
        self.left.close();
    }

    fn taken_by(&self, bytes: usize) -> usize {
        bytes.min(self.bytes_max)
    }
}
