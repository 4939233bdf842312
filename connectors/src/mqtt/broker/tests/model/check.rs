//! What must hold when everything has come to rest.

use std::collections::{HashMap, HashSet};

use super::{FILTERS, Run, TOPICS};
use crate::mqtt::codec::Qos;

impl Run {
    pub(super) fn check(&self) {
        let names = self.world.log.iter().flatten().flat_map(|batch| {
            let rows = 0..batch.rows().len();
            rows.map(|row| engine::event::Event::new(batch, row).data().map(<[u8]>::to_vec))
        });
        // Messages of QoS 2 are in the log once.
        let mut in_log: HashMap<(usize, u32), u32> = HashMap::new();
        for payload in names.flatten() {
            let text = String::from_utf8(payload).expect("ours");
            let (from, number) = text.split_once(':').expect("ours");
            *in_log.entry((from.parse().expect("ours"), number.parse().expect("ours"))).or_default() += 1;
        }
        for (from, publisher) in self.publishers.iter().enumerate() {
            for (_, number, qos) in &publisher.kept {
                let count = in_log.get(&(from, *number)).copied().unwrap_or(0);
                assert!(
                    count == 1 || *qos == 1 && count > 1,
                    "{from}:{number} of QoS {qos} is in the log {count} times"
                );
            }
        }
        for subscriber in &self.subscribers {
            let mut seen: HashMap<(usize, u32), u32> = HashMap::new();
            let mut last: HashMap<(usize, usize), u32> = HashMap::new();
            for (from, number, qos, is_dup) in &subscriber.got {
                let is_first = !seen.contains_key(&(*from, *number));
                let count = seen.entry((*from, *number)).or_default();
                *count += u32::from(*qos != Qos::AtLeastOnce || !is_dup);
                let (topic, _) = self.publishers[*from].sent[number];
                let logged = in_log[&(*from, *number)];
                assert!(*count <= logged || self.crashes, "{}: {from}:{number} came {count} times", subscriber.id);
                if is_first && logged == 1 && !self.refuses && !self.crashes {
                    let before = last.insert((*from, topic), *number);
                    assert!(
                        before.is_none_or(|before| before < *number),
                        "{}: {from}:{number} behind {before:?}",
                        subscriber.id
                    );
                }
            }
            for (from, number, ..) in &subscriber.got {
                let topic = TOPICS[self.publishers[*from].sent[number].0];
                let takes = |(filter, kept): &(usize, Vec<HashSet<u32>>)| {
                    crate::mqtt::topics::filter_takes(FILTERS[*filter], topic) && !kept[*from].contains(number)
                };
                assert!(
                    subscriber.attempts.iter().any(takes) || in_log[&(*from, *number)] > 1 || self.crashes,
                    "{}: {from}:{number} is older than its subscriptions",
                    subscriber.id
                );
            }
            for (filter, (qos, since)) in &subscriber.subscriptions {
                for (from, number) in in_log.keys() {
                    let (topic, _) = self.publishers[*from].sent[number];
                    let is_owed =
                        crate::mqtt::topics::filter_takes(FILTERS[*filter], TOPICS[topic]) && *number >= since[*from];
                    let has_it = seen.contains_key(&(*from, *number));
                    // What it was sent at QoS 0 may be lost with its connection.
                    let may_miss = *qos == 0 || self.publishers[*from].sent[number].1 == 0;
                    assert!(
                        !is_owed || has_it || may_miss,
                        "{} misses {from}:{number} of {}",
                        subscriber.id,
                        FILTERS[*filter]
                    );
                }
            }
        }
    }
}
