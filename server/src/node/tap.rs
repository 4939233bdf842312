//! The tap of a core's MQTT broker: every synced batch of every shard, in the broker's hands on the broker's thread.

use std::rc::Rc;

use connectors::mqtt::source::Core;
use connectors::sink::{SinkGone, Taken};
use engine::lane::Delivery;

use super::feeder::Handing;

/// See the module.
pub struct Tap(pub Rc<Core>);

impl Handing for Tap {
    async fn hand(&self, delivery: Delivery) -> Result<Taken, SinkGone> {
        self.0.deliver(&delivery.batch);
        Ok(Taken::Whole)
    }

    fn advance(&self, partition: u32, offset: u64) {
        self.0.advance(partition, offset);
    }
}
