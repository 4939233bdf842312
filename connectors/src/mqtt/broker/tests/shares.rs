//! Shared subscriptions over cores.

use super::*;
use crate::mqtt::broker::tests::client::lasting;
use crate::mqtt::codec::{Connect, ReceiptKind};

fn sorted(mut payloads: Vec<String>) -> Vec<u32> {
    payloads.sort_by_key(|payload| payload.parse::<u32>().expect("a number"));
    payloads.iter().map(|payload| payload.parse().expect("a number")).collect()
}

fn numbers(world: &mut World, publisher: usize, numbers: std::ops::Range<u32>) {
    for number in numbers {
        world.clients[publisher].publish("t", &number.to_string(), 1, number as u16 % 1000 + 1);
        world.settle();
    }
}

#[test]
fn each_message_goes_to_one_member_and_all_have_some() {
    let mut world = World::new(2);
    let (publisher, _) = world.join(0, &v5("pub"));
    let members = [(0, "a"), (1, "b"), (1, "c")].map(|(core, id)| world.join(core, &v5(id)).0);
    members.iter().for_each(|member| world.subscribe(*member, "$share/g/t", 1));
    let (other, _) = world.join(1, &v5("other"));
    world.subscribe(other, "$share/h/+", 1);
    world.subscribe(other, "t", 0);
    numbers(&mut world, publisher, 0..30);
    let mut all = Vec::new();
    for member in members {
        let payloads = world.payloads(member);
        assert_eq!(payloads.len(), 10);
        all.extend(payloads);
    }
    assert_eq!(sorted(all), (0..30).collect::<Vec<_>>());
    assert_eq!(world.payloads(other).len(), 60, "another group, and a subscription of its own");
}

#[test]
fn who_has_no_room_or_goes_leaves_the_rest_to_others() {
    let mut world = World::new(2);
    let (publisher, _) = world.join(0, &v5("pub"));
    let mut slow = v5("slow");
    slow.properties.receive_max = Some(1);
    let (slow, _) = world.join(0, &slow);
    let (quick, _) = world.join(1, &v5("quick"));
    for member in [slow, quick] {
        world.subscribe(member, "$share/g/t", 1);
    }
    world.clients[slow].answers = false;
    numbers(&mut world, publisher, 0..300);
    let first = world.payloads(slow);
    assert_eq!(first.len(), 1);
    let mut rest = world.payloads(quick);
    assert_eq!(rest.len(), 300 - crate::mqtt::limits::SHARE_CREDIT as usize - 1);
    world.lose(slow);
    rest.extend(world.payloads(quick));
    rest.extend(first);
    assert_eq!(sorted(rest), (0..300).collect::<Vec<_>>());
}

#[test]
fn a_share_whose_members_are_away_goes_on_from_the_log() {
    let mut world = World::new(2);
    let (publisher, _) = world.join(0, &v5("pub"));
    let members = [(0, "a"), (1, "b")].map(|(core, id)| world.join(core, &lasting(id, 100)).0);
    members.iter().for_each(|member| world.subscribe(*member, "$share/g/t", 1));
    numbers(&mut world, publisher, 0..10);
    let mut all: Vec<String> = members.iter().flat_map(|member| world.payloads(*member)).collect();
    members.iter().for_each(|member| world.lose(*member));
    numbers(&mut world, publisher, 10..200);
    assert_eq!(world.readers(), 0, "nobody reads for nobody");
    let (back, _) = world.join(0, &lasting("b", 100));
    all.extend(world.payloads(back));
    assert_eq!(sorted(all), (0..200).collect::<Vec<_>>());
    numbers(&mut world, publisher, 200..203);
    assert_eq!(world.payloads(back), ["200", "201", "202"]);
    // The last ones leave for good: the share is gone.
    world.clients[back].unsubscribe(1, "$share/g/t");
    world.settle();
    world.join(0, &Connect { clean_start: true, ..v5("a") });
    assert!(world.brokers.iter().all(|broker| broker.subscriptions.is_empty()));
}

