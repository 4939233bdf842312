//! The two cores against each other: random interleavings with broken connections and killed nodes, and every rule on its own.

mod client;
mod server;
mod tools;
mod world;

use world::World;

#[test]
fn whatever_breaks_nothing_is_missed_and_nothing_is_doubled() {
    let (mut cuts, mut kills, mut refusals, mut changes, mut encodings) = (0, 0, 0, 0, [0; 3]);
    for seed in 0..500 {
        let mut world = World::new(seed);
        world.run(1_500);
        world.settle();
        world.check();
        cuts += world.cuts;
        kills += world.kills;
        refusals += world.refusals;
        changes += world.changes;
        world.encodings.iter().zip(&mut encodings).for_each(|(count, sum)| *sum += count);
    }
    // What the seeds must have seen for this to say anything.
    let seen = [("cuts", cuts), ("kills", kills), ("refusals", refusals), ("changes", changes)];
    assert!(seen.iter().all(|(_, count)| *count > 300), "{seen:?}");
    // A mask is for batches of which nearly all matches.
    assert!(encodings[1] > 20 && encodings[0].min(encodings[2]) > 200, "whole, masked, packed: {encodings:?}");
}
