//! Every bound of a connection, each with its reason.

use crate::quic::frame::bounds;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuicLimits {
    /// Most subscriptions of a connection: each is an endpoint of the route table with a lane per shard.
    pub subscriptions_max: u32,
    /// Most data streams of a subscription: each costs a stream's buffers on both sides.
    pub groups_max: u32,
    /// Most credit of a subscription in bytes: what a path with 1 Gbit/s and 100 ms needs is 12.5 MB.
    pub credit_max: u64,
    /// Most publish streams of a connection that a client may have open at a time. Each can hold one frame that is not whole.
    pub publish_streams_max: u32,
    /// Most bytes of a PUBLISH's body. Its records become one batch.
    pub publish_bytes_max: u32,
    /// Most bytes of one event: key, data and headers together.
    pub event_bytes_max: usize,
    /// Bytes of batches that wait for the log before no more is read from publish streams; one read may go beyond it.
    pub publish_in_flight_bytes_max: usize,
    /// Most commits that wait for an answer; then no more is read from the control stream.
    pub commits_max: usize,
    /// Actions that wait to be polled before no more is read from the control stream.
    pub actions_max: usize,
    /// Bytes of answers that wait to be sent before no more is read from the control stream: a few answers of the longest kind.
    pub control_out_bytes_max: usize,
}

impl QuicLimits {
    /// Most publish streams that are open as far as the node has seen: the ends of as many as may be open can be on their way.
    pub fn publish_streams_seen_max(&self) -> usize {
        2 * self.publish_streams_max as usize
    }
}

impl Default for QuicLimits {
    fn default() -> Self {
        Self {
            subscriptions_max: 64,
            groups_max: 16,
            credit_max: 16 * 1024 * 1024,
            publish_streams_max: 8,
            publish_bytes_max: bounds::PUBLISH_BODY_BYTES_MAX as u32,
            event_bytes_max: engine::limits::EVENT_BYTES_DEFAULT,
            publish_in_flight_bytes_max: 4 * 1024 * 1024,
            commits_max: 16,
            actions_max: 64,
            control_out_bytes_max: 256 * 1024,
        }
    }
}
