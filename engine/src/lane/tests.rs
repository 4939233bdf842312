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

#[test]
fn a_lane_is_full_by_bytes_too() {
    let (mut sender, mut receiver) = lane(&Bell::default(), &Bell::default());
    let large = || {
        let mut builder = BatchBuilder::new(0);
        let text = vec![b' '; limits::LANE_BYTES_MAX as usize / 5];
        builder.push(None, &text, &HeaderWriter::default(), 0).expect("fits");
        Delivery { batch: Arc::new(builder.seal().expect("one row")), ..delivery() }
    };
    receiver.want_live();
    sender.go_live(Box::new([]));
    assert!(matches!(receiver.pop(), Some(LaneItem::Live(_))));
    for _ in 0..10 {
        (0..4).for_each(|_| sender.push(large()));
        assert!(sender.is_live());
        assert_eq!(std::iter::from_fn(|| receiver.pop()).count(), 4, "what was taken makes room again");
    }
    (0..4).for_each(|_| sender.push(large()));
    assert!(sender.is_live());
    sender.push(large());
    assert!(!sender.is_live(), "five are more than a lane holds");
    assert_eq!(std::iter::from_fn(|| receiver.pop()).count(), 4);
}
