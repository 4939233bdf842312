//! Subscriptions by topic filter: a tree of levels, as a core keeps it for its sessions (MQTT 5, section 4.7).
//!
//! What always holds: [`TopicTree::matches`] gives what a look at every filter with [`filter_takes`] would give, in any order;
//! a node that nothing hangs on is gone.

use std::collections::HashMap;

#[cfg(test)]
mod tests;

/// The topic filter takes the topic. Both are well formed. The naive twin of the tree, and what a session that reads the log asks.
pub fn filter_takes(filter: &str, topic: &str) -> bool {
    // Topics that begin with `$` are a server's own: a wildcard at the start does not take them (4.7.2).
    if topic.starts_with('$') && !filter.starts_with('$') {
        return false;
    }
    levels_take(filter, topic)
}

/// The same from some level on, where `$` has no meaning.
pub(super) fn levels_take(filter: &str, topic: &str) -> bool {
    let mut names = topic.split('/');
    for level in filter.split('/') {
        match (level, names.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (level, Some(name)) if level == name => {}
            _ => return false,
        }
    }
    names.next().is_none()
}

#[derive(Debug)]
struct Node<T> {
    names: HashMap<Box<str>, Node<T>>,
    any: Option<Box<Node<T>>>,
    here: Vec<T>,
    /// Of filters that end with `#` behind this level.
    rest: Vec<T>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { names: HashMap::default(), any: None, here: Vec::new(), rest: Vec::new() }
    }
}

impl<T> Node<T> {
    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.any.is_none() && self.here.is_empty() && self.rest.is_empty()
    }
}

/// See the module.
#[derive(Debug)]
pub struct TopicTree<T> {
    root: Node<T>,
    len: usize,
}

impl<T> Default for TopicTree<T> {
    fn default() -> Self {
        Self { root: Node::default(), len: 0 }
    }
}

impl<T> TopicTree<T> {
    /// Number of subscriptions.
    pub fn len(&self) -> usize {
        self.len
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a subscription. `filter` is well formed.
    pub fn insert(&mut self, filter: &str, subscription: T) {
        let mut node = &mut self.root;
        self.len += 1;
        for level in filter.split('/') {
            node = match level {
                "#" => return node.rest.push(subscription),
                "+" => node.any.get_or_insert_default(),
                name => {
                    if !node.names.contains_key(name) {
                        node.names.insert(name.into(), Node::default());
                    }
                    node.names.get_mut(name).expect("just put there")
                }
            };
        }
        node.here.push(subscription);
    }

    /// Removes the subscriptions to exactly this filter that `is_it` names; how many there were.
    pub fn remove(&mut self, filter: &str, is_it: impl Fn(&T) -> bool) -> usize {
        let removed = remove(&mut self.root, filter, &is_it);
        self.len -= removed;
        removed
    }

    /// Calls `found` with every subscription that takes `topic`.
    pub fn matches<'t>(&'t self, topic: &str, found: &mut impl FnMut(&'t T)) {
        descend(&self.root, Some(topic), !topic.starts_with('$'), found);
    }
}

fn remove<T>(node: &mut Node<T>, filter: &str, is_it: &impl Fn(&T) -> bool) -> usize {
    fn take<T>(from: &mut Vec<T>, is_it: &impl Fn(&T) -> bool) -> usize {
        let before = from.len();
        from.retain(|one| !is_it(one));
        if from.is_empty() {
            *from = Vec::new();
        }
        before - from.len()
    }
    let (level, below) = match filter.split_once('/') {
        Some((level, below)) => (level, Some(below)),
        None => (filter, None),
    };
    let within = |next: &mut Node<T>| match below {
        Some(below) => remove(next, below, is_it),
        None => take(&mut next.here, is_it),
    };
    match level {
        "#" => take(&mut node.rest, is_it),
        "+" => {
            let Some(next) = &mut node.any else { return 0 };
            let removed = within(next);
            if next.is_empty() {
                node.any = None;
            }
            removed
        }
        name => {
            let Some(next) = node.names.get_mut(name) else { return 0 };
            let removed = within(next);
            if next.is_empty() {
                node.names.remove(name);
            }
            removed
        }
    }
}

fn descend<'t, T>(node: &'t Node<T>, topic: Option<&str>, wild: bool, found: &mut impl FnMut(&'t T)) {
    if wild {
        // `#` takes the level above too.
        node.rest.iter().for_each(&mut *found);
    }
    let Some(topic) = topic else { return node.here.iter().for_each(found) };
    let (name, below) = match topic.split_once('/') {
        Some((name, below)) => (name, Some(below)),
        None => (topic, None),
    };
    if let Some(next) = node.names.get(name) {
        descend(next, below, true, found);
    }
    if let Some(next) = node.any.as_deref().filter(|_| wild) {
        descend(next, below, true, found);
    }
}