#[test]
fn a_member_that_moves_stays_a_member_whatever_mail_comes_first() {
    for from in 0..2 {
        for way in 0..2 {
            let mut world = World::new(2);
            let (publisher, _) = world.join(0, &v5("pub"));
            let (member, _) = world.join(from, &lasting("m", 100));
            world.subscribe(member, "$share/g/t", 1);
            // It goes, and is back on the other core before the first one has sent its mail.
            let place = world.clients[member].place;
            world.brokers[from].lost(place);
            let again = world.dial(1 - from);
            world.clients[again].connect(&lasting("m", 100));
            world.poll(again);
            if way == 1 {
                (0..2).for_each(|core| while world.mail(core) {});
            }
            world.turn(from);
            world.settle();
            numbers(&mut world, publisher, 0..5);
            assert_eq!(world.payloads(again), ["0", "1", "2", "3", "4"], "from {from}, {way}");
        }
    }
}

#[test]
fn a_new_share_begins_with_its_subscribe() {
    for share in ["$share/g/t", "$share/h/t", "$share/i/t"] {
        let mut world = World::new(2);
        let (publisher, _) = world.join(0, &v5("pub"));
        let home = home_of(share.strip_prefix("$share/").expect("a share"), 2);
        let (member, _) = world.join(1 - usize::from(home), &v5("m"));
        // The home hears of it late.
        world.auto.mails = false;
        world.subscribe(member, share, 1);
        world.publish(publisher, "t", "x", 1, 1);
        world.auto.mails = true;
        world.settle();
        assert_eq!(world.payloads(member), ["x"]);
    }
}

#[test]
fn what_comes_back_while_the_log_is_read_is_given_again() {
    // The reader of the share is on its way with a piece of the log when a member goes and gives back what it did not send.
    let mut world = World::new(1);
    let (publisher, _) = world.join(0, &v5("pub"));
    let mut narrow = v5("narrow");
    narrow.properties.receive_max = Some(1);
    let (gone, _) = world.join(0, &narrow);
    world.subscribe(gone, "$share/g/t", 1);
    world.clients[gone].answers = false;
    numbers(&mut world, publisher, 0..100);
    let mut all = world.payloads(gone);
    let (stays, _) = world.join(0, &v5("stays"));
    world.auto.reads = false;
    world.subscribe(stays, "$share/g/t", 1);
    assert_eq!(world.readers(), 1);
    assert!(world.read(0, 1), "it is told what to read");
    world.lose(gone);
    world.auto.reads = true;
    world.settle();
    all.extend(world.payloads(stays));
    assert_eq!(sorted(all), (0..100).collect::<Vec<_>>());
}

#[test]
fn what_comes_back_when_nobody_has_room_waits() {
    let mut world = World::new(1);
    let (publisher, _) = world.join(0, &v5("pub"));
    let narrow = |id| {
        let mut connect = v5(id);
        connect.properties.receive_max = Some(1);
        connect
    };
    let members = ["a", "b"].map(|id| world.join(0, &narrow(id)).0);
    for member in members {
        world.subscribe(member, "$share/g/t", 1);
        world.clients[member].answers = false;
    }
    numbers(&mut world, publisher, 0..200);
    let mut all: Vec<String> = members.iter().flat_map(|member| world.payloads(*member)).collect();
    assert_eq!(all.len(), 2);
    world.lose(members[0]);
    numbers(&mut world, publisher, 200..210);
    world.clients[members[1]].answers = true;

    world.clients[members[1]].receipt(ReceiptKind::Ack, 1);
    world.settle();
    all.extend(world.payloads(members[1]));
    assert_eq!(sorted(all), (0..210).collect::<Vec<_>>());
}

#[test]
fn shares_are_there_again_after_a_start() {
    let mut world = World::new(2);
    let (publisher, _) = world.join(0, &v5("pub"));
    let (member, _) = world.join(1, &lasting("m", 100));
    world.subscribe(member, "$share/g/t", 1);
    numbers(&mut world, publisher, 0..3);
    assert_eq!(world.payloads(member).len(), 3);
    world.save();
    numbers(&mut world, publisher, 3..6);
    let mut world = world.crash(3);
    let (member, present) = world.join(0, &lasting("m", 100));
    assert!(present);
    assert_eq!(sorted(world.payloads(member)), [3, 4, 5]);
}
