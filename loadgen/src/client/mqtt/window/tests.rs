//! Windows under receipts in any order and connections that break at any time.

use proptest::prelude::*;

use super::super::codec::{Draft, Packet, Qos, Version, decode};
use super::*;

fn packet(id: u16, seq: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let mut draft = Draft::begin(&mut out, Qos::AtLeastOnce, false);
    out.extend_from_slice(b"t");
    draft.topic_ends(&mut out, Version::V311, Some(id));
    // Sizes differ, so that a wrong place shows.
    out.extend_from_slice(&seq.to_be_bytes());
    out.extend(std::iter::repeat_n(b'x', seq as usize % 7 * 30));
    draft.finish(&mut out).unwrap();
    out
}

fn send(window: &mut Window, seq: u32) -> u16 {
    let id = window.next_packet_id();
    let waiting = Waiting { emitted: Emitted { device: 1, seq }, intended_us: u64::from(seq) };
    window.push(waiting, 0, &packet(id, seq));
    id
}

/// What goes out again: (id, seq) of publishes, (id, `None`) of releases.
fn again(window: &mut Window) -> Vec<(u16, Option<u32>)> {
    let (mut out, mut found) = (Vec::new(), Vec::new());
    while let Some(sent) = window.send_again(9, &mut out) {
        if out[0] == 0x62 {
            assert!(sent.is_none());
            found.push((u16::from_be_bytes([out[2], out[3]]), None));
        } else {
            let Some((Packet::Publish(publish), _)) = decode(Version::V311, &out, usize::MAX).unwrap() else {
                panic!()
            };
            let seq = u32::from_be_bytes(publish.payload[..4].try_into().unwrap());
            assert!(publish.dup && sent.is_some_and(|emitted| emitted.seq == seq), "{publish:?}");
            found.push((publish.packet_id.unwrap(), Some(seq)));
        }
        out.clear();
    }
    found
}

#[test]
fn what_is_released_is_released_again_only_in_the_same_session() {
    let mut window = Window::new(10);
    let ids: Vec<u16> = (0..4).map(|seq| send(&mut window, seq)).collect();
    assert!(window.received(ids[0], 1) && window.received(ids[1], 1));
    assert!(window.done(ids[0]).is_some());
    window.resume(true, 10);
    assert!(!window.has_room(), "first what waits");
    assert_eq!(again(&mut window), [(ids[1], None), (ids[2], Some(2)), (ids[3], Some(3))]);
    assert!(window.has_room());
    window.resume(false, 10);
    assert_eq!(again(&mut window), [(ids[1], Some(1)), (ids[2], Some(2)), (ids[3], Some(3))]);
    assert_eq!(window.give_up().map(|waiting| waiting.emitted.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(window.is_empty() && window.done(ids[1]).is_none());
}

#[test]
fn a_smaller_limit_of_the_next_connection_holds_back_what_waits() {
    let mut window = Window::new(10);
    let ids: Vec<u16> = (0..5).map(|seq| send(&mut window, seq)).collect();
    window.resume(false, 2);
    assert_eq!(again(&mut window), [(ids[0], Some(0)), (ids[1], Some(1))]);
    assert!(window.done(ids[3]).is_none(), "was not sent on this connection");
    assert!(window.done(ids[1]).is_some());
    assert_eq!(again(&mut window), [(ids[2], Some(2))]);
    assert!(!window.has_room());
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Send,
    Done(prop::sample::Index),
    Received(prop::sample::Index),
    Break(bool),
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Send),
        5 => any::<prop::sample::Index>().prop_map(Step::Done),
        2 => any::<prop::sample::Index>().prop_map(Step::Received),
        1 => any::<bool>().prop_map(Step::Break),
    ]
}

proptest! {
    #[test]
    fn nothing_is_forgotten_and_nothing_mixed_up(limit in 1u16..20, steps in prop::collection::vec(steps(), 1..400)) {
        let mut window = Window::new(limit);
        // Oldest first: id, seq, released.
        let mut model: Vec<(u16, u32, bool)> = Vec::new();
        let mut next = 0;
        for step in steps {
            match step {
                Step::Send if window.has_room() => {
                    prop_assert!(model.len() < usize::from(limit));
                    model.push((send(&mut window, next), next, false));
                    next += 1;
                }
                Step::Send => {}
                Step::Done(which) if !model.is_empty() => {
                    let (id, seq, _) = model.remove(which.index(model.len()));
                    prop_assert_eq!(window.done(id).map(|waiting| waiting.emitted.seq), Some(seq));
                    prop_assert_eq!(window.done(id), None, "once");
                }
                Step::Received(which) if !model.is_empty() => {
                    let which = which.index(model.len());
                    model[which].2 = true;
                    prop_assert!(window.received(model[which].0, 1));
                }
                Step::Done(_) | Step::Received(_) => {}
                Step::Break(session_present) => {
                    window.resume(session_present, limit);
                    for entry in &mut model {
                        entry.2 &= session_present;
                    }
                    let expected: Vec<_> = model.iter().map(|&(id, seq, released)| (id, (!released).then_some(seq))).collect();
                    prop_assert_eq!(again(&mut window), expected);
                }
            }
            prop_assert_eq!(window.is_empty(), model.is_empty());
            prop_assert_eq!(window.oldest_sent_us().is_some(), !model.is_empty());
        }
    }

    #[test]
    fn ids_come_round(before in 65_000u64..70_000) {
        let mut window = Window::new(3);
        window.left = before;
        for seq in 0..2_000 {
            let id = send(&mut window, seq);
            prop_assert!(id != 0);
            prop_assert_eq!(window.done(id).map(|waiting| waiting.emitted.seq), Some(seq));
        }
        prop_assert!(window.bytes.capacity() <= IDLE_BYTES_MAX);
    }
}
