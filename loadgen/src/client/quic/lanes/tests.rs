//! Numbers without gap, whatever is acknowledged, refused or sent again.

use super::*;

fn lanes() -> Lanes {
    let mut lanes = Lanes::new(4, 10_000, 500, 65_536, 200);
    for n in 0..40 {
        lanes.push(n as usize % 2, b"key", &[b'x'; 87], (Emitted { device: n % 2, seq: n / 2 }, u64::from(n)));
    }
    lanes
}

fn take(lanes: &mut Lanes, now_us: u64) -> (Vec<(usize, Bytes)>, usize) {
    let (mut out, mut again) = (Vec::new(), 0);
    lanes.take(now_us, usize::MAX, &mut out, |_| again += 1);
    (out, again)
}

#[test]
fn frames_are_filled_and_the_rest_waits_until_it_is_sealed() {
    let mut lanes = lanes();
    // Records of 99 bytes: six make more than 500, of 20 events two are left over.
    let (first, again) = take(&mut lanes, 0);
    assert_eq!((first.len(), again), (6, 0));
    lanes.seal();
    assert!(take(&mut lanes, 0).0.is_empty(), "what is left over waits for what is under way");
    let mut done = Vec::new();
    assert!(lanes.acknowledge(0, 12, |sent| done.push(sent.0.seq)));
    assert_eq!(done, (0..12).collect::<Vec<_>>());
    // Inside a frame: it waits for the rest.
    assert!(lanes.acknowledge(0, 13, |_| panic!("nothing is whole")));
    assert!(!lanes.acknowledge(0, 19, |_| panic!("never sent")) && !lanes.acknowledge(3, 1, |_| {}));
    for partition in [0, 1] {
        assert!(lanes.acknowledge(partition, 18, |_| {}));
        lanes.seal();
        assert_eq!(take(&mut lanes, 0).0.len(), 1);
        assert!(lanes.acknowledge(partition, 20, |_| {}));
    }
    assert!(lanes.is_empty());
}

#[test]
fn what_is_refused_goes_out_again_after_a_pause_and_in_order() {
    let mut lanes = lanes();
    let (first, _) = take(&mut lanes, 0);
    assert!(!lanes.send_again(1, 3, 0), "a frame does not begin with 3");
    assert!(lanes.send_again(1, 6, 1_000));
    assert_eq!(lanes.due_us(), Some(101_000));
    assert!(take(&mut lanes, 100_999).0.is_empty());
    let (second, again) = take(&mut lanes, 101_000);
    assert_eq!(again, 12);
    let of_lane: Vec<_> = first.iter().filter(|(partition, _)| *partition == 1).skip(1).collect();
    assert_eq!(second.iter().collect::<Vec<_>>(), of_lane);
    // The pause doubles until something is kept.
    assert!(lanes.send_again(1, 6, 0));
    assert_eq!(lanes.due_us(), Some(200_000));
    lanes.reconnected();
    assert_eq!(take(&mut lanes, 0).0.len(), first.len());
    assert_eq!(lanes.give_up().count(), 40);
}
