//! MQTT topic filters as a trie of levels: a visit follows at most the name, `+` and `#` at each level (MQTT 5, section 4.7).

use std::collections::HashMap;

use super::super::check::Target;
use crate::filter::TopicFilter;
use crate::filter::topic::Level;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct TopicIndex {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    names: HashMap<Box<str>, u32>,
    /// The node of `+`.
    any: Option<u32>,
    /// Filters that end here.
    here: Vec<Target>,
    /// Filters that end with `#` here.
    rest: Vec<Target>,
}

impl TopicIndex {
    pub fn add(&mut self, filter: &TopicFilter, target: Target) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = 0;
        for level in filter.levels() {
            let new = self.nodes.len() as u32;
            let node = &mut self.nodes[at as usize];
            let next = match level {
                Level::Rest => return node.rest.push(target),
                Level::Any => *node.any.get_or_insert(new),
                Level::Name(name) => *node.names.entry(name.clone()).or_insert(new),
            };
            if next == new {
                self.nodes.push(Node::default());
            }
            at = next;
        }
        self.nodes[at as usize].here.push(target);
    }

    /// Visits the filters that take `topic`.
    pub fn visit(&self, topic: &str, visit: &mut dyn FnMut(&Target)) {
        if let Some(root) = self.nodes.first() {
            // Topics of the server itself are taken by no wildcard at the start.
            self.descend(root, Some(topic), !topic.starts_with('$'), visit);
        }
    }

    fn descend(&self, node: &Node, topic: Option<&str>, wild: bool, visit: &mut dyn FnMut(&Target)) {
        if wild {
            // `#` takes the level above too.
            node.rest.iter().for_each(&mut *visit);
        }
        let Some(topic) = topic else { return node.here.iter().for_each(&mut *visit) };
        let (name, below) = match topic.split_once('/') {
            Some((name, below)) => (name, Some(below)),
            None => (topic, None),
        };
        let any = node.any.filter(|_| wild);
        for next in node.names.get(name).copied().into_iter().chain(any) {
            self.descend(&self.nodes[next as usize], below, true, visit);
        }
    }

    pub fn memory_bytes(&self) -> usize {
        let names = |node: &Node| node.names.keys().map(|name| name.len() + 32).sum::<usize>();
        let targets = |node: &Node| (node.here.capacity() + node.rest.capacity()) * size_of::<Target>();
        self.nodes.iter().map(|node| size_of::<Node>() + names(node) + targets(node)).sum()
    }
}
