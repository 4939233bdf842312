//! Reads the log for a session or a share that is behind, as its broker says.

use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::Core;
use crate::hub::ReadError;
use crate::mqtt::broker::{BacklogStep, Reading};
use crate::mqtt::limits::BACKLOG_READ_BYTES_MAX;

/// Until there is no backlog any more.
pub async fn read(core: Rc<Core>, reading: Reading) {
    loop {
        let step = std::future::poll_fn(|cx| match core.with(|broker| broker.backlog_step(reading, cx.waker())) {
            BacklogStep::Wait => Poll::Pending,
            step => Poll::Ready(step),
        });
        let BacklogStep::Read { partition, from } = step.await else { return };
        let batches = match core.log.read_recent(partition, from, BACKLOG_READ_BYTES_MAX) {
            Some(batches) => Ok(batches),
            None => {
                let log = core.log.clone();
                let read = move || log.read(partition, from, BACKLOG_READ_BYTES_MAX);
                match tokio::task::spawn_blocking(read).await {
                    Ok(batches) => batches,
                    // The runtime ends.
                    Err(_) => return,
                }
            }
        };
        match batches {
            Ok(batches) if batches.is_empty() => {
                // What the tap has shown is in the log: it will be there in a moment.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Ok(batches) => core.with(|broker| broker.backlog_give(reading, partition, &batches)),
            Err(ReadError::FallenOff { first_available: next, .. } | ReadError::Damaged { next, .. }) => {
                core.with(|broker| broker.backlog_skip(reading, partition, next));
            }
            Err(error) => {
                tracing::error!(partition, %error, "cannot read the log for an MQTT session; trying again in a second");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        // Others on this core have their turn between two reads.
        tokio::task::yield_now().await;
    }
}
