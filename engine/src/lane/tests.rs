//! The protocol between the ends of a lane.

use super::*;
use crate::batch::{BatchBuilder, HeaderWriter};
use crate::limits;
use crate::ring::Bell;

fn delivery() -> Delivery {
    let mut builder = BatchBuilder::new(0);
    builder.push(None, b"{}", &HeaderWriter::default(), 0).expect("fits");
    let batch = Arc::new(builder.seal().expect("one row"));
    Delivery { batch, rows: Rows::All, enrichments: Arc::new([]), table_version: 0 }
}

#[test]
fn a_full_lane_is_behind_and_comes_back_with_the_heads() {
    let (mut sender, mut receiver) = lane(&Bell::default(), &Bell::default());
    assert!(receiver.is_behind() && !sender.is_live());
    receiver.want_live();
    assert!(sender.is_wanted());
    sender.go_live(Box::new([(0, 7)]));
    assert!(matches!(receiver.pop(), Some(LaneItem::Live(heads)) if *heads == [(0, 7)]));

    for _ in 0..limits::LANE_DELIVERIES_MAX {
        sender.push(delivery());
    }
    assert!(sender.is_live() && !receiver.is_behind());
    sender.push(delivery());
    assert!(!sender.is_live() && receiver.is_behind());
    let waiting = std::iter::from_fn(|| receiver.pop()).count();
    assert_eq!(waiting, limits::LANE_DELIVERIES_MAX);
    receiver.want_live();
    sender.go_live(Box::new([(0, 99)]));
    assert!(matches!(receiver.pop(), Some(LaneItem::Live(_))));
}
